"""GLSL programs of the renderer. All geometry arrives in the camera's optical frame, metres.

Gamma 2 stands for sRGB's 2.2 throughout: a square and a square root are cheap in software.
"""

from __future__ import annotations

MAX_LAMPS = 4
SHADOWS = 2
"""Number of lamps that cast shadows."""

PLACE = """
#version 330
uniform mat3 rotation;
uniform vec3 translation;
uniform vec3 scale;
uniform mat4 to_clip;
in vec3 in_position;
vec3 place() { return rotation * (scale * in_position) + translation; }
"""

DEPTH_VERTEX = (
    PLACE
    + """
out float depth;
void main() {
    gl_Position = to_clip * vec4(place(), 1.0);
    depth = gl_Position.w;
}
"""
)

DEPTH_FRAGMENT = """
#version 330
in float depth;
out float out_depth;
void main() { out_depth = depth; }
"""

LABEL_FRAGMENT = """
#version 330
uniform float label;
out float out_label;
void main() { out_label = label; }
"""

# Mean and mean square of the depth seen from the lamp; blurred, they say how much of the
# neighbourhood is nearer to the lamp (variance shadow maps, Donnelly and Lauritzen 2006): one
# look-up per pixel gives a soft edge.
SHADOW_FRAGMENT = """
#version 330
in float depth;
out vec2 moments;
void main() { moments = vec2(depth, depth * depth); }
"""

# From the sky, which looks straight down and has no perspective, w is 1 everywhere.
SKY_VERTEX = (
    PLACE
    + """
uniform vec4 height;
out float depth;
void main() {
    gl_Position = to_clip * vec4(place(), 1.0);
    depth = dot(height, vec4(place(), 1.0));
}
"""
)

# Written out: a loop would look its lamps up by an index, which is slow in software.
ADD_LAMPS = "\n".join(
    f"    add_lamp(lamp_position[{i}], lamp_power[{i}], {f'passes_{i}' if i < SHADOWS else '1.0'}, "
    "n, view, shininess, light, mirrored);"
    for i in range(MAX_LAMPS)
)

LIGHTING = f"""
uniform vec3 up;
uniform vec3 sky;
uniform vec3 ground;
uniform vec3 lamp_position[{MAX_LAMPS}];
uniform vec3 lamp_power[{MAX_LAMPS}];
uniform sampler2D shadow_map_0;
uniform sampler2D shadow_map_1;
uniform sampler2D sky_map;
uniform mat4 to_shadow_0;
uniform mat4 to_shadow_1;
uniform mat4 to_sky;
uniform vec4 height;
in vec3 point;

// Share of the light that passes what the map has seen at ``place``, -1 to 1; ``depth`` is the
// point's from where the map looks. Beyond its border nothing stands in the way.
float unshadowed(sampler2D map, vec2 place, float depth, float slack) {{
    vec2 moments = texture(map, place * 0.5 + 0.5).rg;
    float behind = max(depth - moments.x - slack, 0.0);
    float variance = max(moments.y - moments.x * moments.x, slack * slack);
    float lit = variance / (variance + behind * behind);
    bool outside = max(abs(place.x), abs(place.y)) > 1.0 || depth < 0.0;
    return outside ? 1.0 : clamp((lit - 0.15) / 0.85, 0.0, 1.0);  // cut faint light that leaks
}}

float from_lamp(sampler2D map, mat4 to_map) {{
    vec4 p = to_map * vec4(point, 1.0);
    return unshadowed(map, p.xy / p.w, p.w, 0.002);
}}

float from_sky() {{
    vec4 p = to_sky * vec4(point, 1.0);
    float depth = dot(height, vec4(point, 1.0));
    return unshadowed(sky_map, p.xy, depth, 0.004);
}}

void add_lamp(
    vec3 position, vec3 power, float passes, vec3 n, vec3 view, float shininess,
    inout vec3 light, inout vec3 mirrored
) {{
    vec3 d = position - point;
    float square = dot(d, d);
    vec3 l = d * inversesqrt(square);
    float facing = max(dot(n, l), 0.0);
    vec3 arriving = power * (passes / square);
    light += arriving * facing;
    vec3 h = l + view;
    float near = max(dot(n, h) * inversesqrt(dot(h, h)), 0.0) * step(1e-6, facing);
    // Schlick's rational approximation of near^shininess.
    mirrored += arriving * (near / (shininess - shininess * near + near));
}}

// Linear light that falls on a surface, and what it mirrors towards the eye at strength 1.
void illuminate(vec3 n, vec3 view, float shininess, out vec3 light, out vec3 mirrored) {{
    float open = from_sky();
    light = mix(ground * (0.5 + 0.5 * open), sky * open, 0.5 + 0.5 * dot(n, up));
    float upwards = dot(reflect(-view, n), up);
    float grazing = 1.0 - max(dot(n, view), 0.0);
    float fresnel = 0.05 + 0.95 * grazing * grazing * grazing * grazing * grazing;
    mirrored = mix(ground, sky * open, clamp(0.5 + 1.5 * upwards, 0.0, 1.0)) * fresnel;
    float passes_0 = from_lamp(shadow_map_0, to_shadow_0);
    float passes_1 = from_lamp(shadow_map_1, to_shadow_1);
{ADD_LAMPS}
}}
"""

GEOMETRY_VERTEX = (
    PLACE
    + """
#if defined(IMAGE)
in vec2 in_uv;
uniform vec2 uv_scale;
uniform vec2 uv_offset;
#elif defined(VOLUME)
uniform vec3 volume_low;
uniform vec3 volume_size;
#else
in vec3 in_colour;
#endif
in vec3 in_normal;
uniform vec4 stain_place;  // offset, repetitions per metre
out vec3 stain;
out vec3 normal;
out vec3 paint;
out float depth;
void main() {
    gl_Position = to_clip * vec4(place(), 1.0);
    depth = gl_Position.w;
    normal = rotation * (in_normal / scale);
    stain = scale * in_position * stain_place.w + stain_place.xyz;
#if defined(IMAGE)
    vec2 uv = in_uv * uv_scale + uv_offset;
    paint = vec3(uv.x, 1.0 - uv.y, 0.0);  // image rows run down, v runs up
#elif defined(VOLUME)
    paint = (in_position - volume_low) / volume_size;
#else
    paint = in_colour;
#endif
}
"""
)

# Small triangles shade many pixels that they do not cover, so nothing is lit yet: colour and
# label; normal and shine; depth.
GEOMETRY_FRAGMENT = """
#version 330
#if defined(IMAGE)
uniform sampler2D surface;
vec3 seen(vec3 paint) { return texture(surface, paint.xy).rgb; }
#elif defined(VOLUME)
uniform sampler3D surface;
vec3 seen(vec3 paint) { return texture(surface, paint).rgb; }
#else
vec3 seen(vec3 paint) { return paint; }
#endif
uniform mat3 recolour;
uniform vec2 shine;
uniform float label;
uniform sampler3D stain_pattern;
uniform float stain_strength;
in vec3 stain;
in vec3 normal;
in vec3 paint;
in float depth;
layout(location = 0) out vec4 out_colour;
layout(location = 1) out vec4 out_shape;
layout(location = 2) out float out_depth;
void main() {
    vec3 seen_colour = recolour * seen(paint);
    if (stain_strength > 0.0)
        seen_colour *= 1.0 + stain_strength * (texture(stain_pattern, stain).rgb * 2.0 - 1.0);
    out_colour = vec4(clamp(seen_colour, 0.0, 1.0), label);
    // The unit sphere folded onto a square (octahedron map).
    vec3 n = normal / (abs(normal.x) + abs(normal.y) + abs(normal.z));
    vec2 turned = (1.0 - abs(n.yx)) * vec2(n.x < 0.0 ? -1.0 : 1.0, n.y < 0.0 ? -1.0 : 1.0);
    out_shape = vec4(n.z < 0.0 ? turned : n.xy, shine);
    out_depth = depth;
}
"""

# Behind everything, so that a depth test for "farther" leaves only pixels that show something.
WHOLE_IMAGE_VERTEX = """
#version 330
void main() {
    vec2 corner = vec2(gl_VertexID & 1, gl_VertexID >> 1) * 4.0 - 1.0;
    gl_Position = vec4(corner, 1.0, 1.0);
}
"""

LIT_FRAGMENT = (
    """
#version 330
"""
    + LIGHTING.replace("in vec3 point;", "vec3 point;")
    + """
uniform sampler2D colours;
uniform sampler2D shapes;
uniform sampler2D depths;
uniform vec4 camera;  // fx, fy, cx, cy
out vec4 colour;
void main() {
    ivec2 pixel = ivec2(gl_FragCoord.xy);
    vec3 albedo = texelFetch(colours, pixel, 0).rgb;
    vec4 shape = texelFetch(shapes, pixel, 0);
    vec2 ray = (gl_FragCoord.xy - 0.5 - camera.zw) / camera.xy;
    point = vec3(ray, 1.0) * texelFetch(depths, pixel, 0).r;
    vec3 n = vec3(shape.xy, 1.0 - abs(shape.x) - abs(shape.y));
    float fold = max(-n.z, 0.0);
    n.xy -= fold * vec2(n.x < 0.0 ? -1.0 : 1.0, n.y < 0.0 ? -1.0 : 1.0);
    n = normalize(n);
    vec3 view = -normalize(point);
    if (dot(n, view) < 0.0) n = -n;
    vec3 light, mirrored;
    illuminate(n, view, shape.w, light, mirrored);
    vec3 sum = albedo * albedo * light + shape.z * mirrored;
    colour = vec4(sqrt(clamp(sum, 0.0, 1.0)), 1.0);
}
"""
)


def defining(symbol: str, source: str) -> str:
    """The source with a preprocessor symbol; GLSL wants the version before it."""
    version = "#version 330\n"
    before, after = source.split(version, 1)
    return f"{before.lstrip()}{version}#define {symbol}\n{after}"

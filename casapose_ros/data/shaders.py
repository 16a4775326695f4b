"""GLSL programs of the renderer. All geometry arrives in the camera's optical frame, metres."""

from __future__ import annotations

MAX_LAMPS = 4
MAX_OCCLUDERS = 16

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

LABEL_FRAGMENT = """
#version 330
uniform float label;
in float depth;
layout(location = 0) out float out_label;
layout(location = 1) out float out_depth;
void main() {
    out_label = label;
    out_depth = depth;
}
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

BACKGROUND_VERTEX = """
#version 330
out vec2 uv;
void main() {
    uv = vec2(gl_VertexID & 1, gl_VertexID >> 1) * 2.0;
    gl_Position = vec4(uv * 2.0 - 1.0, 0.0, 1.0);
}
"""

BACKGROUND_FRAGMENT = """
#version 330
uniform sampler2D background;
in vec2 uv;
out vec4 colour;
void main() { colour = texture(background, uv); }
"""

COLOUR_VERTEX = (
    PLACE
    + """
in vec3 in_normal;
in vec3 in_colour;
in vec2 in_uv;
out vec3 point;
out vec3 normal;
out vec3 vertex_colour;
out vec2 uv;
void main() {
    point = place();
    gl_Position = to_clip * vec4(place(), 1.0);
    normal = rotation * (in_normal / scale);
    vertex_colour = in_colour;
    uv = vec2(in_uv.x, 1.0 - in_uv.y);  // image rows run down, v runs up
}
"""
)

# Gamma 2 instead of sRGB's 2.2: a square and a square root are cheap in software.
COLOUR_FRAGMENT = f"""
#version 330
uniform sampler2D surface;
uniform bool textured;
uniform float specular;
uniform float shininess;
uniform vec3 up;
uniform vec3 focus;
uniform vec3 sky;
uniform vec3 ground;
uniform int num_lamps;
uniform vec3 lamp_position[{MAX_LAMPS}];
uniform vec3 lamp_colour[{MAX_LAMPS}];
uniform sampler2D shadow_map;
uniform mat4 to_shadow;
uniform int num_occluders;
uniform vec4 occluders[{MAX_OCCLUDERS}];
uniform int own_occluder;
in vec3 point;
in vec3 normal;
in vec3 vertex_colour;
in vec2 uv;
out vec4 colour;

float unshadowed() {{
    vec4 p = to_shadow * vec4(point, 1.0);
    vec2 q = p.xy / p.w * 0.5 + 0.5;
    if (any(lessThan(q, vec2(0.0))) || any(greaterThan(q, vec2(1.0)))) return 1.0;
    vec2 moments = texture(shadow_map, q).rg;
    float behind = p.w - moments.x - 0.001;
    if (behind <= 0.0) return 1.0;
    float variance = max(moments.y - moments.x * moments.x, 1e-6);
    float lit = variance / (variance + behind * behind);
    return clamp((lit - 0.15) / 0.85, 0.0, 1.0);  // cut the faint light that leaks
}}

// How much of the sky the other bodies leave open, each taken as a sphere.
float openness(vec3 n) {{
    float open = 1.0;
    for (int i = 0; i < num_occluders; ++i) {{
        if (i == own_occluder) continue;
        vec3 d = occluders[i].xyz - point;
        float r2 = occluders[i].w * occluders[i].w;
        float d2 = max(dot(d, d), r2);
        open *= 1.0 - clamp(dot(n, d) * inversesqrt(d2), 0.0, 1.0) * r2 / d2;
    }}
    return open;
}}

// Highlights follow Schlick's rational approximation of near^shininess.
void main() {{
    vec3 albedo = textured ? texture(surface, uv).rgb : vertex_colour;
    albedo *= albedo;
    vec3 view = -normalize(point);
    vec3 n = normalize(normal);
    if (dot(n, view) < 0.0) n = -n;
    vec3 light = mix(ground, sky, 0.5 + 0.5 * dot(n, up)) * openness(n);
    vec3 highlight = vec3(0.0);
    for (int i = 0; i < num_lamps; ++i) {{
        vec3 d = lamp_position[i] - point;
        vec3 reach = lamp_position[i] - focus;
        vec3 l = normalize(d);
        float facing = max(dot(n, l), 0.0);
        if (facing <= 0.0) continue;
        vec3 irradiance = lamp_colour[i] * (dot(reach, reach) / dot(d, d));
        if (i == 0) irradiance *= unshadowed();
        light += irradiance * facing;
        float near = max(dot(n, normalize(l + view)), 0.0);
        highlight += irradiance * near / (shininess - shininess * near + near);
    }}
    colour = vec4(sqrt(clamp(albedo * light + specular * highlight, 0.0, 1.0)), 1.0);
}}
"""

"""GLSL programs for what is behind all instances: the background and the sheets on the floor."""

from __future__ import annotations

from casapose_ros.data.shaders import LIGHTING, PLACE

BACKGROUND_VERTEX = """
#version 330
out vec2 uv;
void main() {
    uv = vec2(gl_VertexID & 1, gl_VertexID >> 1) * 2.0;
    gl_Position = vec4(uv * 2.0 - 1.0, 0.99999, 1.0);  // behind all that is drawn
}
"""

# A texture that runs to and fro has no seams, if its filter keeps away from the opposite edge.
MIRRORED = """
vec2 mirrored(vec2 uv) { return abs(fract(uv * 0.5) * 2.0 - 1.0) * 0.98 + 0.01; }
"""

BACKGROUND_FRAGMENT = (
    """
#version 330
"""
    + MIRRORED
    + """
uniform sampler2D surface;
uniform mat3 recolour;
uniform vec2 uv_scale;
uniform vec2 uv_offset;
in vec2 uv;
out vec4 colour;
void main() {
    vec2 place = mirrored(uv * uv_scale + uv_offset);
    colour = vec4(clamp(recolour * texture(surface, place).rgb, 0.0, 1.0), 1.0);
}
"""
)

SHEET_VERTEX = (
    PLACE
    + """
uniform float margin;
out vec3 point;
out vec2 at;
void main() {
    point = place();
    at = in_position.xy * margin;
    gl_Position = to_clip * vec4(point, 1.0);
}
"""
)

# The light on the floor plane, at a lower resolution: it has no hard edges.
FLOOR_LIGHT_FRAGMENT = (
    """
#version 330
"""
    + LIGHTING
    + """
uniform float shininess;
out vec4 colour;
void main() {
    vec3 light, mirrored;
    illuminate(up, -normalize(point), shininess, light, mirrored);
    colour = vec4(light, dot(mirrored, vec3(1.0 / 3.0)));
}
"""
)

SHEET_FRAGMENT = (
    """
#version 330
"""
    + MIRRORED
    + """
uniform sampler2D surface;
uniform sampler2D floor_light;
uniform vec2 image_size;
uniform mat3 recolour;
uniform vec2 uv_scale;
uniform vec2 uv_offset;
uniform float specular;
in vec2 at;
out vec4 colour;
void main() {
    vec2 place = mirrored(at * uv_scale + uv_offset);
    vec3 albedo = clamp(recolour * texture(surface, place).rgb, 0.0, 1.0);
    vec4 light = texture(floor_light, gl_FragCoord.xy / image_size);
    vec2 inside = (0.5 - abs(at)) / fwidth(at) + 0.5;  // px to the edge, which so is smooth
    vec3 sum = albedo * albedo * light.rgb + specular * light.a;
    colour = vec4(sqrt(clamp(sum, 0.0, 1.0)), clamp(min(inside.x, inside.y), 0.0, 1.0));
}
"""
)

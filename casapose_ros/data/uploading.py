"""Meshes and textures in the graphics memory."""

from __future__ import annotations

from dataclasses import dataclass

import moderngl
import numpy as np

from casapose_ros.data.meshes import Mesh

BARE_GREY = 0.7
"""Brightness of a mesh without texture and colours."""


@dataclass(frozen=True)
class UploadedMesh:
    """A mesh in the graphics memory.

    Attributes:
        passes: One vertex array per rendering pass, by its name.
        texture: Its texture or None.
        closed: Whether the far side can never be seen.
        low: (3,) metres, corner of its box.
        high: (3,) metres, opposite corner.
    """

    passes: dict[str, moderngl.VertexArray]
    texture: moderngl.Texture | None
    closed: bool
    low: np.ndarray
    high: np.ndarray


def upload_mesh(
    context: moderngl.Context, programs: dict[str, moderngl.Program], mesh: Mesh
) -> UploadedMesh:
    """Upload a mesh once for all passes; each program takes the attributes it declares."""
    n = len(mesh.vertices)
    columns = {
        "in_position": mesh.vertices,
        "in_normal": mesh.normals,
        "in_uv": np.zeros((n, 2)) if mesh.uv is None else mesh.uv,
        "in_colour": np.full((n, 3), BARE_GREY) if mesh.colours is None else mesh.colours / 255,
    }
    buffers = {name: context.buffer(as_bytes(values)) for name, values in columns.items()}
    faces = context.buffer(np.ascontiguousarray(mesh.faces, np.int32).tobytes())
    passes = {}
    for name, program in programs.items():
        content = [
            (buffer, f"{columns[attribute].shape[1]}f", attribute)
            for attribute, buffer in buffers.items()
            if attribute in program
        ]
        passes[name] = context.vertex_array(program, content, faces)
    return UploadedMesh(
        passes,
        None if mesh.texture is None else upload_texture(context, mesh.texture, repeat=True),
        is_closed(mesh),
        mesh.vertices.min(axis=0),
        mesh.vertices.max(axis=0),
    )


def upload_texture(
    context: moderngl.Context, image: np.ndarray, repeat: bool = False
) -> moderngl.Texture:
    """Upload (h, w, 3) uint8 RGB with mipmaps; the first row is at v = 0 there."""
    height, width = image.shape[:2]
    data = np.ascontiguousarray(image).tobytes()
    texture = context.texture((width, height), 3, data, alignment=1)
    texture.repeat_x = texture.repeat_y = repeat
    texture.build_mipmaps()
    texture.filter = (moderngl.LINEAR_MIPMAP_LINEAR, moderngl.LINEAR)
    return texture


def is_closed(mesh: Mesh) -> bool:
    """Whether every edge has exactly one face on either side and all faces look outwards."""
    _, merged = np.unique(mesh.vertices.round(6), axis=0, return_inverse=True)
    corners = merged.reshape(-1)[mesh.faces].astype(np.int64)
    ends = np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [2, 0]]])
    forward, backward = (ends @ np.array(w) for w in ([len(merged), 1], [1, len(merged)]))
    a, b, c = np.moveaxis(mesh.vertices[mesh.faces], 1, 0)
    volume = np.einsum("ij,ij->", a, np.cross(b, c))
    return bool(volume > 0 and np.array_equal(np.sort(forward), np.sort(backward)))


def as_bytes(values: np.ndarray) -> bytes:
    """The values as packed float32."""
    return np.ascontiguousarray(values, np.float32).tobytes()

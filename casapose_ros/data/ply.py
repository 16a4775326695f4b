"""Writing meshes as BOP does: binary PLY in millimetres, textured or with vertex colours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from casapose_ros.data.meshes import Mesh
from casapose_ros.data.models_info import MM


def write_ply(path: str | Path, mesh: Mesh) -> None:
    """Write a mesh in BOP's form; a texture goes to a PNG of the same name beside it."""
    path = Path(path)
    columns = {axis: mesh.vertices[:, i] * MM for i, axis in enumerate("xyz")}
    columns |= {f"n{axis}": mesh.normals[:, i] for i, axis in enumerate("xyz")}
    comments = []
    if mesh.texture is not None:
        texture_path = path.with_suffix(".png")
        Image.fromarray(mesh.texture).save(texture_path)
        comments = [f"comment TextureFile {texture_path.name}"]
        columns |= {"texture_u": mesh.uv[:, 0], "texture_v": mesh.uv[:, 1]}
    fields = [(name, "<f4") for name in columns]
    if mesh.colours is not None:
        columns |= {name: mesh.colours[:, i] for i, name in enumerate(("red", "green", "blue"))}
        fields += [(name, "u1") for name in ("red", "green", "blue")]
    vertices = np.empty(len(mesh.vertices), dtype=fields)
    for name, values in columns.items():
        vertices[name] = values
    faces = np.empty(len(mesh.faces), dtype=[("count", "u1"), ("indices", "<i4", (3,))])
    faces["count"], faces["indices"] = 3, mesh.faces
    header = [
        "ply",
        "format binary_little_endian 1.0",
        *comments,
        f"element vertex {len(vertices)}",
        *(f"property {'uchar' if kind == 'u1' else 'float'} {name}" for name, kind in fields),
        f"element face {len(faces)}",
        "property list uchar int vertex_indices",
        "end_header\n",
    ]
    path.write_bytes("\n".join(header).encode() + vertices.tobytes() + faces.tobytes())

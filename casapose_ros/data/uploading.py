"""Meshes and textures in the graphics memory."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import moderngl
import numpy as np

from casapose_ros.data.colours import BARE_GREY
from casapose_ros.data.detail import Volume, colour_volume, levels_of_detail, median_edge
from casapose_ros.data.meshes import Mesh
from casapose_ros.data.surfaces import is_closed


@dataclass(frozen=True)
class UploadedMesh:
    """A mesh in the graphics memory.

    Attributes:
        passes: One vertex array per rendering pass, by its name.
        closed: Whether the far side can never be seen.
        low: (3,) metres, corner of its box.
        high: (3,) metres, opposite corner.
    """

    passes: dict[str, moderngl.VertexArray]
    closed: bool
    low: np.ndarray
    high: np.ndarray


def upload_mesh(
    context: moderngl.Context,
    programs: dict[str, moderngl.Program],
    mesh: Mesh,
    closed: bool = False,
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
    return UploadedMesh(passes, closed, mesh.vertices.min(axis=0), mesh.vertices.max(axis=0))


@dataclass(frozen=True)
class UploadedBody:
    """A mesh with all its levels of detail and what colours it.

    Attributes:
        levels: Edge of the cells in metres (0: as it is) and the mesh, from fine to coarse.
        texture: The mesh's own texture, or None.
        volume: Colours of the coarser levels, or None if there are no such levels or colours.
        volume_texture: The same in the graphics memory.
        grain: Metres: what is seen finer than this has to be drawn as it is.
    """

    levels: tuple[tuple[float, UploadedMesh], ...]
    texture: moderngl.Texture | None
    volume: Volume | None
    volume_texture: moderngl.Texture3D | None
    grain: float

    @property
    def box(self) -> tuple[np.ndarray, np.ndarray]:
        """(3,) low and (3,) high corner, metres."""
        return self.levels[0][1].low, self.levels[0][1].high

    def level(self, resolution: float) -> tuple[float, UploadedMesh]:
        """The coarsest level whose cells are at most as large as this, metres."""
        return [level for level in self.levels if level[0] <= resolution][-1]


def upload_body(
    context: moderngl.Context, programs: dict[str, moderngl.Program], mesh: Mesh
) -> UploadedBody:
    """Upload a mesh; of a dense one also its coarser levels, and its colours as a volume."""
    levels = levels_of_detail(mesh)
    texture = None if mesh.texture is None else upload_texture(context, mesh.texture)
    volume, volume_texture, grain = None, None, 0.0
    if len(levels) > 1 and (mesh.texture is not None or mesh.colours is not None):
        volume = colour_volume(mesh)
        volume_texture = upload_volume(context, volume)
        # A texture is sharper than the volume, vertex colours are if their triangles are smaller.
        sharper = mesh.texture is not None or median_edge(mesh) < volume.voxel
        grain = volume.voxel if sharper else 0.0
    closed = is_closed(mesh)
    uploaded = tuple((cell, upload_mesh(context, programs, m, closed)) for cell, m in levels)
    return UploadedBody(uploaded, texture, volume, volume_texture, grain)


class TextureCache:
    """Textures in the graphics memory, uploaded when first used; the oldest ones leave.

    Args:
        context: Where to.
        capacity: How many to keep; more than one stage uses.
    """

    def __init__(self, context: moderngl.Context, capacity: int = 256) -> None:
        self._context, self._capacity = context, capacity
        # The arrays are kept too: while they live, no other can have their id.
        self._kept: OrderedDict[int, tuple[np.ndarray, moderngl.Texture]] = OrderedDict()

    def get(self, image: np.ndarray) -> moderngl.Texture:
        """The texture of an (h, w, 3) uint8 RGB array; the first row is at v = 0 there."""
        key = id(image)
        if key not in self._kept:
            if len(self._kept) >= self._capacity:
                self._kept.popitem(last=False)[1][1].release()
            self._kept[key] = image, upload_texture(self._context, image)
        self._kept.move_to_end(key)
        return self._kept[key][1]


def upload_texture(context: moderngl.Context, image: np.ndarray) -> moderngl.Texture:
    """Upload (h, w, 3) uint8 RGB with mipmaps, repeated beyond its edges."""
    height, width = image.shape[:2]
    data = np.ascontiguousarray(image).tobytes()
    texture = context.texture((width, height), 3, data, alignment=1)
    texture.build_mipmaps()
    texture.filter = (moderngl.LINEAR_MIPMAP_NEAREST, moderngl.LINEAR)
    return texture


def upload_volume(context: moderngl.Context, volume: Volume) -> moderngl.Texture3D:
    """Upload a volume of colours, which ends at its faces."""
    texture = upload_colours(context, volume.colours)
    texture.repeat_x = texture.repeat_y = texture.repeat_z = False
    return texture


def upload_colours(context: moderngl.Context, colours: np.ndarray) -> moderngl.Texture3D:
    """Upload (d, h, w, 4) uint8, repeated beyond its faces."""
    depth, height, width = colours.shape[:3]
    texture = context.texture3d((width, height, depth), 4, colours.tobytes())
    texture.filter = (moderngl.LINEAR, moderngl.LINEAR)
    return texture


def as_bytes(values: np.ndarray) -> bytes:
    """The values as packed float32."""
    return np.ascontiguousarray(values, np.float32).tobytes()

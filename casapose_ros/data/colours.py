"""The colours of a mesh, from its texture or its vertices."""

from __future__ import annotations

import numpy as np
import trimesh

from casapose_ros.data.meshes import Mesh

BARE_GREY = 0.7
"""Brightness of a mesh without texture and colours."""


def surface_colours(
    rng: np.random.Generator, mesh: Mesh, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Random places of the surface, every part of it as likely, and their colours.

    Returns:
        (count, 3) metres and (count, 3) uint8 RGB.
    """
    areas = trimesh.triangles.area(mesh.vertices[mesh.faces])
    corners = mesh.faces[rng.choice(len(areas), count, p=areas / areas.sum())]
    weights = rng.dirichlet((1, 1, 1), count)
    points = (weights[..., None] * mesh.vertices[corners]).sum(axis=1)
    colours = colours_at(mesh, corners, weights)
    if colours is None:
        return points, np.full((count, 3), round(255 * BARE_GREY), np.uint8)
    return points, colours


def colours_at(mesh: Mesh, corners: np.ndarray, weights: np.ndarray) -> np.ndarray | None:
    """The colours inside triangles; None if the mesh has none.

    Args:
        mesh: The mesh.
        corners: (n, 3) indices of vertices.
        weights: (n, 3) barycentric weights of these corners.

    Returns:
        (n, 3) uint8 RGB.
    """
    weights = weights[..., None]
    if mesh.texture is not None:
        return _looked_up(mesh.texture, (weights * mesh.uv[corners]).sum(axis=1))
    if mesh.colours is None:
        return None
    return (weights * mesh.colours[corners]).sum(axis=1).round().astype(np.uint8)


def _looked_up(texture: np.ndarray, uv: np.ndarray) -> np.ndarray:
    """(n, 3) texels at (n, 2) texture coordinates."""
    height, width = texture.shape[:2]
    uv = uv % 1.0
    rows = ((1 - uv[:, 1]) * height).astype(int).clip(0, height - 1)
    columns = (uv[:, 0] * width).astype(int).clip(0, width - 1)
    return texture[rows, columns]

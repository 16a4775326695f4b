"""Other scans of known meshes, made from them: moved, resampled, noisy, with a part missing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import trimesh
from scipy.spatial.transform import Rotation

from casapose_ros.data.meshes import Mesh

NOISE = 0.0002
"""Standard deviation of each vertex coordinate, metres."""


def subdivided(mesh: Mesh) -> Mesh:
    """Four triangles in place of each."""
    extra = {} if mesh.uv is None else {"uv": mesh.uv}
    vertices, faces, extra = trimesh.remesh.subdivide(
        mesh.vertices, mesh.faces, vertex_attributes=extra
    )
    return Mesh(vertices, faces, np.zeros_like(vertices), extra.get("uv"), mesh.texture)


def cut(mesh: Mesh, rng: np.random.Generator, part: float) -> Mesh:
    """Without the part of its surface that lies farthest in a random direction."""
    corners = mesh.vertices[mesh.faces]
    areas = np.linalg.norm(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
    )
    depth = corners.mean(axis=1) @ rng.normal(size=3)
    order = np.argsort(depth)
    inside = np.cumsum(areas[order]) <= (1 - part) * areas.sum()
    return replace(mesh, faces=mesh.faces[order[inside]])


def moved(mesh: Mesh, rng: np.random.Generator, scale: float = 1.0) -> tuple[Mesh, np.ndarray]:
    """In another frame, and noisy; and (4, 4) from that frame back to the mesh's own."""
    T = np.eye(4)
    T[:3, :3] = Rotation.random(random_state=rng.integers(2**31)).as_matrix()
    T[:3, 3] = rng.uniform(-0.3, 0.3, 3)
    points = scale * mesh.vertices + rng.normal(0, NOISE, mesh.vertices.shape)
    return replace(mesh, vertices=(points - T[:3, 3]) @ T[:3, :3]), T


def largest_error(T: np.ndarray, T_true: np.ndarray, mesh: Mesh) -> tuple[float, float]:
    """Of a found transform: mm at the worst vertex of the reference, and degrees."""
    error = T @ np.linalg.inv(T_true)
    shift = trimesh.transform_points(mesh.vertices, error) - mesh.vertices
    angle = Rotation.from_matrix(error[:3, :3]).magnitude()
    return 1000 * float(np.linalg.norm(shift, axis=1).max()), float(np.rad2deg(angle))

"""Which way the faces of a mesh look: detecting what was exported inside out, and repairing it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import trimesh
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from casapose_ros.data.meshes import Mesh

INWARDS = -0.01
"""Signed volume over area^1.5 below which a surface looks inwards; a sphere has 0.09."""
WORTH_MENTIONING = 0.01
"""Share of the faces; bubbles inside a scan look inwards rightly, and turning them is harmless."""


def is_closed(mesh: Mesh) -> bool:
    """Whether every edge has exactly one face on either side and all faces look outwards."""
    ends = _edges(welded(mesh)[mesh.faces])
    forward, backward = ends @ [len(mesh.vertices), 1], ends @ [1, len(mesh.vertices)]
    a, b, c = np.moveaxis(mesh.vertices[mesh.faces], 1, 0)
    volume = np.einsum("ij,ij->", a, np.cross(b, c))
    return bool(volume > 0 and np.array_equal(np.sort(forward), np.sort(backward)))


def welded(mesh: Mesh) -> np.ndarray:
    """(V,) int64, the same number for vertices at the same place."""
    _, numbers = np.unique(mesh.vertices.round(6), axis=0, return_inverse=True)
    return numbers.reshape(-1).astype(np.int64)


def with_outward_faces(mesh: Mesh) -> tuple[Mesh, str]:
    """Turn faces that look inwards, piece by piece.

    Returns:
        The mesh, repaired if that was possible, and what was wrong with it: an empty string if
        nothing was.
    """
    turned = _faces_to_turn(mesh)
    if turned is None:
        return mesh, "its faces look in and out without a system; both sides are drawn alike"
    if not turned.any():
        return mesh, ""
    faces = np.where(turned[:, None], mesh.faces[:, ::-1], mesh.faces)
    normals = trimesh.Trimesh(mesh.vertices, faces, process=False).vertex_normals
    repaired = replace(mesh, faces=np.ascontiguousarray(faces, np.int32), normals=normals.copy())
    if turned.sum() < WORTH_MENTIONING * len(faces):
        return repaired, ""
    return repaired, f"{turned.sum()} of {len(faces)} faces looked inwards and were turned"


def _faces_to_turn(mesh: Mesh) -> np.ndarray | None:
    """(F,) bool, or None if some piece has no two sides.

    Every face is two nodes, as it is and turned; neighbours that agree tie like to like, others
    tie each to the other's opposite. A connected set of nodes is then one way to wind a piece.
    """
    count = len(mesh.faces)
    first, second, agree = _neighbours(mesh)
    rows = np.concatenate([first, first + count])
    columns = np.concatenate(
        [np.where(agree, second, second + count), np.where(agree, second + count, second)]
    )
    graph = coo_matrix((np.ones(len(rows)), (rows, columns)), shape=(2 * count, 2 * count))
    number, component = connected_components(graph, directed=False)
    kept, turned = component[:count], component[count:]
    if (kept == turned).any():
        return None
    size = np.bincount(component, minlength=number)[kept]
    as_is = np.bincount(kept, minlength=number)[kept]
    fullness = _fullness(mesh, kept, turned, number)[kept]
    # Where the volume says nothing (a sheet), as few faces as possible are turned.
    flat = np.abs(fullness) <= -INWARDS
    return (fullness < INWARDS) | (flat & (2 * as_is < size))


def _neighbours(mesh: Mesh) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of faces with a common edge that no third has, and whether they run it oppositely."""
    ends = _edges(welded(mesh)[mesh.faces])
    owner = np.tile(np.arange(len(mesh.faces)), 3)
    key = np.sort(ends, axis=1) @ [len(mesh.vertices), 1]
    order = np.argsort(key, kind="stable")
    _, start, counts = np.unique(key[order], return_index=True, return_counts=True)
    start = start[counts == 2]
    one, two = order[start], order[start + 1]
    return owner[one], owner[two], ends[one, 0] == ends[two, 1]


def _fullness(mesh: Mesh, kept: np.ndarray, turned: np.ndarray, number: int) -> np.ndarray:
    """(number,) signed volume over area^1.5 of each winding, about its own middle."""
    a, b, c = np.moveaxis(mesh.vertices[mesh.faces], 1, 0)
    scaled = np.cross(b - a, c - a) / 2
    area = np.tile(np.linalg.norm(scaled, axis=1), 2)
    middle = np.tile((a + b + c) / 3, (2, 1))
    both = np.concatenate([kept, turned])
    areas = np.maximum(np.bincount(both, area, number), 1e-15)
    moments = [np.bincount(both, area * column, number) for column in middle.T]
    centres = np.stack(moments, axis=1) / areas[:, None]
    heights = np.einsum("ij,ij->i", middle - centres[both], np.concatenate([scaled, -scaled]))
    return np.bincount(both, heights / 3, number) / areas**1.5


def _edges(faces: np.ndarray) -> np.ndarray:
    """(3F, 2) directed edges."""
    return np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])

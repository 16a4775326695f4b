"""Lighter stand-ins for scanned meshes: fewer triangles far away, and colours in a volume.

A scan has a triangle per pixel or more, and software OpenGL spends its time on triangles. Its
vertices are clustered in cells (Rossignac and Borrel 1993); the new vertex is where the planes of
the cell's triangles meet best (Lindstrom 2000), so that the surface hardly moves. The colours,
which would go with the vertices, are kept in a grid round the surface instead.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import trimesh
from scipy.ndimage import uniform_filter

from casapose_ros.data.colours import surface_colours
from casapose_ros.data.meshes import Mesh
from casapose_ros.data.surfaces import welded

DENSE_FACES = 3000
"""From so many triangles on a mesh gets coarser levels."""
CELLS_M = (0.0015, 0.002, 0.003, 0.0045, 0.0065, 0.01)
"""Edges of the cells, metres."""
WORTHWHILE = 0.6
"""A level is kept if it has at most this share of the last one's triangles."""
FLATNESS = 0.02
"""Weight of the cell's mean against the planes; it decides where these leave a vertex free."""
VOXELS = 112
"""Along the longest side of a volume of colours."""
MIN_VOXEL_M = 0.001
SPREAD_VOXELS = 3
"""How far colours reach from the surface."""
SAMPLES_PER_VOXEL = 4
"""Colours are looked up at so many places of a surface as large as a voxel's side."""
MAX_SAMPLES = 4_000_000


@dataclass(frozen=True)
class Volume:
    """Colours in space round a surface.

    Attributes:
        colours: (Z, Y, X, 4) uint8 RGB and 255.
        low: (3,) metres, corner of the first voxel.
        size: (3,) metres, extent of the volume along x, y, z.
    """

    colours: np.ndarray
    low: np.ndarray
    size: np.ndarray

    @property
    def voxel(self) -> float:
        """Edge of a voxel, metres."""
        return float(self.size[0] / self.colours.shape[2])


def levels_of_detail(mesh: Mesh) -> list[tuple[float, Mesh]]:
    """The mesh and coarser ones, each with the edge of its cells in metres (0 for the mesh)."""
    levels = [(0.0, mesh)]
    if len(mesh.faces) < DENSE_FACES:
        return levels
    for cell in CELLS_M:
        coarse = coarsened(mesh, cell)
        if 0 < len(coarse.faces) <= WORTHWHILE * len(levels[-1][1].faces):
            levels.append((cell, coarse))
    return levels


def coarsened(mesh: Mesh, cell: float) -> Mesh:
    """One place per cell of the given edge (metres) and side of the surface; no colours.

    Vertices at one place stay together, or the surface would gape along hard edges and the seams of
    textures; they keep normals of their own.
    """
    place = welded(mesh)
    normals = _sums(place, mesh.normals, place.max() + 1)[place]
    cluster = _numbered(_cells(mesh.vertices.round(6), cell), _half_axes(normals))
    count = cluster.max() + 1
    weights = np.bincount(cluster, minlength=count)
    mean = _sums(cluster, mesh.vertices, count) / weights[:, None]
    places = mean + np.clip(_towards_planes(mesh, cluster, mean), -cell, cell)
    corner = _numbered(cluster[:, None], _half_axes(mesh.normals))
    vertices = np.zeros((corner.max() + 1, 3))
    vertices[corner] = places[cluster]
    normals = _sums(corner, mesh.normals, len(vertices))
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    a, b, c = cluster[mesh.faces].T
    faces = corner[mesh.faces][(a != b) & (b != c) & (c != a)]
    return Mesh(vertices, faces.astype(np.int32), normals)


def colour_volume(mesh: Mesh) -> Volume:
    """Colours of a mesh, from its vertex colours or its texture, in a grid."""
    low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
    voxel = max((high - low).max() / VOXELS, MIN_VOXEL_M)
    area = trimesh.triangles.area(mesh.vertices[mesh.faces]).sum()
    count = int(np.clip(SAMPLES_PER_VOXEL * area / voxel**2, 1, MAX_SAMPLES))
    points, colours = surface_colours(np.random.default_rng(0), mesh, count)
    low = low - SPREAD_VOXELS * voxel
    shape = np.ceil((high - low) / voxel).astype(int) + SPREAD_VOXELS
    index = np.ravel_multi_index(tuple(((points - low) / voxel).astype(int).T), shape)
    cells = shape.prod()
    weight = np.bincount(index, minlength=cells).astype(np.float32).reshape(shape)
    sums = [np.bincount(index, c, cells).astype(np.float32).reshape(shape) for c in colours.T]
    grid = np.stack([*_spread(sums, weight), np.full(shape, 255, np.float32)], axis=-1)
    return Volume(
        colours=np.ascontiguousarray(grid.round().clip(0, 255).astype(np.uint8).swapaxes(0, 2)),
        low=low,
        size=shape * voxel,
    )


def median_edge(mesh: Mesh) -> float:
    """Median length of the triangles' edges, metres."""
    corners = mesh.vertices[mesh.faces]
    return float(np.median(np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2)))


def _cells(points: np.ndarray, cell: float) -> np.ndarray:
    """(N, 3) number of the cell along each axis in which a point lies."""
    return np.floor((points - points.min(axis=0)) / cell).astype(np.int64)


def _half_axes(normals: np.ndarray) -> np.ndarray:
    """(N, 1) which of the six half axes a normal is nearest to.

    Without this, the two sides of a thin wall would fall into one cell.
    """
    axis = np.abs(normals).argmax(axis=1)
    return (2 * axis + (normals[np.arange(len(axis)), axis] > 0))[:, None]


def _numbered(*columns: np.ndarray) -> np.ndarray:
    """(N,) the same number for the same row of (N, k) columns."""
    keys = np.hstack(columns)
    flat = np.ravel_multi_index(tuple(keys.T), tuple(keys.max(axis=0) + 1))
    return np.unique(flat, return_inverse=True)[1].reshape(-1)


def _towards_planes(mesh: Mesh, cluster: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """(C, 3) metres from each cluster's mean to the point nearest to its triangles' planes."""
    a, b, c = (mesh.vertices[mesh.faces[:, i]] for i in range(3))
    scaled = np.cross(b - a, c - a)
    area = np.linalg.norm(scaled, axis=1)
    normals = scaled / np.maximum(area, 1e-12)[:, None]
    count = len(mean)
    squares, sides = np.zeros((count, 9)), np.zeros((count, 3))
    products = (area[:, None, None] * normals[:, :, None] * normals[:, None]).reshape(-1, 9)
    for corner in range(3):
        owner = cluster[mesh.faces[:, corner]]
        offsets = np.einsum("ij,ij->i", normals, a - mean[owner])
        squares += _sums(owner, products, count)
        sides += _sums(owner, (area * offsets)[:, None] * normals, count)
    squares = squares.reshape(-1, 3, 3)
    pull = FLATNESS * np.trace(squares, axis1=1, axis2=2) + 1e-12
    squares += pull[:, None, None] * np.eye(3)
    return np.linalg.solve(squares, sides[..., None])[..., 0]


def _sums(owner: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    """(count, k) sums of (n, k) values by their owner."""
    return np.stack([np.bincount(owner, column, count) for column in values.T], axis=1)


def _spread(sums: list[np.ndarray], weight: np.ndarray) -> list[np.ndarray]:
    """Means of the voxels on the surface, carried on to those beside it."""
    filled = weight > 0
    values = [np.where(filled, s / np.maximum(weight, 1), 0).astype(np.float32) for s in sums]
    for _ in range(SPREAD_VOXELS):
        share = uniform_filter(filled.astype(np.float32), 3)
        reached = share > 1e-3
        around = [uniform_filter(v, 3) / np.maximum(share, 1e-3) for v in values]
        values = [
            np.where(filled, v, np.where(reached, a, 0))
            for v, a in zip(values, around, strict=True)
        ]
        filled = filled | reached
    return values

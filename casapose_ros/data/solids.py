"""The shapes of the demo objects: convex paper solids, their faces and their tessellation.

Lengths are millimetres here, as on the printed sheet; ``demo_objects`` turns them into metres.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

GRID_MM = 10.0
"""Longest edge of a mesh triangle: pose errors (ADD) are averaged over the vertices."""


@dataclass(frozen=True)
class Face:
    """A flat polygon with its own 2D frame.

    Attributes:
        corners: (n, 3) mm, object frame, anticlockwise seen from outside.
        origin: (3,) mm, object frame; the lower left corner of the face's bounding rectangle.
        axes: (2, 3) unit vectors: the face's x (right) and y (up) seen from outside.
    """

    corners: np.ndarray
    origin: np.ndarray
    axes: np.ndarray

    @property
    def outline(self) -> np.ndarray:
        """(n, 2) mm corners in the face's frame, x right and y up, all >= 0."""
        return (self.corners - self.origin) @ self.axes.T

    @property
    def size(self) -> np.ndarray:
        """(2,) mm width and height of the bounding rectangle."""
        return self.outline.max(axis=0)


@dataclass(frozen=True)
class Solid:
    """A convex polyhedron standing on its first face, z up, origin at the centre of its box.

    Attributes:
        name: The object's name.
        vertices: (V, 3) float64 mm.
        faces: Vertex indices of each face, anticlockwise seen from outside; the base first.
        rotations: Angles in radians about z that leave the textured object looking the same.
    """

    name: str
    vertices: np.ndarray
    faces: tuple[tuple[int, ...], ...]
    rotations: tuple[float, ...] = ()

    def face(self, index: int) -> Face:
        """The polygon of a face; its y axis points up, or along the object's y if it is level."""
        corners = self.vertices[list(self.faces[index])]
        normal = np.cross(corners[1] - corners[0], corners[2] - corners[1])
        normal /= np.linalg.norm(normal)
        up = np.array([0.0, 1.0, 0.0]) if abs(normal[2]) > 1 - 1e-9 else np.array([0.0, 0.0, 1.0])
        y = up - normal * (up @ normal)
        y /= np.linalg.norm(y)
        axes = np.stack([np.cross(y, normal), y])
        origin = corners[0] + ((corners - corners[0]) @ axes.T).min(axis=0) @ axes
        return Face(corners, origin, axes)


def tessellate(outline: np.ndarray, pieces: int) -> tuple[np.ndarray, np.ndarray]:
    """Cover a convex polygon with triangles that split each of its edges into ``pieces``.

    The polygon is cut into a fan about its centroid. One number of pieces for all faces of a
    solid lets the vertices of neighbouring faces coincide, so no cracks show when rendering.

    Args:
        outline: (n, 2) or (n, 3) corners, anticlockwise.
        pieces: How many pieces each edge is cut into.

    Returns:
        points (P, 2) or (P, 3) and triangles (T, 3) int32, anticlockwise.
    """
    centre = outline.mean(axis=0)
    steps = [(i, j) for i in range(pieces + 1) for j in range(pieces + 1 - i)]
    index = {step: k for k, step in enumerate(steps)}
    weights = np.array(steps, dtype=np.float64) / pieces
    triangles = []
    for i, j in steps:
        if i + j < pieces:
            triangles.append((index[i, j], index[i + 1, j], index[i, j + 1]))
        if i + j < pieces - 1:
            triangles.append((index[i + 1, j], index[i + 1, j + 1], index[i, j + 1]))
    points = np.concatenate(
        [
            centre + weights @ np.stack([a - centre, b - centre])
            for a, b in zip(outline, np.roll(outline, -1, axis=0), strict=True)
        ]
    )
    offsets = len(steps) * np.arange(len(outline))
    faces = (np.array(triangles)[None] + offsets[:, None, None]).reshape(-1, 3)
    _, first, inverse = np.unique(
        np.round(points, 6), axis=0, return_index=True, return_inverse=True
    )
    return points[first], inverse.reshape(-1)[faces].astype(np.int32)


def pieces_per_edge(solid: Solid) -> int:
    """Pieces that keep every edge of a solid's triangles at ``GRID_MM`` or below."""
    edges = [
        np.linalg.norm(solid.vertices[a] - solid.vertices[b])
        for face in solid.faces
        for a, b in zip(face, face[1:] + face[:1], strict=True)
    ]
    return int(np.ceil(max(edges) / GRID_MM))


def _solid(name: str, vertices: object, faces: list[tuple[int, ...]], turns: int = 1) -> Solid:
    vertices = np.asarray(vertices, dtype=np.float64)
    vertices = vertices - (vertices.min(axis=0) + vertices.max(axis=0)) / 2
    rotations = tuple(2 * np.pi * k / turns for k in range(1, turns))
    return Solid(name, vertices, tuple(faces), rotations)


def _prism(name: str, outline: np.ndarray, height: float, turns: int = 1) -> Solid:
    """A prism standing on an (n, 2) polygon given anticlockwise seen from above."""
    n = len(outline)
    vertices = np.concatenate([np.column_stack([outline, np.full(n, z)]) for z in (0.0, height)])
    sides = [(i, (i + 1) % n, n + (i + 1) % n, n + i) for i in range(n)]
    return _solid(name, vertices, [tuple(range(n))[::-1], tuple(range(n, 2 * n)), *sides], turns)


def _lying_prism(name: str, profile: list[tuple[float, float]], length: float) -> Solid:
    """A prism along y, lying on the first edge of its (x, z) profile.

    The profile is anticlockwise with x to the right and z up.
    """
    n = len(profile)
    vertices = [(x, y, z) for y in (0.0, length) for x, z in profile]
    sides = [(i, n + i, n + (i + 1) % n, (i + 1) % n) for i in range(n)]
    return _solid(name, vertices, [*sides, tuple(range(n)), tuple(range(n, 2 * n))[::-1]])


def _pyramid(name: str, outline: np.ndarray, height: float) -> Solid:
    n = len(outline)
    apex = [*outline.mean(axis=0), height]
    vertices = np.concatenate([np.column_stack([outline, np.zeros(n)]), [apex]])
    sides = [(i, (i + 1) % n, n) for i in range(n)]
    return _solid(name, vertices, [tuple(range(n))[::-1], *sides])


def _rectangle(width: float, depth: float) -> np.ndarray:
    return np.array([(0, 0), (width, 0), (width, depth), (0, depth)], dtype=np.float64)


def _regular(sides: int, edge: float) -> np.ndarray:
    angle = 2 * np.pi * np.arange(sides) / sides
    return edge / (2 * np.sin(np.pi / sides)) * np.column_stack([np.cos(angle), np.sin(angle)])


def demo_solids() -> tuple[Solid, ...]:
    """The seven solids in the order of their class ids 1..7; diameters 15 to 18 cm."""
    return (
        _prism("cube", _rectangle(100, 100), 100),
        _prism("cuboid", _rectangle(140, 90), 60),
        _lying_prism("wedge", [(0, 0), (100, 0), (50, 50 * np.sqrt(3))], 130),
        _pyramid("pyramid", _rectangle(110, 110), 115),
        _prism("hexagon", _regular(6, 55), 110, turns=6),
        _lying_prism("house", [(0, 0), (90, 0), (90, 65), (45, 115), (0, 65)], 110),
        _pyramid("tetrahedron", _regular(3, 155), 155 * np.sqrt(2 / 3)),
    )

"""Unit solids for distractors: each fits a cube of edge 1 about the origin, z up.

Their names begin with a tilde, which no known object's name can have.
"""

from __future__ import annotations

import numpy as np

from casapose_ros.data.meshes import Mesh


def primitive_meshes() -> dict[str, Mesh]:
    """The distractors' shapes by name, with texture coordinates."""
    turn = np.linspace(0, 2 * np.pi, 25)
    arc = np.linspace(-np.pi / 2, np.pi / 2, 13)
    disc = [(0, -0.5), (0.5, -0.5), (0.5, -0.5)]
    return {
        "~box": extruded([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)]),
        "~wedge": extruded([(-0.5, -0.5), (0.5, -0.5), (-0.5, 0.5)]),
        "~hexagon": extruded(polygon(6)),
        "~ell": extruded(
            [(-0.5, -0.5), (0.5, -0.5), (0.5, -0.1), (-0.1, -0.1), (-0.1, 0.5), (-0.5, 0.5)]
        ),
        "~cylinder": turned([*disc, (0.5, 0.5), (0.5, 0.5), (0, 0.5)], turn),
        "~cone": turned([*disc, (0, 0.5)], turn),
        "~bottle": turned([*disc, (0.5, 0.1), (0.2, 0.3), (0.2, 0.5), (0, 0.5)], turn),
        "~sphere": turned([(0.5 * np.cos(a), 0.5 * np.sin(a)) for a in arc], turn),
    }


def polygon(sides: int) -> list[tuple[float, float]]:
    angles = np.arange(sides) * 2 * np.pi / sides
    return [(0.5 * np.cos(a), 0.5 * np.sin(a)) for a in angles]


def extruded(outline: list[tuple[float, float]], from_middle: bool = False) -> Mesh:
    """A straight prism over an outline that is seen whole from its first corner, or the origin."""
    below = [(x, y, -0.5) for x, y in outline]
    above = [(x, y, 0.5) for x, y in outline]
    n = len(outline)
    sides = [[below[i], below[(i + 1) % n], above[(i + 1) % n], above[i]] for i in range(n)]
    lids = [[below[0], *below[:0:-1]], above]
    if from_middle:
        lids = [[(0.0, 0.0, lid[0][2]), *lid, lid[0]] for lid in lids]
    return _flat_faces([*lids, *sides])


def _flat_faces(faces: list[list[tuple[float, float, float]]]) -> Mesh:
    """Polygons (as fans from their first vertex) with one normal and one texture each."""
    vertices, normals, uv, triangles = [], [], [], []
    for face in faces:
        points = np.array(face, dtype=float)
        edge = points[1] - points[0]
        edge /= np.linalg.norm(edge)
        normal = np.cross(edge, points[2] - points[0])
        normal /= np.linalg.norm(normal)
        start = sum(len(v) for v in vertices)
        flat = (points - points[0]) @ np.stack([edge, np.cross(normal, edge)]).T
        vertices.append(points)
        normals.append(np.tile(normal, (len(points), 1)))
        uv.append((flat - flat.min(axis=0)) / np.ptp(flat, axis=0).max())
        triangles += [(start, start + i, start + i + 1) for i in range(1, len(points) - 1)]
    return _mesh(np.concatenate(vertices), triangles, np.concatenate(normals), np.concatenate(uv))


def turned(profile: list[tuple[float, float]], turn: np.ndarray) -> Mesh:
    """A profile of (radius, height) turned about z; doubled points make a sharp edge."""
    points = np.array(profile, dtype=float)
    tangents = np.gradient(points, axis=0)
    for i in np.flatnonzero((np.diff(points, axis=0) == 0).all(axis=1)):
        tangents[i], tangents[i + 1] = points[i] - points[i - 1], points[i + 2] - points[i + 1]
    slopes = np.stack([tangents[:, 1], -tangents[:, 0]], axis=1)
    slopes /= np.linalg.norm(slopes, axis=1, keepdims=True)
    cosine, sine = np.cos(turn)[:, None], np.sin(turn)[:, None]

    def spin(radial: np.ndarray, axial: np.ndarray) -> np.ndarray:
        ones = np.ones_like(cosine)
        return np.stack([radial * cosine, radial * sine, axial * ones], axis=-1).reshape(-1, 3)

    columns, rows = len(turn), len(points)
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    around, along = turn[:, None] / turn[-1], length[None] / length[-1]
    uv = np.stack(np.broadcast_arrays(around, along), axis=-1)
    i, j = np.meshgrid(np.arange(columns - 1), np.arange(rows - 1), indexing="ij")
    corner = (i * rows + j).reshape(-1)
    triangles = np.concatenate(
        [
            np.stack([corner, corner + rows, corner + rows + 1], axis=1),
            np.stack([corner, corner + rows + 1, corner + 1], axis=1),
        ]
    )
    vertices, normals = spin(*points.T), spin(*slopes.T)
    return _mesh(vertices, triangles, normals, uv.reshape(-1, 2))


def _mesh(vertices: np.ndarray, triangles: object, normals: np.ndarray, uv: np.ndarray) -> Mesh:
    # No texture of its own: every instance brings one.
    return Mesh(vertices, np.array(triangles, dtype=np.int32), normals, uv)

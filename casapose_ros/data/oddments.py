"""Random solids for distractors: bowls, bottles, gears, lumps, rings and what is glued of them.

Each fills a cube of edge 1 about the origin, z up, and has texture coordinates.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import trimesh

from casapose_ros.data.meshes import Mesh
from casapose_ros.data.primitives import extruded, polygon, turned
from casapose_ros.geometry import rotation_from_vector

ROUND = np.linspace(0, 2 * np.pi, 25)


def random_shape(rng: np.random.Generator) -> Mesh:
    """Any of the kinds below, alone or glued to others."""
    if rng.random() < 0.3:
        return _filling_cube(_glued(rng))
    return _filling_cube(KINDS[rng.integers(len(KINDS))](rng))


def spindle(rng: np.random.Generator) -> Mesh:
    """A turned solid of random profile: bottles, bulbs, chess men."""
    heights = np.sort(rng.uniform(-0.5, 0.5, rng.integers(2, 6)))
    radii = rng.uniform(0.1, 0.5, len(heights))
    profile = [(0.0, -0.5), (radii[0], -0.5), (radii[0], -0.5)]
    for height, radius in zip(heights, radii, strict=True):
        profile.append((radius, height))
        if rng.random() < 0.4:  # a sharp edge
            profile.append((radius, height))
    profile += [(radii[-1], 0.5), (radii[-1], 0.5), (0.0, 0.5)]
    return turned(_distinct(profile), ROUND)


def bowl(rng: np.random.Generator) -> Mesh:
    """A hollow turned solid, open above: cups, bowls, plates."""
    foot, rim, wall = rng.uniform(0.2, 0.5), rng.uniform(0.3, 0.5), rng.uniform(0.03, 0.08)
    belly = (foot + rim) / 2 + rng.uniform(-0.1, 0.1)
    outside = [(foot, -0.5), (foot, -0.5), (belly, 0.0), (rim, 0.5), (rim, 0.5)]
    inside = [(rim - wall, 0.5), (rim - wall, 0.5), (belly - wall, 0.0), (foot - wall, -0.42)]
    bottom = [(foot - wall, -0.42), (0.0, -0.42)]
    return turned(_distinct([(0.0, -0.5), *outside, *inside, *bottom]), ROUND)


def prism(rng: np.random.Generator) -> Mesh:
    """A straight prism over a regular polygon or a star: nuts, gears, biscuit cutters."""
    teeth = int(rng.integers(3, 10))
    outline = np.array(polygon(2 * teeth))
    outline[1::2] *= rng.uniform(0.5, 1.0)
    return extruded([tuple(p) for p in outline], from_middle=True)


def lump(rng: np.random.Generator) -> Mesh:
    """A ball pushed in and out: stones, fruit, toys."""
    ball = trimesh.creation.icosphere(subdivisions=2)
    points = np.array(ball.vertices)
    waves = rng.normal(0, 1.6, (6, 3))
    ripple = np.sin(points @ waves.T + rng.uniform(0, 6, 6)) @ rng.uniform(-0.12, 0.12, 6)
    return _smooth(points * (1 + ripple[:, None]), np.array(ball.faces))


def ring(rng: np.random.Generator) -> Mesh:
    """A torus: rolls of tape, handles."""
    torus = trimesh.creation.torus(1.0, rng.uniform(0.1, 0.4), major_sections=24, minor_sections=10)
    return _smooth(np.array(torus.vertices), np.array(torus.faces))


KINDS = (spindle, bowl, prism, lump, ring)


def _glued(rng: np.random.Generator) -> Mesh:
    """Two or three solids stuck into each other."""
    parts = []
    for _ in range(rng.integers(2, 4)):
        part = _filling_cube(KINDS[rng.integers(len(KINDS))](rng))
        R = rotation_from_vector(rng.uniform(-np.pi, np.pi, 3))
        scale, shift = rng.uniform(0.3, 1.0, 3), rng.uniform(-0.4, 0.4, 3)
        normals = (part.normals / scale) @ R.T
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        vertices = (part.vertices * scale) @ R.T + shift
        parts.append(replace(part, vertices=vertices, normals=normals))
    starts = np.cumsum([0, *(len(p.vertices) for p in parts)])
    return Mesh(
        np.concatenate([p.vertices for p in parts]),
        np.concatenate([p.faces + s for p, s in zip(parts, starts, strict=False)]),
        np.concatenate([p.normals for p in parts]),
        np.concatenate([p.uv for p in parts]),
    )


def _smooth(vertices: np.ndarray, faces: np.ndarray) -> Mesh:
    """A mesh with smooth normals and the texture laid on from the side."""
    normals = np.array(trimesh.Trimesh(vertices, faces, process=False).vertex_normals)
    uv = (vertices[:, [0, 2]] - vertices[:, [0, 2]].min(axis=0)) / np.ptp(vertices, axis=0).max()
    return Mesh(vertices, faces.astype(np.int32), normals, uv)


def _filling_cube(mesh: Mesh) -> Mesh:
    low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
    normals = mesh.normals * (high - low)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    vertices = (mesh.vertices - (low + high) / 2) / (high - low)
    return replace(mesh, vertices=vertices, normals=normals)


def _distinct(profile: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """No point more than twice in a row: twice makes a sharp edge."""
    kept: list[tuple[float, float]] = []
    for point in profile:
        if kept[-2:] != [point, point]:
            kept.append(point)
    return kept

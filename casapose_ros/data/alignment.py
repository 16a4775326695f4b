"""Where one scan of an object lies in another: the fixed transform between their frames.

Two scans of one object have their origins, axes and triangles each where the scanner put them. The
iterative closest point algorithm (ICP) starts from many rotations, because it only finds the
optimum nearby, and ends with distances to planes instead of points, which don't depend on the
triangles. Scale stays fixed, since both meshes are in metres; what only one scan has is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import trimesh
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation
from trimesh.registration import icp
from trimesh.transformations import transform_points

from casapose_ros.data.colours import colours_at
from casapose_ros.data.meshes import Mesh
from casapose_ros.errors import MeshError

POINTS, FINE_STEPS = 10_000, 30
MIDDLE_POINTS, MIDDLE_STEPS = 800, 12
COARSE_POINTS, COARSE_STEPS = 250, 15
CONVERGED = 1e-6
"""Change of the transform, radians and metres, below which it stays as it is."""
CANDIDATES = 32
"""Optima that are looked at closely; a cube has 24 that are equally good."""
SAME_ROTATION = np.deg2rad(8.0)
NEAR = 0.02
"""Surface farther from the other scan than this part of the diameter is in one scan only."""
LEAST_COMMON = 0.75
"""How much of each scan's surface the other must have."""
LARGEST_MEDIAN = 0.01
"""Median distance of two scans of one object, as a part of the diameter; others have over 3 %."""
LARGEST_GROWTH = 0.02
"""How much larger one of two scans of an object may be; scanners agree better on sizes."""
TIE_FACTOR, TIE_DISTANCE = 1.25, 0.001
"""An optimum ties with the best up to this factor plus this part of the diameter."""
COLOUR_MARGIN = 0.1
"""By how much colours must correlate better to decide among ties."""


@dataclass(frozen=True)
class Alignment:
    """How a scan lies in the frame of another one, the reference.

    Attributes:
        T_reference_obj: (4, 4) float64, metres: from the scan's frame to the reference's.
        median: Median distance between the surfaces where they have a common part, metres.
        percentile_95: 95 % of the common part is nearer than this, metres.
        common: Fraction of the surface of either scan, the smaller one, that the other has too.
        ties: Positions that fit as well and look as alike; 1 where there is no doubt.
    """

    T_reference_obj: np.ndarray
    median: float
    percentile_95: float
    common: float
    ties: int


@dataclass(frozen=True)
class _Surface:
    """(N, 3) points spread evenly over a mesh, metres, with normals and, where known, RGB."""

    points: np.ndarray
    normals: np.ndarray
    colours: np.ndarray | None
    tree: cKDTree
    spacing: float

    @classmethod
    def of(cls, mesh: Mesh) -> _Surface:
        bare = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
        points, faces = trimesh.sample.sample_surface(bare, POINTS, seed=0)
        weights = trimesh.triangles.points_to_barycentric(bare.triangles[faces], points)
        colours = colours_at(mesh, mesh.faces[faces], weights)
        spacing = float(np.sqrt(bare.area / POINTS))
        return cls(np.asarray(points), bare.face_normals[faces], colours, cKDTree(points), spacing)

    def nearest(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of (M, 3) points: distance from the surface, signed height above it, sample there."""
        distances, index = self.tree.query(points)
        heights = np.sum((points - self.points[index]) * self.normals[index], axis=1)
        # Beside the last sample at a rim, the plane goes on and the surface doesn't.
        beside = np.sqrt(np.maximum(distances**2 - heights**2, 0)) > 2 * self.spacing
        return np.where(beside, distances, np.abs(heights)), heights, index


@dataclass(frozen=True)
class _Fit:
    """A candidate: its transform, how far off it is (metres), and how well colours agree."""

    T: np.ndarray
    distance: float
    colour: float = 0.0


def align_meshes(mesh: Mesh, reference: Mesh, name: str) -> Alignment:
    """Find the transform that brings a scan onto another scan of the same object.

    Of several positions that fit equally well, as on symmetric objects, colours choose if both
    meshes have them; what they leave undecided is settled by the smallest rotation.

    Args:
        mesh: The scan.
        reference: The other scan; tessellation, colours and completeness may differ.
        name: What to call the object in messages.

    Raises:
        MeshError: No position fits: another object, another scale, or too little in common.
    """
    source, target = _Surface.of(mesh), _Surface.of(reference)
    diameter = reference.diameter
    fits = [_fit(source, target, T) for T in _coarse(source, target)]
    best = _best(fits, diameter)
    near = NEAR * diameter
    T = _refine(
        best[0].T, source.points, target, FINE_STEPS, lambda d: max(near, _common_quantile(d))
    )
    ways = _distances(source, target, T, POINTS)
    misfit = _shape_misfit(ways, diameter) or _size_misfit(source, target, T, near)
    if misfit:
        raise MeshError(
            f"{name}: the scan {misfit}. It is {1000 * mesh.diameter:.1f} mm across, the reference "
            f"{1000 * diameter:.1f} mm: another object, unit or scale?"
        )
    common = np.concatenate([way[way < near] for way in ways])
    return Alignment(
        T_reference_obj=T,
        median=float(np.median(common)),
        percentile_95=float(np.quantile(common, 0.95)),
        common=_common_part(ways, near),
        ties=len(best),
    )


def _shape_misfit(ways: Sequence[np.ndarray], diameter: float) -> str:
    """Why two aligned surfaces, given by their distances, are of two objects; empty if not."""
    median = max(float(np.median(way)) for way in ways)
    common = _common_part(ways, NEAR * diameter)
    if median <= LARGEST_MEDIAN * diameter and common >= LEAST_COMMON:
        return ""
    return (
        f"does not fit the reference: in the best position, half of the surface is "
        f"{1000 * median:.1f} mm off or more, and only {100 * common:.0f} % is within "
        f"{1000 * NEAR * diameter:.1f} mm"
    )


def _size_misfit(source: _Surface, target: _Surface, T: np.ndarray, near: float) -> str:
    """Why two surfaces of one shape are of two sizes; empty if they are not."""
    growth = _scale(source, target, T, near) - 1
    if abs(growth) <= LARGEST_GROWTH:
        return ""
    return (
        f"has the reference's shape, but is {100 * abs(growth):.1f} % "
        f"{'larger' if growth > 0 else 'smaller'}"
    )


def _common_part(ways: Sequence[np.ndarray], near: float) -> float:
    return min(float(np.mean(way < near)) for way in ways)


def _coarse(source: _Surface, target: _Surface) -> list[np.ndarray]:
    """Distinct optima of ICP from many rotations, best first."""
    few, some = source.points[:COARSE_POINTS], target.points[:MIDDLE_POINTS]
    found = []
    for R in _start_rotations(source.points, target.points):
        start = np.eye(4)
        start[:3, :3] = R
        start[:3, 3] = target.points.mean(axis=0) - R @ source.points.mean(axis=0)
        T, _, cost = icp(few, some, start, 0, COARSE_STEPS, reflection=False, scale=False)
        found.append(_Fit(T, cost))
    return [fit.T for fit in _distinct(found)[:CANDIDATES]]


def _start_rotations(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(S, 3, 3): all that put principal axes on principal axes, and an even cover of the rest."""
    axes = [np.linalg.svd(p - p.mean(axis=0), full_matrices=False)[2].T for p in (source, target)]
    of_source, of_target = (a * [1, 1, np.linalg.det(a)] for a in axes)
    principal = of_target @ Rotation.create_group("O").as_matrix() @ of_source.T
    return np.concatenate([principal, Rotation.create_group("I").as_matrix()])


def _refine(
    T: np.ndarray,
    points: np.ndarray,
    target: _Surface,
    steps: int,
    limit: Callable[[np.ndarray], float],
) -> np.ndarray:
    """Point-to-plane ICP; points farther off than the limit for their distances are left out."""
    for _ in range(steps):
        moved = transform_points(points, T)
        distances, heights, index = target.nearest(moved)
        kept = distances <= limit(distances)
        step = _plane_step(moved[kept], target.normals[index[kept]], heights[kept])
        T = step @ T
        if np.abs(step - np.eye(4)).max() < CONVERGED:
            break
    return T


def _plane_step(points: np.ndarray, normals: np.ndarray, heights: np.ndarray) -> np.ndarray:
    """(4, 4) small motion that brings (M, 3) points nearest to the planes below them.

    Least squares of the linearised heights (Chen and Medioni, 1991). Motions that change none,
    like the turn of a cylinder about its axis, stay zero.
    """
    centre = points.mean(axis=0)
    size = np.linalg.norm(points - centre, axis=1).mean()
    rows = np.hstack([np.cross((points - centre) / size, normals), normals])
    solution = np.linalg.lstsq(rows, -heights, rcond=1e-3)[0]
    step = np.eye(4)
    step[:3, :3] = Rotation.from_rotvec(solution[:3] / size).as_matrix()
    step[:3, 3] = centre + solution[3:] - step[:3, :3] @ centre
    return step


def _scale(source: _Surface, target: _Surface, T: np.ndarray, limit: float) -> float:
    """How many times as large as the target the aligned source is, from the heights left over."""
    points = transform_points(source.points, T)
    distances, heights, index = target.nearest(points)
    near = distances <= limit
    points, normals = points[near], target.normals[index[near]]
    lever = points - points.mean(axis=0)
    size = np.linalg.norm(lever, axis=1).mean()
    rows = np.hstack(
        [np.cross(lever, normals), normals * size, np.sum(lever * normals, axis=1)[:, None]]
    )
    growth = np.linalg.lstsq(rows, heights[near], rcond=1e-3)[0][-1]
    return 1 / (1 - float(growth))


def _fit(source: _Surface, target: _Surface, T: np.ndarray) -> _Fit:
    """Refine a candidate with a part of the points, and judge it."""
    T = _refine(T, source.points[:MIDDLE_POINTS], target, MIDDLE_STEPS, _common_quantile)
    ways = _distances(source, target, T, MIDDLE_POINTS)
    distance = np.mean([np.mean(way[way <= _common_quantile(way)]) for way in ways])
    return _Fit(T, float(distance), _colour_agreement(source, target, T))


def _common_quantile(distances: np.ndarray) -> float:
    return float(np.quantile(distances, LEAST_COMMON))


def _distances(
    source: _Surface, target: _Surface, T: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Distances of either surface's first points from the other, metres."""
    there = target.nearest(transform_points(source.points[:count], T))[0]
    back = source.nearest(transform_points(target.points[:count], np.linalg.inv(T)))[0]
    return there, back


def _best(fits: list[_Fit], diameter: float) -> list[_Fit]:
    """The fits that nothing tells apart, that with the smallest rotation first."""
    lowest = min(fit.distance for fit in fits)
    limit = TIE_FACTOR * lowest + TIE_DISTANCE * diameter
    ties = [fit for fit in fits if fit.distance <= limit]
    highest = max(fit.colour for fit in ties)
    ties = _distinct([fit for fit in ties if fit.colour >= highest - COLOUR_MARGIN])
    return sorted(ties, key=lambda fit: _angle(fit.T))


def _distinct(fits: list[_Fit]) -> list[_Fit]:
    """Best first, without those that are the same but for ``SAME_ROTATION``."""
    chosen: list[_Fit] = []
    for fit in sorted(fits, key=lambda fit: fit.distance):
        if all(_angle(fit.T @ np.linalg.inv(other.T)) > SAME_ROTATION for other in chosen):
            chosen.append(fit)
    return chosen


def _angle(T: np.ndarray) -> float:
    """Of a transform's rotation, radians."""
    return float(np.arccos(np.clip((np.trace(T[:3, :3]) - 1) / 2, -1, 1)))


def _colour_agreement(source: _Surface, target: _Surface, T: np.ndarray) -> float:
    """Correlation of the colours, which ignores how bright a scan is; 0 without colours."""
    if source.colours is None or target.colours is None:
        return 0.0
    distances, _, index = target.nearest(transform_points(source.points, T))
    near = distances <= _common_quantile(distances)
    a, b = (c - c.mean(axis=0) for c in (source.colours[near], target.colours[index[near]]))
    scale = np.linalg.norm(a) * np.linalg.norm(b)
    return float(np.sum(a * b) / scale) if scale > 0 else 0.0

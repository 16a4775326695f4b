"""How known objects can lie on a table, and the points that stand for their surface."""

from __future__ import annotations

import cv2
import numpy as np
import trimesh
from scipy.spatial import ConvexHull, QhullError

from casapose_ros.data.meshes import Mesh
from casapose_ros.data.pile import CELL_M

ON_FACE_M = 0.0007
"""Within so much of a face's plane a vertex touches the table as well: scans are never flat."""
MARGIN_M = 0.004
"""The centre of mass must be so far inside the outline of what touches the table."""
SAME_TILT = np.cos(np.radians(8))
MIN_POINTS, MAX_POINTS = 1000, 25000


def resting_rotations(vertices: np.ndarray) -> np.ndarray:
    """Orientations in which an object can lie on a table without falling over.

    Args:
        vertices: (V, 3) metres, object frame.

    Returns:
        (n, 3, 3) rotations that turn a stable face of the convex hull down. The first is the
        identity (upright as modelled), whether or not that is stable.
    """
    hull = _hull(vertices)
    centre = _centre_of_mass(hull)
    rests = [np.eye(3)]
    for plane in hull.equations[_below_centre(hull, centre)]:
        R = _turn_down(plane[:3])
        if max(R[2] @ other[2] for other in rests) > SAME_TILT:
            continue
        corners = hull.points[hull.vertices]
        touching = corners[corners @ plane[:3] + plane[3] > -ON_FACE_M]
        outline = cv2.convexHull((touching @ R[:2].T).astype(np.float32))
        below = tuple((R[:2] @ centre).tolist())
        if len(outline) > 2 and cv2.pointPolygonTest(outline, below, True) > MARGIN_M:
            rests.append(R)
    return np.stack(rests)


def surface_points(mesh: Mesh, scale: float = 1.0) -> np.ndarray:
    """(N, 3) float32 metres: points on the surface, about half a cell of a pile from each other.

    Args:
        mesh: The mesh.
        scale: Its size when it is used; the points are those of the mesh as it is.
    """
    surface = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    count = int(np.clip(surface.area * scale**2 / (CELL_M / 2) ** 2, MIN_POINTS, MAX_POINTS))
    points, _ = trimesh.sample.sample_surface(surface, count, seed=0)
    # Corners and edges, which chance misses, are what an object stands on.
    corners = mesh.vertices[_hull(mesh.vertices).vertices]
    return np.concatenate([np.asarray(points), corners]).astype(np.float32)


def _hull(points: np.ndarray) -> ConvexHull:
    """The convex hull; of flat objects, too, whose points are joggled by some nanometres."""
    try:
        return ConvexHull(points)
    except QhullError:
        return ConvexHull(points, qhull_options="QJ")


def _centre_of_mass(hull: ConvexHull) -> np.ndarray:
    """(3,) metres, of the hull as a solid: the mean of pyramids over its faces."""
    corners = hull.points[hull.simplices]
    middle = hull.points[hull.vertices].mean(axis=0)
    # A flat hull has no volume, and all its faces count alike.
    volumes = np.abs(np.linalg.det(corners - middle)) + np.finfo(np.float64).tiny
    return np.average((corners.sum(axis=1) + middle) / 4, axis=0, weights=volumes)


def _below_centre(hull: ConvexHull, centre: np.ndarray) -> np.ndarray:
    """(F,) bool: the point of the face's plane nearest to the centre lies on the face."""
    corners = hull.points[hull.simplices]
    normals = hull.equations[:, :3]
    heights = normals @ centre + hull.equations[:, 3]
    foot = centre - heights[:, None] * normals
    return _inside(corners, normals, foot)


def _inside(corners: np.ndarray, normals: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(F,) bool: points of the planes lie on the triangles, or within rounding of them."""
    sides = []
    for i in range(3):
        edge = corners[:, (i + 1) % 3] - corners[:, i]
        sides.append(np.einsum("ij,ij->i", np.cross(edge, points - corners[:, i]), normals))
    sides = np.stack(sides)
    # The hull's faces are not wound in one sense.
    return (sides >= -1e-12).all(axis=0) | (sides <= 1e-12).all(axis=0)


def _turn_down(normal: np.ndarray) -> np.ndarray:
    """(3, 3) rotation that maps a unit vector onto -z."""
    side = np.cross(normal, [1.0, 0.0, 0.0] if abs(normal[0]) < 0.7 else [0.0, 1.0, 0.0])
    side /= np.linalg.norm(side)
    return np.stack([side, np.cross(side, normal), -normal])

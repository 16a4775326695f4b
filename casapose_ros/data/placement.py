"""How solids stand on a table: resting faces, footprints, viewing angles. Metres, z up."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial import ConvexHull

SAME_FACE = 1e-3
"""Hull triangles whose unit normals differ by less than this belong to one face."""
MILLIMETRES = 1000.0


@dataclass(frozen=True)
class Footprint:
    """Outline of a solid seen from above.

    Attributes:
        outline: (n, 2) metres, convex.
        centre: (2,) metres.
        radius: Largest distance of the outline from the centre, metres.
    """

    outline: np.ndarray
    centre: np.ndarray
    radius: float

    @classmethod
    def of(cls, points: np.ndarray) -> Footprint:
        """The footprint of (N, 2) points on the table."""
        outline = cv2.convexHull(points.astype(np.float32)).reshape(-1, 2)
        centre = (outline.min(axis=0) + outline.max(axis=0)) / 2
        return cls(outline, centre, float(np.linalg.norm(outline - centre, axis=1).max()))

    def overlaps(self, other: Footprint) -> bool:
        """Whether two footprints share any area worth mentioning (more than 1 mm^2)."""
        if np.linalg.norm(self.centre - other.centre) > self.radius + other.radius:
            return False
        area, _ = cv2.intersectConvexConvex(
            self.outline * MILLIMETRES, other.outline * MILLIMETRES
        )
        return area > 1


def rotation_z(angle: float) -> np.ndarray:
    """(3, 3) rotation about z by ``angle`` radians."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])


def azimuth_and_elevation(direction: np.ndarray) -> tuple[float, float]:
    """Bearing (0 at -y, positive towards +x) and height above the xy plane, radians."""
    x, y, z = direction
    return float(np.arctan2(x, -y)), float(np.arctan2(z, np.hypot(x, y)))


def resting_rotations(vertices: np.ndarray) -> np.ndarray:
    """Orientations in which a solid can lie on a table without falling over.

    A face of the convex hull is stable if the point below the centre of the box lies within it.

    Args:
        vertices: (V, 3) metres, object frame.

    Returns:
        (n, 3, 3) rotations that turn a stable face down. The first is the identity (upright as
        modelled) whether or not that is stable.
    """
    hull = ConvexHull(vertices)
    centre = (vertices.min(axis=0) + vertices.max(axis=0)) / 2
    planes: list[np.ndarray] = []
    for plane in hull.equations:
        if all(np.linalg.norm(plane[:3] - p[:3]) > SAME_FACE for p in planes):
            planes.append(plane)
    rests = [np.eye(3)]
    for plane in planes:
        if plane[2] < SAME_FACE - 1:
            continue
        R = _turn_down(plane[:3])
        on_face = vertices[vertices @ plane[:3] + plane[3] > -1e-5]
        outline = cv2.convexHull((on_face @ R[:2].T).astype(np.float32) * MILLIMETRES)
        below = tuple((R[:2] @ centre * MILLIMETRES).tolist())
        if len(outline) > 2 and cv2.pointPolygonTest(outline, below, False) > 0:
            rests.append(R)
    return np.stack(rests)


def _turn_down(normal: np.ndarray) -> np.ndarray:
    """(3, 3) rotation that maps a unit vector onto -z."""
    side = np.cross(normal, [1.0, 0.0, 0.0] if abs(normal[0]) < 0.7 else [0.0, 1.0, 0.0])
    side /= np.linalg.norm(side)
    return np.stack([side, np.cross(side, normal), -normal])

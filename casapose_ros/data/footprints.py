"""How solids lie on a table: what they cover of it, and on which faces they can rest."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial import ConvexHull

SAME_FACE = 1e-3
"""Hull triangles whose unit normals differ by less than this belong to one face."""
ON_FACE = 1e-5
"""Metres from a face's plane within which a vertex belongs to it."""
MM_PER_M = 1000.0
"""OpenCV's polygon functions work in float32 with absolute tolerances: millimetres suit them."""


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
        area, _ = cv2.intersectConvexConvex(self.outline * MM_PER_M, other.outline * MM_PER_M)
        return area > 1


def resting_rotations(vertices: np.ndarray) -> np.ndarray:
    """Orientations in which a solid can lie on a table without falling over.

    A face of the convex hull is stable if the point below the centre of the box lies within it.

    Args:
        vertices: (V, 3) metres, object frame.

    Returns:
        (n, 3, 3) rotations that turn a stable face down. The first is the identity (upright as
        modelled), whether or not that is stable.
    """
    centre = (vertices.min(axis=0) + vertices.max(axis=0)) / 2
    planes: list[np.ndarray] = []
    for plane in ConvexHull(vertices).equations:
        if all(np.linalg.norm(plane[:3] - p[:3]) > SAME_FACE for p in planes):
            planes.append(plane)
    rests = [np.eye(3)]
    for plane in planes:
        if plane[2] < SAME_FACE - 1:  # faces down already
            continue
        R = _turn_down(plane[:3])
        on_face = vertices[vertices @ plane[:3] + plane[3] > -ON_FACE]
        outline = cv2.convexHull((on_face @ R[:2].T * MM_PER_M).astype(np.float32))
        below = tuple((R[:2] @ centre * MM_PER_M).tolist())
        if len(outline) > 2 and cv2.pointPolygonTest(outline, below, False) > 0:
            rests.append(R)
    return np.stack(rests)


def _turn_down(normal: np.ndarray) -> np.ndarray:
    """(3, 3) rotation that maps a unit vector onto -z."""
    side = np.cross(normal, [1.0, 0.0, 0.0] if abs(normal[0]) < 0.7 else [0.0, 1.0, 0.0])
    side /= np.linalg.norm(side)
    return np.stack([side, np.cross(side, normal), -normal])

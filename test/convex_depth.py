"""Exact depth images of convex solids without any graphics: what drawn ones are held against."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial import ConvexHull

from casapose_ros.geometry import transform
from casapose_ros.types import CameraModel


class ConvexSolid:
    """The convex hull of points.

    Args:
        points: (N, 3) metres, object frame.
    """

    def __init__(self, points: np.ndarray) -> None:
        self._points = np.asarray(points, dtype=np.float64)
        # Inside is normal @ p + offset <= 0; the hull has each side once per triangle.
        self._planes = np.unique(ConvexHull(self._points).equations.round(12), axis=0)

    def depth(self, R: np.ndarray, t: np.ndarray, camera: CameraModel) -> np.ndarray:
        """(H, W) float64 metres at the pixels' centres, 0 where the solid is not seen."""
        image = np.zeros((camera.height, camera.width))
        points = transform(R, t, self._points)
        if points[:, 2].min() <= 0:
            return image
        corners = points @ camera.K.T
        corners = corners[:, :2] / corners[:, 2:]
        size = (camera.width, camera.height)
        low = np.clip(np.floor(corners.min(axis=0)).astype(int), 0, size)
        high = np.clip(np.ceil(corners.max(axis=0)).astype(int) + 1, 0, size)
        rows, columns = (axis.ravel() for axis in np.mgrid[low[1] : high[1], low[0] : high[0]])
        image[rows, columns] = self._first_hits(R, t, rays(rows, columns, camera.K))
        return image

    def _first_hits(self, R: np.ndarray, t: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """(M,) depth at which (M, 3) rays enter the solid, 0 for those that miss."""
        normals = self._planes[:, :3] @ np.asarray(R).T
        slopes = directions @ normals.T
        with np.errstate(divide="ignore", invalid="ignore"):
            crossings = (normals @ t - self._planes[:, 3]) / slopes
        enters = np.where(slopes < 0, crossings, -np.inf).max(axis=1, initial=-np.inf)
        leaves = np.where(slopes > 0, crossings, np.inf).min(axis=1, initial=np.inf)
        return np.where(enters < leaves, enters, 0.0)


def rays(rows: np.ndarray, columns: np.ndarray, K: np.ndarray) -> np.ndarray:
    """(M, 3) directions with z = 1 through the centres of pixels."""
    x, y = (columns - K[0, 2]) / K[0, 0], (rows - K[1, 2]) / K[1, 1]
    return np.stack([x, y, np.ones(len(x))], axis=1)


def scene_depth(depths: Sequence[np.ndarray], camera: CameraModel) -> np.ndarray:
    """What a depth sensor might see of objects: a wall behind, bars in front, holes.

    Args:
        depths: (H, W) metres of each object alone.
        camera: The camera.

    Returns:
        (H, W) float64 metres, 0 in the holes.
    """
    rows, columns = (axis.ravel() for axis in np.mgrid[: camera.height, : camera.width])
    scene = (2.0 / (rays(rows, columns, camera.K) @ [0.2, -0.1, 1])).reshape(depths[0].shape)
    for depth in depths:
        scene = np.where((depth > 0) & (depth < scene), depth, scene)
    rows, columns = np.mgrid[: camera.height, : camera.width]
    scene[columns // 16 % 9 == 4] = 0.3
    scene[(3 * columns + 7 * rows) % 29 < 2] = 0
    scene[(columns // 40 + rows // 30) % 11 == 0] = 0
    return scene

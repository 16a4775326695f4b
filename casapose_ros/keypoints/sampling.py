"""3D keypoints of an object: farthest point sampling on its vertices (paper section 3.1).

Keypoint 0 is the object's centre, by which instances of one class are told apart. The centre is
that of the axis-aligned box: unlike the vertices' mean it does not move with the tessellation.
"""

from __future__ import annotations

import numpy as np

from casapose_ros.errors import MeshError
from casapose_ros.types import NUM_KEYPOINTS


def sample_keypoints(vertices: np.ndarray, count: int = NUM_KEYPOINTS) -> np.ndarray:
    """Choose an object's keypoints: its box centre, then the farthest vertices.

    Args:
        vertices: (V, 3) metres, object frame.
        count: Keypoints in all, the centre included.

    Returns:
        (count, 3) float64 metres; the first is the centre of the bounding box.

    Raises:
        MeshError: Fewer than ``count - 1`` distinct vertices.
    """
    vertices = np.asarray(vertices, dtype=np.float64)
    centre = (vertices.min(axis=0) + vertices.max(axis=0)) / 2
    return np.vstack([centre, farthest_point_sampling(vertices, centre, count - 1)])


def farthest_point_sampling(points: np.ndarray, start: np.ndarray, count: int) -> np.ndarray:
    """Pick points one by one, each the farthest from ``start`` and all picked before.

    Args:
        points: (N, 3), any unit.
        start: (3,) where the first distance is measured from; not part of the result.
        count: Points to pick.

    Returns:
        (count, 3) float64, a subset of ``points`` in the order picked. Ties go to the first
        point in order.

    Raises:
        MeshError: ``points`` has fewer than ``count`` distinct points.
    """
    points = np.asarray(points, dtype=np.float64)
    # Symmetric shapes are full of ties. Rounding makes the choice the same on every machine.
    digits = 9 - int(np.floor(np.log10(max(np.ptp(points, axis=0).max(), 1e-300))))
    distance = np.linalg.norm(points - start, axis=1)
    picked = np.empty((count, 3))
    for k in range(count):
        farthest = int(np.argmax(np.round(distance, digits)))
        if k > 0 and distance[farthest] == 0:
            raise MeshError(f"the mesh has {k} distinct vertices; {count} keypoints need as many")
        picked[k] = points[farthest]
        distance = np.minimum(distance, np.linalg.norm(points - picked[k], axis=1))
    return picked

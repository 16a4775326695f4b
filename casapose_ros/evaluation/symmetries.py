"""Which poses of a symmetric object look the same, and the one nearest to an estimate."""

from __future__ import annotations

import numpy as np

from casapose_ros import geometry
from casapose_ros.types import Symmetries

CONTINUOUS_STEPS = 315
"""Rotations about a continuous axis: no vertex moves more than 1 % of the diameter (BOP-19)."""


def symmetry_transforms(symmetries: Symmetries) -> np.ndarray:
    """All transforms object -> object that leave the object looking the same.

    Continuous symmetries are cut into ``CONTINUOUS_STEPS`` rotations, which keeps an estimate
    within 0.6 degrees of the next, and composed with every discrete one.

    Returns:
        (S, 4, 4) float64, metres, identity first.
    """
    return geometry.symmetry_transforms(symmetries, CONTINUOUS_STEPS)


def nearest_equivalent(
    R_est: np.ndarray, R_gt: np.ndarray, t_gt: np.ndarray, transforms: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Of all poses that look like the true one, that whose rotation is nearest to the estimate's.

    Args:
        R_est: (3, 3) estimated rotation.
        R_gt: (3, 3) true rotation.
        t_gt: (3,) true translation, metres.
        transforms: (S, 4, 4) from :func:`symmetry_transforms`.

    Returns:
        ``R_cam_obj`` (3, 3) and ``t_cam_obj`` (3,) of the equivalent true pose.
    """
    rotations = R_gt @ transforms[:, :3, :3]
    nearest = int(np.argmin(np.linalg.norm(rotations - R_est, axis=(1, 2))))
    return rotations[nearest], R_gt @ transforms[nearest, :3, 3] + np.ravel(t_gt)

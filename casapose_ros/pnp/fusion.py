"""A pose from keypoints and another measurement of where the object is, weighed by covariances."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from casapose_ros import geometry
from casapose_ros.pnp.solving import PnPSolution


def fuse_position(
    solution: PnPSolution, point: np.ndarray, position: np.ndarray, covariance: np.ndarray
) -> PnPSolution:
    """Correct a pose by a measured position of one of the object's points.

    The linear estimate of least variance (Kalman, 1960) from two measurements with independent
    errors. How errors of position and rotation go together in the pose's covariance also corrects
    the rotation.

    Args:
        solution: The pose from keypoints.
        point: (3,) metres, object frame.
        position: (3,) metres, camera frame, where that point was measured to be.
        covariance: (3, 3) m^2 of the position.

    Returns:
        The pose with its covariance. Inliers and reprojection error stay those of the keypoints.
        The pose as it was, if it would end behind the camera.
    """
    turned = solution.R_cam_obj @ point
    # The point moves by d + w x (R p) if the pose does by d and w.
    moves = np.hstack([np.eye(3), np.cross(np.eye(3), turned).T])
    before = solution.covariance
    gain = np.linalg.solve(moves @ before @ moves.T + covariance, moves @ before).T
    step = gain @ (position - turned - solution.t_cam_obj)
    t_cam_obj = solution.t_cam_obj + step[:3]
    if not (np.isfinite(step).all() and t_cam_obj[2] > 0):
        return solution
    kept = np.eye(6) - gain @ moves
    return replace(
        solution,
        R_cam_obj=geometry.rotation_from_vector(step[3:]) @ solution.R_cam_obj,
        t_cam_obj=t_cam_obj,
        covariance=kept @ before @ kept.T + gain @ covariance @ gain.T,
    )

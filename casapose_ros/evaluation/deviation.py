"""How far the truth lies from an estimate, measured by the estimate's own covariance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from casapose_ros.geometry import pose_difference
from casapose_ros.types import ObjectPose, Symmetries

MIN_EIGENVALUE = 1e-12
"""Of a correlation matrix; below it an ellipsoid is flat, and a covariance says nothing."""


@dataclass(frozen=True)
class Deviation:
    """Squared Mahalanobis distances of the truth; NaN where there is no usable covariance.

    With right covariances they follow chi^2 distributions.

    Attributes:
        pose: Of the true pose.
        pose_dof: Degrees of freedom of ``pose``: 6, less one for each axis about which the object
            may be turned unseen.
        keypoints: (9,) of the true 2D keypoints, 2 degrees of freedom each.
    """

    pose: float
    pose_dof: int
    keypoints: np.ndarray


def deviation(
    estimate: ObjectPose,
    R_gt: np.ndarray,
    t_gt: np.ndarray,
    keypoints_gt: np.ndarray,
    symmetries: Symmetries,
) -> Deviation:
    """Hold an estimate's covariances against its errors.

    Args:
        estimate: A finite pose.
        R_gt: (3, 3) true rotation; of a symmetric object, the equivalent nearest to the estimate.
        t_gt: (3,) true translation, metres.
        keypoints_gt: (9, 2) true keypoints, px.
        symmetries: A turn about a continuous axis is no error: its direction is left out.
    """
    error = pose_difference(estimate.R_cam_obj, estimate.t_cam_obj, R_gt, t_gt)
    free = _unseen_motions(R_gt, symmetries)
    offsets = np.asarray(estimate.keypoints) - keypoints_gt
    pairs = zip(offsets, estimate.keypoint_covariances, strict=True)
    return Deviation(
        pose=mahalanobis(error, estimate.covariance, free),
        pose_dof=6 - int(np.linalg.matrix_rank(free)),
        keypoints=np.array([mahalanobis(offset, covariance) for offset, covariance in pairs]),
    )


def mahalanobis(error: np.ndarray, covariance: np.ndarray, free: np.ndarray | None = None) -> float:
    """Squared Mahalanobis distance.

    Args:
        error: (N,) error.
        covariance: (N, N) its covariance.
        free: (N, F) directions in which any error is allowed; the distance is the smallest that
            a motion along them leaves.

    Returns:
        NaN where the error or the covariance is not finite, or where the covariance is none:
        not symmetric, or not positive definite.
    """
    covariance = np.asarray(covariance, dtype=np.float64)
    deviations = np.sqrt(np.maximum(np.diag(covariance), 0))
    if not (np.all(np.isfinite(error)) and np.all(np.isfinite(covariance)) and deviations.all()):
        return float("nan")
    # In units of the standard deviations, metres and radians weigh the same in the checks.
    correlation = covariance / np.outer(deviations, deviations)
    if not np.allclose(correlation, correlation.T, atol=1e-6):
        return float("nan")
    if np.linalg.eigvalsh(correlation)[0] < MIN_EIGENVALUE:
        return float("nan")
    whitening = np.linalg.inv(np.linalg.cholesky(correlation)) / deviations
    white = whitening @ error
    if free is not None and free.size:
        directions = whitening @ free
        white = white - directions @ (np.linalg.pinv(directions) @ white)
    return float(white @ white)


def _unseen_motions(R_gt: np.ndarray, symmetries: Symmetries) -> np.ndarray:
    """(6, S) motions, ordered as a covariance is, that turn an object about its symmetry axes."""
    motions = [
        np.concatenate([-np.cross(R_gt @ axis, R_gt @ offset), R_gt @ axis])
        for axis, offset in symmetries.continuous
    ]
    return np.array(motions).reshape(-1, 6).T

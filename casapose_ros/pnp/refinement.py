"""Least squares from keypoints to a pose, and how sure the pose is.

Two ways: *alike* takes all keypoints to be equally good (paper, section 4); *weighted* minimises
sum r^T S^-1 r over the residuals r with the keypoints' covariances S.

These covariances know how far an object's pixels disagree about a keypoint, not what they all get
wrong together. So each is first drawn towards the object's mean (:func:`shrunk`). There is no
robust kernel on top: on renders it gained nothing, and what it takes for an outlier depends on the
covariances' scale, which is unknown before the end of a training. As it is, the scale changes no
pose.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from casapose_ros import geometry

OWN_SHARE = 0.25
"""How much of a keypoint's covariance is its own, not the object's mean; measured on renders with
``benchmarks/pnp.py``."""

FIRST_DAMPING = 1e-3
"""Of Levenberg and Marquardt, in units of the normal matrix' diagonal."""
MAX_STEPS = 20
STOP_BELOW = 1e-6
"""Refinement ends where a step would lower the cost by less than this share of it,"""
STOP_BELOW_PX2 = 1e-10
"""or by less than this."""

Pose = tuple[np.ndarray, np.ndarray]
"""``R_cam_obj`` (3, 3) and ``t_cam_obj`` (3,) metres."""


@dataclass(frozen=True)
class Correspondences:
    """Points of an object and where a camera without distortion sees them.

    Attributes:
        points: (N, 3) metres, object frame; N >= 4.
        pixels: (N, 2) px, x then y, pixel centres at integers as ``K`` has them.
        covariances: (N, 2, 2) px^2 of the pixels, positive definite.
        K: (3, 3) intrinsics.
    """

    points: np.ndarray
    pixels: np.ndarray
    covariances: np.ndarray
    K: np.ndarray

    def residuals(self, R_cam_obj: np.ndarray, t_cam_obj: np.ndarray) -> np.ndarray | None:
        """(N, 2) px, projection minus measurement; None if a point is not in front."""
        points_cam = self.points @ R_cam_obj.T + t_cam_obj
        if not np.all(points_cam[:, 2] > 0):
            return None
        projected = points_cam[:, :2] / points_cam[:, 2:]
        return projected @ self.K[:2, :2].T + self.K[:2, 2] - self.pixels


def shrunk(covariances: np.ndarray, own_share: float = OWN_SHARE) -> np.ndarray:
    """Covariances (N, 2, 2) drawn towards their mean; ``own_share`` 1 leaves them as they are."""
    return own_share * covariances + (1 - own_share) * covariances.mean(axis=0)


def refine_alike(
    found: Correspondences, R_cam_obj: np.ndarray, t_cam_obj: np.ndarray
) -> Pose | None:
    """Least squares in which all points count alike; None if it ends behind the camera."""
    success, rotation, t = cv2.solvePnP(
        found.points,
        found.pixels,
        found.K,
        None,
        cv2.Rodrigues(R_cam_obj)[0],
        t_cam_obj.reshape(3, 1).copy(),
        useExtrinsicGuess=True,
        flags=cv2.SOLVEPNP_ITERATIVE,
    )
    if not (success and np.all(np.isfinite(rotation)) and np.all(np.isfinite(t))):
        return None
    pose = geometry.rotation_from_vector(rotation), t.reshape(3)
    return pose if pose[1][2] > 0 and found.residuals(*pose) is not None else None


def refine_weighted(
    found: Correspondences, R_cam_obj: np.ndarray, t_cam_obj: np.ndarray
) -> Pose | None:
    """Least squares in which each point counts by its covariance (Levenberg-Marquardt).

    Args:
        found: The points; only the ratios of their covariances matter.
        R_cam_obj: (3, 3) rotation to start from.
        t_cam_obj: (3,) metres.

    Returns:
        The pose; None if the start is not in front of the camera, or the points determine nothing.
    """
    R, t, damping = R_cam_obj, t_cam_obj, FIRST_DAMPING
    # At a mean variance of one, costs are px^2.
    whitening = _whitening(found.covariances / np.trace(found.covariances.mean(axis=0)) * 2)
    errors = found.residuals(R, t) if t[2] > 0 else None
    if errors is None:
        return None
    white = _whiten(whitening, errors[..., None])
    for _ in range(MAX_STEPS):
        jacobian = projection_jacobian(found.points, R, t, found.K).reshape(-1, 2, 6)
        jacobian = _whiten(whitening, jacobian)
        normal, slope = jacobian.T @ jacobian, jacobian.T @ white[:, 0]
        try:
            step = -np.linalg.solve(normal + damping * np.diag(np.diag(normal)), slope)
        except np.linalg.LinAlgError:
            return None
        cost = np.sum(white**2)
        if -slope @ step < STOP_BELOW * cost + STOP_BELOW_PX2:
            break
        moved = geometry.rotation_from_vector(step[3:]) @ R, t + step[:3]
        errors = found.residuals(*moved) if moved[1][2] > 0 else None
        trial = None if errors is None else _whiten(whitening, errors[..., None])
        if trial is not None and np.sum(trial**2) < cost:
            (R, t), white, damping = moved, trial, damping / 10
        else:
            damping *= 10
    return R, t


def pose_covariance(
    found: Correspondences,
    R_cam_obj: np.ndarray,
    t_cam_obj: np.ndarray,
    residuals: np.ndarray,
    weighted: bool,
) -> np.ndarray | None:
    """Covariance of a least-squares pose, to first order.

    The pose solves W J x = W e for pixel errors e, so x = G e with G = pinv(W J) W, and its
    covariance is G S G^T with the keypoints' covariances S; W is the identity, or S^(-1/2) where
    the pose is weighted, which makes it (J^T S^-1 J)^-1. Where the residuals are larger than S
    allows (chi^2 per degree of freedom above 1), S is scaled up to explain them.

    Args:
        found: The points that the pose is from.
        R_cam_obj: (3, 3) rotation.
        t_cam_obj: (3,) metres.
        residuals: (N, 2) px, projection minus measurement.
        weighted: How the pose was found.

    Returns:
        (6, 6) in the order x, y, z, rotation about x, y, z: metres and radians, rotations about
        the camera's fixed axes through the object's origin, as in
        ``geometry_msgs/PoseWithCovariance``. None if the points do not determine the pose.
    """
    count = len(found.points)
    whitening = _whitening(found.covariances)
    chi2 = np.sum(_whiten(whitening, residuals[..., None]) ** 2)
    jacobian = projection_jacobian(found.points, R_cam_obj, t_cam_obj, found.K)
    if weighted:
        jacobian = _whiten(whitening, jacobian.reshape(-1, 2, 6))
    if np.linalg.matrix_rank(jacobian) < 6:
        return None
    gain = np.linalg.pinv(jacobian)
    if not weighted:
        gain = (gain.reshape(6, count, 1, 2) @ np.linalg.cholesky(found.covariances)).reshape(6, -1)
    return max(1.0, chi2 / (2 * count - 6)) * gain @ gain.T


def projection_jacobian(
    points: np.ndarray, R_cam_obj: np.ndarray, t_cam_obj: np.ndarray, K: np.ndarray
) -> np.ndarray:
    """How pixels move with the pose: (2N, 6), px per metre and px per radian.

    Columns as in :func:`pose_covariance`: a small translation d and rotation w move the point at
    p_cam = R p + t by d + w x (R p).
    """
    turned = points @ R_cam_obj.T
    x, y, z = (turned + t_cam_obj).T
    image = np.zeros((len(points), 2, 3))
    image[:, 0, 0] = image[:, 1, 1] = 1 / z
    image[:, 0, 2], image[:, 1, 2] = -x / z**2, -y / z**2
    motion = np.zeros((len(points), 3, 6))
    motion[:, :, :3] = np.eye(3)
    motion[:, :, 3:] = np.cross(np.eye(3), turned[:, None]).swapaxes(1, 2)
    return (K[:2, :2] @ image @ motion).reshape(-1, 6)


def _whitening(covariances: np.ndarray) -> np.ndarray:
    """(N, 2, 2) W with W S W^T = 1 for (N, 2, 2) covariances S."""
    return np.linalg.inv(np.linalg.cholesky(covariances))


def _whiten(whitening: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(2N, M) values in standard deviations, from (N, 2, M) in px."""
    return (whitening @ values).reshape(2 * len(values), -1)

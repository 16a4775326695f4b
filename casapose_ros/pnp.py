"""From 2D keypoints to a pose: EPnP in RANSAC, then least squares, with a covariance.

OpenCV's RANSAC carries its own generator with a fixed seed, so the same keypoints always give the
same pose and ``cv2.setRNGSeed`` has no part in it (a test holds this).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from casapose_ros import geometry
from casapose_ros.types import CameraModel, Keypoints

MIN_POINTS = 4
MAX_ERROR = 12.0
"""px; a keypoint further from its projection is no inlier (paper section 4)."""

CONFIDENCE = 0.9999


@dataclass(frozen=True)
class PnPSolution:
    """A pose and how well it explains its keypoints.

    Attributes:
        R_cam_obj: (3, 3) float64 rotation, det = +1.
        t_cam_obj: (3,) float64 metres; every keypoint used lies in front of the camera.
        covariance: (6, 6) float64, see :func:`pose_covariance`.
        inliers: (N,) bool, the valid keypoints within ``max_error`` of their projection.
        reprojection_error: Root mean square distance of all valid keypoints from their
            projections, px of the undistorted image.
    """

    R_cam_obj: np.ndarray
    t_cam_obj: np.ndarray
    covariance: np.ndarray
    inliers: np.ndarray
    reprojection_error: float


def solve_pnp(
    object_points: np.ndarray,
    keypoints: Keypoints,
    camera: CameraModel,
    max_error: float = MAX_ERROR,
) -> PnPSolution | None:
    """Estimate an object's pose from those of its keypoints that are valid.

    Args:
        object_points: (N, 3) metres, object frame.
        keypoints: N keypoints in px of the camera's image.
        camera: The camera, distortion included.
        max_error: RANSAC's inlier threshold, px.

    Returns:
        The pose; None where fewer than four keypoints are valid, where no four of them agree on
        a pose, or where none puts the object in front of the camera.
    """
    pixels = geometry.undistort_pixels(keypoints.points, camera)
    used = keypoints.valid & np.isfinite(pixels).all(axis=1)
    if np.count_nonzero(used) < MIN_POINTS:
        return None
    points = np.asarray(object_points, dtype=np.float64)
    pose = _solve(points[used], pixels[used] - geometry.PIXEL_CENTRE, camera.K, max_error)
    if pose is None:
        return None
    R_cam_obj, t_cam_obj = pose
    pinhole = CameraModel(camera.K, camera.width, camera.height)
    residuals = geometry.project(points[used], R_cam_obj, t_cam_obj, pinhole) - pixels[used]
    covariance = pose_covariance(
        points[used], R_cam_obj, t_cam_obj, camera.K, keypoints.covariances[used], residuals
    )
    if covariance is None:
        return None
    errors = np.linalg.norm(residuals, axis=1)
    inliers = used.copy()
    inliers[used] = errors < max_error
    return PnPSolution(
        R_cam_obj, t_cam_obj, covariance, inliers, float(np.sqrt(np.mean(errors**2)))
    )


def _solve(
    points: np.ndarray, pixels: np.ndarray, K: np.ndarray, max_error: float
) -> tuple[np.ndarray, np.ndarray] | None:
    """EPnP RANSAC and refinement; (N, 2) ``pixels`` with centres at integers, as OpenCV wants."""
    found, rotation, t, _ = cv2.solvePnPRansac(
        points,
        pixels,
        K,
        None,
        flags=cv2.SOLVEPNP_EPNP,
        reprojectionError=max_error,
        confidence=CONFIDENCE,
    )
    if not found:
        return None
    pose = _refine(points, pixels, K, rotation, t)
    if pose is None:
        # The mirrored solution behind the camera. Negating it would make det R = -1; SQPnP
        # searches only poses in front.
        try:
            found, rotation, t = cv2.solvePnP(points, pixels, K, None, flags=cv2.SOLVEPNP_SQPNP)
        except cv2.error:  # its way of saying that the points determine nothing
            return None
        pose = _refine(points, pixels, K, rotation, t) if found else None
    return pose


def _refine(
    points: np.ndarray, pixels: np.ndarray, K: np.ndarray, rotation: np.ndarray, t: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """Least squares over all points from a guess; None if it ends behind the camera."""
    found, rotation, t = cv2.solvePnP(
        points, pixels, K, None, rotation, t, useExtrinsicGuess=True, flags=cv2.SOLVEPNP_ITERATIVE
    )
    if not (found and np.all(np.isfinite(rotation)) and np.all(np.isfinite(t))):
        return None
    R_cam_obj, t_cam_obj = geometry.rotation_from_vector(rotation), t.reshape(3)
    depths = geometry.transform(R_cam_obj, t_cam_obj, points)[:, 2]
    return (R_cam_obj, t_cam_obj) if t_cam_obj[2] > 0 and np.all(depths > 0) else None


def pose_covariance(
    points: np.ndarray,
    R_cam_obj: np.ndarray,
    t_cam_obj: np.ndarray,
    K: np.ndarray,
    pixel_covariances: np.ndarray,
    residuals: np.ndarray,
) -> np.ndarray | None:
    """Covariance of a least-squares pose, to first order.

    The pose solves J x = e for pixel errors e, so x = pinv(J) e and its covariance is
    pinv(J) S pinv(J)^T with the keypoints' covariances S. Where the residuals are larger than S
    allows (chi^2 per degree of freedom above 1), S is scaled up to explain them.

    Args:
        points: (N, 3) metres, object frame; N >= 4.
        R_cam_obj: (3, 3) rotation.
        t_cam_obj: (3,) metres.
        K: (3, 3) intrinsics.
        pixel_covariances: (N, 2, 2) px^2.
        residuals: (N, 2) px, projection minus measurement.

    Returns:
        (6, 6) in the order x, y, z, rotation about x, y, z: metres and radians, rotations about
        the camera's fixed axes through the object's origin, as in
        ``geometry_msgs/PoseWithCovariance``. None if the points do not determine the pose.
    """
    jacobian = projection_jacobian(points, R_cam_obj, t_cam_obj, K)
    if np.linalg.matrix_rank(jacobian) < 6:
        return None
    chi2 = np.einsum("ni,nij,nj->", residuals, np.linalg.inv(pixel_covariances), residuals)
    scale = max(1.0, chi2 / (2 * len(points) - 6))
    inverse = np.linalg.pinv(jacobian).reshape(6, len(points), 2)
    return scale * np.einsum("ani,nij,bnj->ab", inverse, pixel_covariances, inverse)


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

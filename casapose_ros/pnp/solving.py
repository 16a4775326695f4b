"""From 2D keypoints to a pose: EPnP in RANSAC, then least squares, with a covariance.

OpenCV's RANSAC carries its own generator with a fixed seed, so the same keypoints always give the
same pose and ``cv2.setRNGSeed`` has no part in it (a test holds this).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from casapose_ros import geometry
from casapose_ros.pnp.refinement import (
    Correspondences,
    Pose,
    pose_covariance,
    refine_alike,
    refine_weighted,
    shrunk,
)
from casapose_ros.types import CameraModel, Keypoints

MIN_POINTS = 4
MAX_ERROR = 12.0
"""px; a keypoint further from its projection is no inlier (paper section 4)."""

CONFIDENCE = 0.9999

SAMPLE = 5
"""Points of a RANSAC sample: OpenCV takes so few without looking whether they agree."""

FLAT = 1e-12
"""Of a covariance: determinant over the product of its variances, below which it says nothing."""

UNDISTORTION_STEP = 0.5
"""px, over which the stretch of an undistorted image is measured."""


@dataclass(frozen=True)
class PnPSolution:
    """A pose and how well it explains its keypoints.

    Attributes:
        R_cam_obj: (3, 3) float64 rotation, det = +1.
        t_cam_obj: (3,) float64 metres; every keypoint used lies in front of the camera.
        covariance: (6, 6) float64, see :func:`pose_covariance`.
        inliers: (N,) bool, the keypoints used that are within ``max_error`` of their projection.
        reprojection_error: Root mean square distance of all keypoints used from their
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
    weighted: bool = True,
) -> PnPSolution | None:
    """Estimate an object's pose from those of its keypoints that are valid.

    Args:
        object_points: (N, 3) metres, object frame.
        keypoints: N keypoints in px of the camera's image. One whose covariance is not finite or
            not positive definite counts as not valid.
        camera: The camera, distortion included.
        max_error: RANSAC's inlier threshold, px.
        weighted: Whether keypoints count by their covariances.

    Returns:
        The pose; None where fewer than four keypoints are valid, where too few of them agree on
        a pose (four of five, else five), or where none puts the object in front of the camera.
    """
    pixels, covariances = undistort(keypoints, camera)
    used = keypoints.valid & np.isfinite(pixels).all(axis=1) & _usable(covariances)
    if np.count_nonzero(used) < MIN_POINTS:
        return None
    covariances = shrunk(covariances[used]) if weighted else covariances[used]
    points = np.asarray(object_points, dtype=np.float64)[used]
    found = Correspondences(points, pixels[used] - geometry.PIXEL_CENTRE, covariances, camera.K)
    pose = _solve(found, max_error, refine_weighted if weighted else refine_alike)
    residuals = None if pose is None else found.residuals(*pose)
    if residuals is None:
        return None
    covariance = pose_covariance(found, *pose, residuals, weighted)
    if covariance is None:
        return None
    errors = np.linalg.norm(residuals, axis=1)
    inliers = used.copy()
    inliers[used] = errors < max_error
    if len(points) <= SAMPLE and np.count_nonzero(inliers) < MIN_POINTS:
        return None
    return PnPSolution(*pose, covariance, inliers, float(np.sqrt(np.mean(errors**2))))


def undistort(keypoints: Keypoints, camera: CameraModel) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints (N, 2) px and covariances (N, 2, 2) px^2 as a camera without distortion has them.

    Undistorting stretches the image; at a wide lens' edge by several times, and covariances by the
    square of that.
    """
    if not camera.is_distorted:
        return keypoints.points, keypoints.covariances
    steps = UNDISTORTION_STEP * np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]])
    moved = geometry.undistort_pixels((keypoints.points[:, None] + steps).reshape(-1, 2), camera)
    centre, right, left, down, up = moved.reshape(-1, 5, 2).swapaxes(0, 1)
    stretch = np.stack([right - left, down - up], axis=-1) / (2 * UNDISTORTION_STEP)
    return centre, stretch @ keypoints.covariances @ stretch.swapaxes(1, 2)


def _usable(covariances: np.ndarray) -> np.ndarray:
    """(N,) bool, which of (N, 2, 2) covariances are finite and positive definite."""
    xx, xy, yy = covariances[:, 0, 0], covariances[:, 0, 1], covariances[:, 1, 1]
    with np.errstate(invalid="ignore", over="ignore"):  # NaN and inf end as "no"
        return (xx > 0) & (yy > 0) & (xx * yy - xy * xy > FLAT * xx * yy)


def _solve(
    found: Correspondences,
    max_error: float,
    refine: Callable[[Correspondences, np.ndarray, np.ndarray], Pose | None],
) -> Pose | None:
    """EPnP RANSAC and refinement."""
    points, pixels, K = found.points, found.pixels, found.K
    success, rotation, t, _ = cv2.solvePnPRansac(
        points,
        pixels,
        K,
        None,
        flags=cv2.SOLVEPNP_EPNP,
        reprojectionError=max_error,
        confidence=CONFIDENCE,
    )
    if not success:
        return None
    pose = refine(found, geometry.rotation_from_vector(rotation), t.reshape(3))
    if pose is None:
        # The mirrored solution behind the camera. Negating it would make det R = -1; SQPnP
        # searches only poses in front.
        try:
            success, rotation, t = cv2.solvePnP(points, pixels, K, None, flags=cv2.SOLVEPNP_SQPNP)
        except cv2.error:  # its way of saying that the points determine nothing
            return None
        if success:
            pose = refine(found, geometry.rotation_from_vector(rotation), t.reshape(3))
    return pose

"""Projection, rotations and what resizing does to a camera.

Two pixel conventions meet in this field. OpenCV, ROS and BOP calibrations put the *centre* of the
first pixel at (0, 0); the keypoint regression (paper section 3.3) and everything this package
passes around puts it at (0.5, 0.5). ``CameraModel.K`` stays as calibrated; :func:`project` and
the pose solver add and remove the half pixel, so no other code has to.
"""

from __future__ import annotations

import cv2
import numpy as np

from casapose_ros.types import CameraModel, Symmetries

PIXEL_CENTRE = 0.5
"""Offset from OpenCV's pixel coordinates to this package's, in px."""
UNDISTORTION = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 100, 1e-9)
"""OpenCV's usual five iterations leave half a pixel at the corners of a strong barrel lens."""
ROUND_TRIP = 0.01
"""px within which distorting an undistorted point has to lead back to it."""
MAX_SKEW = 0.01
"""How far R^T R of a rotation may be from the identity: one printed with three digits passes."""


def transform(R: np.ndarray, t: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Apply ``R p + t`` to (..., 3) points."""
    return points @ np.asarray(R).T + np.asarray(t).reshape(3)


def are_poses(R: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Which of (..., 3, 3) and (..., 3) are a rotation, up to rounding, and a finite translation.

    Returns:
        (...) bool.
    """
    finite = np.isfinite(R).all(axis=(-2, -1)) & np.isfinite(t).all(axis=-1)
    R = np.where(finite[..., None, None], R, 0.0)
    skew = np.abs(np.swapaxes(R, -1, -2) @ R - np.eye(3)).max(axis=(-2, -1))
    return finite & (skew < MAX_SKEW) & (np.linalg.det(R) > 0)


def project(
    points: np.ndarray, R_cam_obj: np.ndarray, t_cam_obj: np.ndarray, camera: CameraModel
) -> np.ndarray:
    """Project (N, 3) object points in metres to (N, 2) px, x then y, distortion included."""
    points_cam = transform(R_cam_obj, t_cam_obj, np.asarray(points, dtype=np.float64))
    if not camera.is_distorted:
        xy = points_cam[:, :2] / points_cam[:, 2:]
        return xy @ camera.K[:2, :2].T + camera.K[:2, 2] + PIXEL_CENTRE
    zero = np.zeros(3)
    if camera.distortion_model == "equidistant":
        projected, _ = cv2.fisheye.projectPoints(
            points_cam.reshape(-1, 1, 3), zero, zero, camera.K, camera.distortion
        )
    else:
        projected, _ = cv2.projectPoints(
            points_cam.reshape(-1, 1, 3), zero, zero, camera.K, camera.distortion
        )
    return projected.reshape(-1, 2) + PIXEL_CENTRE


def undistort_pixels(pixels: np.ndarray, camera: CameraModel) -> np.ndarray:
    """Move (N, 2) px of a distorted image to where a pinhole camera with the same K sees them.

    NaN where there is no such place: beyond the angle up to which the distortion's model holds.
    """
    pixels = np.asarray(pixels, dtype=np.float64)
    if not camera.is_distorted:
        return pixels
    points = (pixels - PIXEL_CENTRE).reshape(-1, 1, 2)
    if camera.distortion_model == "equidistant":
        rays = cv2.fisheye.undistortPoints(points, camera.K, camera.distortion)
    else:
        rays = cv2.undistortPointsIter(
            points, camera.K, camera.distortion, None, None, UNDISTORTION
        )
    rays = np.concatenate([rays.reshape(-1, 2), np.ones((len(rays), 1))], axis=1)
    straight = rays @ camera.K[:2].T + PIXEL_CENTRE
    back = project(rays, np.eye(3), np.zeros(3), camera)
    straight[~(np.linalg.norm(back - pixels, axis=1) < ROUND_TRIP)] = np.nan
    return straight


def resize_image(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """An (H, W, 3) uint8 image at (width, height): means of what is left out, or interpolated."""
    shrinks = size[0] < image.shape[1]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def resize_camera(camera: CameraModel, width: int, height: int) -> CameraModel:
    """The camera that sees the same image resized to ``width`` x ``height``.

    With pixel centres at integers, x' = (x + 0.5) * s - 0.5.
    """
    sx, sy = width / camera.width, height / camera.height
    K = camera.K.copy()
    K[0] *= sx
    K[1] *= sy
    K[0, 2] += (sx - 1) * PIXEL_CENTRE
    K[1, 2] += (sy - 1) * PIXEL_CENTRE
    return CameraModel(K, width, height, camera.distortion, camera.distortion_model)


def rotation_angle(R_a: np.ndarray, R_b: np.ndarray) -> float:
    """Angle between two rotations in radians; exact for small angles, unlike the arc cosine."""
    sine = np.linalg.norm(np.asarray(R_a) - np.asarray(R_b)) / (2 * np.sqrt(2))
    return float(2 * np.arcsin(min(1.0, sine)))


def rotation_from_vector(rotation_vector: np.ndarray) -> np.ndarray:
    """Rotation matrix of an axis-angle vector in radians."""
    return cv2.Rodrigues(np.asarray(rotation_vector, dtype=np.float64))[0]


def pose_difference(
    R_from: np.ndarray, t_from: np.ndarray, R_to: np.ndarray, t_to: np.ndarray
) -> np.ndarray:
    """What turns one pose into another: (6,) metres and radians, as pose covariances have them.

    Translation x, y, z, then the rotation vector about the camera's axes through the object's
    origin: ``R_to = exp(w) R_from``, as in :func:`casapose_ros.pnp.projection_jacobian`.
    """
    rotation, _ = cv2.Rodrigues(np.asarray(R_to) @ np.asarray(R_from).T)
    return np.concatenate([np.ravel(t_to) - np.ravel(t_from), rotation.ravel()])


def symmetry_transforms(symmetries: Symmetries, steps: int) -> np.ndarray:
    """All transforms object -> object that leave an object looking the same.

    Continuous symmetries are cut into ``steps`` rotations and composed with every discrete one.

    Returns:
        (S, 4, 4) float64, metres, identity first.
    """
    discrete = np.concatenate([np.eye(4)[None], np.reshape(symmetries.discrete, (-1, 4, 4))])
    if not symmetries.continuous:
        return discrete
    turns = np.concatenate([_turns(axis, offset, steps) for axis, offset in symmetries.continuous])
    return (turns[:, None] @ discrete[None]).reshape(-1, 4, 4)


def _turns(axis: np.ndarray, offset: np.ndarray, steps: int) -> np.ndarray:
    """(steps, 4, 4) rotations about an axis through ``offset``."""
    axis = np.asarray(axis, dtype=np.float64) / np.linalg.norm(axis)
    turns = np.tile(np.eye(4), (steps, 1, 1))
    for turn, angle in zip(turns, np.arange(steps), strict=True):
        turn[:3, :3] = rotation_from_vector(angle * 2 * np.pi / steps * axis)
        turn[:3, 3] = offset - turn[:3, :3] @ offset
    return turns


def look_at(eye: np.ndarray, target: np.ndarray, up: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pose of the world in a camera (optical frame) at ``eye`` that looks at ``target``.

    Returns:
        ``R_cam_world`` (3, 3) and ``t_cam_world`` (3,).
    """
    eye, target, up = (np.asarray(v, dtype=np.float64) for v in (eye, target, up))
    z = (target - eye) / np.linalg.norm(target - eye)
    x = np.cross(z, up)
    x /= np.linalg.norm(x)
    R_cam_world = np.stack([x, np.cross(z, x), z])
    return R_cam_world, -R_cam_world @ eye

"""The field's error measures: one pure function each, plain arrays in, one number out.

Throughout, ``R`` is (3, 3) and ``t`` is (3,) in metres, mapping object to camera; ``est`` is the
estimate, ``gt`` the ground truth; ``points`` are (N, 3) object points in metres. An error counts as
right when it is *strictly below* its threshold.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from casapose_ros import geometry
from casapose_ros.types import CameraModel


def add_error(
    R_est: np.ndarray, t_est: np.ndarray, R_gt: np.ndarray, t_gt: np.ndarray, points: np.ndarray
) -> float:
    """Average distance of model points, ADD, in metres.

    For objects without symmetry (Hinterstoisser et al., ACCV 2012, eq. 7).
    """
    difference = geometry.transform(R_est, t_est, points) - geometry.transform(R_gt, t_gt, points)
    return float(np.linalg.norm(difference, axis=1).mean())


def adds_error(
    R_est: np.ndarray, t_est: np.ndarray, R_gt: np.ndarray, t_gt: np.ndarray, points: np.ndarray
) -> float:
    """Average distance from each true point to the closest estimated one, ADD-S, in metres.

    For symmetric objects (Hinterstoisser et al., ACCV 2012, eq. 8); also written ADI.
    """
    tree = cKDTree(geometry.transform(R_est, t_est, points))
    distances, _ = tree.query(geometry.transform(R_gt, t_gt, points))
    return float(np.mean(distances))


def projection_error(
    R_est: np.ndarray,
    t_est: np.ndarray,
    R_gt: np.ndarray,
    t_gt: np.ndarray,
    points: np.ndarray,
    camera: CameraModel,
) -> float:
    """Mean distance of the projected model points, 2DP, in px (Brachmann et al., CVPR 2016).

    Infinite where the estimate puts a point behind the camera, which has no image.
    """
    if np.any(geometry.transform(R_est, t_est, points)[:, 2] <= 0):
        return float("inf")
    projected_est = geometry.project(points, R_est, t_est, camera)
    projected_gt = geometry.project(points, R_gt, t_gt, camera)
    return float(np.linalg.norm(projected_est - projected_gt, axis=1).mean())


def rotation_error(R_est: np.ndarray, R_gt: np.ndarray) -> float:
    """Angle between two rotations in degrees, 0..180 (Hodan et al., ECCVW 2016, eq. 5)."""
    return float(np.rad2deg(geometry.rotation_angle(R_est, R_gt)))


def translation_error(t_est: np.ndarray, t_gt: np.ndarray) -> float:
    """Distance between two object origins in metres (Hodan et al., ECCVW 2016, eq. 4)."""
    return float(np.linalg.norm(np.ravel(t_est) - np.ravel(t_gt)))


def keypoint_error(keypoints_est: np.ndarray, keypoints_gt: np.ndarray) -> float:
    """Mean distance between (N, 2) estimated and true keypoints, in px.

    Over the keypoints that were found, the others being NaN; infinite where none was.
    """
    distances = np.linalg.norm(np.asarray(keypoints_est) - np.asarray(keypoints_gt), axis=1)
    found = np.isfinite(distances)
    return float(distances[found].mean()) if found.any() else float("inf")


def mask_iou(mask_est: np.ndarray, mask_gt: np.ndarray) -> float:
    """Intersection over union of two (H, W) masks; 1 where both are empty."""
    mask_est, mask_gt = (np.asarray(mask_est, dtype=bool), np.asarray(mask_gt, dtype=bool))
    union = np.count_nonzero(mask_est | mask_gt)
    return float(np.count_nonzero(mask_est & mask_gt) / union) if union else 1.0


def recall(errors: np.ndarray, threshold: float) -> float:
    """Fraction of the targets whose error is below the threshold.

    Args:
        errors: (N,) one error per target; infinite (or NaN) where the target was missed.
        threshold: In the unit of the errors.

    Returns:
        0..1, or NaN without any target: nothing was asked, so nothing is known.
    """
    errors = np.asarray(errors, dtype=np.float64)
    return float(np.mean(errors < threshold)) if errors.size else float("nan")


def recall_auc(errors: np.ndarray, max_threshold: float) -> float:
    """Area under the recall-over-threshold curve up to ``max_threshold``, scaled to 0..1.

    The AUC of PoseCNN (Xiang et al., RSS 2018, section V-C), integrated exactly: a target with
    error e is right on the part 1 - e / max_threshold of the axis.
    """
    errors = np.asarray(errors, dtype=np.float64)
    if not errors.size:
        return float("nan")
    errors = np.where(np.isnan(errors), np.inf, errors)
    return float(np.mean(np.clip(1 - errors / max_threshold, 0, 1)))

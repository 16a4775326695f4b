"""The three pose errors of BOP-19: plain arrays in, numbers out.

Hodan et al., "BOP Challenge 2020 on 6D Object Localization", ECCVW 2020. Throughout, ``R`` is
(3, 3) and ``t`` is (3,) in metres, mapping object to camera; ``est`` is the estimate, ``gt`` the
ground truth; ``points`` are (N, 3) object points in metres, ``transforms`` (S, 4, 4) the object's
symmetries from :func:`~casapose_ros.evaluation.symmetries.symmetry_transforms`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from casapose_ros import geometry
from casapose_ros.types import CameraModel

# Values, not decimal fractions: the benchmark counts in steps of 0.05, whose third is a little
# above 0.15, and a visible surface with 3 of 20 pixels wrong is below that.
STEPS = np.arange(0.05, 0.51, 0.05)
"""(10,) the benchmark's 0.05, 0.10 .. 0.50, bit by bit."""
DELTA = 0.015
"""Metres that a surface may lie behind the measured depth and still count as visible."""
MM_PER_M = 1000.0


def vsd(
    depth_est: np.ndarray,
    depth_gt: np.ndarray,
    depth_test: np.ndarray,
    K: np.ndarray,
    diameter: float,
    taus: np.ndarray = STEPS,
) -> np.ndarray:
    """Visible surface discrepancy with the step cost (Hodan, Michel et al., ECCV 2018, eq. 1).

    Of the pixels where the object is visible in either pose, the fraction that shows it in one
    pose only or at distances that differ by ``tau`` diameters or more. Visible is what does not
    lie more than ``DELTA`` behind the measured surface, and everything where nothing was measured.

    Args:
        depth_est: (H, W) metres, the object alone in the estimated pose, 0 where it is not.
        depth_gt: (H, W) metres, the object alone in the true pose.
        depth_test: (H, W) metres, the measured image, 0 where the sensor saw nothing.
        K: (3, 3) intrinsics, pixel centres at integers as everywhere in BOP.
        diameter: The object's, metres.
        taus: (T,) tolerances as fractions of the diameter.

    Returns:
        (T,) errors 0..1; all 1 where the object is visible in neither pose.
    """
    rows, columns = np.nonzero((depth_est > 0) | (depth_gt > 0))
    # From depth along the optical axis to distance from the camera's centre.
    x, y = (columns - K[0, 2]) / K[0, 0], (rows - K[1, 2]) / K[1, 1]
    stretch = np.sqrt(x**2 + y**2 + 1)
    est, gt, test = (depth[rows, columns] * stretch for depth in (depth_est, depth_gt, depth_test))
    visible_gt = _visible(gt, test)
    # At the wrong place the object may lie behind itself: that does not hide it (Hodan et al.,
    # ECCVW 2016, eq. 14).
    visible_est = _visible(est, test) | (visible_gt & (est > 0))
    both, either = visible_gt & visible_est, visible_gt | visible_est
    count = np.count_nonzero(either)
    if count == 0:
        return np.ones(len(taus))
    apart = np.abs(gt[both] - est[both]) / diameter
    wrong = np.count_nonzero(apart[:, None] >= taus, axis=0)
    return (wrong + count - np.count_nonzero(both)) / count


def mssd(
    R_est: np.ndarray,
    t_est: np.ndarray,
    R_gt: np.ndarray,
    t_gt: np.ndarray,
    points: np.ndarray,
    transforms: np.ndarray,
) -> float:
    """Maximum symmetry-aware surface distance in metres.

    The largest distance between a surface point in the two poses, for the symmetry that makes it
    smallest. Infinite for a pose that is not finite.
    """
    points_est = geometry.transform(R_est, t_est, points)
    return _smallest(
        _largest_distance(points_est, geometry.transform(R, t, points))
        for R, t in _equivalents(R_gt, t_gt, transforms)
    )


def mspd(
    R_est: np.ndarray,
    t_est: np.ndarray,
    R_gt: np.ndarray,
    t_gt: np.ndarray,
    points: np.ndarray,
    transforms: np.ndarray,
    camera: CameraModel,
) -> float:
    """Maximum symmetry-aware projection distance in px.

    As :func:`mssd`, of the projected points. As in the benchmark, a point behind the camera is
    projected like any other; infinite only where there is no projection.
    """
    # A point in the plane of the camera's centre has none; the others are judged by themselves.
    with np.errstate(divide="ignore", invalid="ignore"):
        pixels_est = geometry.project(points, R_est, t_est, camera)
        return _smallest(
            _largest_distance(pixels_est, geometry.project(points, R, t, camera))
            for R, t in _equivalents(R_gt, t_gt, transforms)
        )


def _visible(distance: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """(N,) bool, where a surface at this distance is seen; both in metres, 0 for nothing."""
    # The benchmark compares float32 millimetres. In another precision a pixel right at the
    # tolerance may fall on its other side, and one pixel is more than an error's last digits.
    behind = (distance * MM_PER_M).astype(np.float32) - (measured * MM_PER_M).astype(np.float32)
    return (distance > 0) & ((behind <= DELTA * MM_PER_M) | (measured == 0))


def _equivalents(
    R_gt: np.ndarray, t_gt: np.ndarray, transforms: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """All poses that look like the true one."""
    rotations = R_gt @ transforms[:, :3, :3]
    translations = transforms[:, :3, 3] @ np.asarray(R_gt).T + np.ravel(t_gt)
    return zip(rotations, translations, strict=True)


def _largest_distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(a - b, axis=1).max())


def _smallest(errors: Iterator[float]) -> float:
    """The smallest, infinite if that is not a number."""
    smallest = float(np.min(list(errors)))
    return smallest if np.isfinite(smallest) else float("inf")

"""What may be a camera."""

import numpy as np
import pytest

from casapose_ros.errors import CameraError
from casapose_ros.types import CameraModel


def intrinsics(fx=600.0, fy=600.0, cx=319.5, cy=239.5):
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])


def changed(row, column, value):
    K = intrinsics()
    K[row, column] = value
    return K


@pytest.mark.parametrize(
    "K",
    [
        intrinsics(),
        intrinsics(fx=70, fy=70),  # a fisheye lens
        intrinsics(fx=50_000, fy=40_000),  # a telescope
        intrinsics(cx=-100, cy=700),  # a region of interest beside the optical axis
        changed(0, 1, 3.0),
        intrinsics().astype(np.float32),
    ],
)
def test_real_cameras(K):
    camera = CameraModel(K, 640, 480)
    assert camera.K.dtype == np.float64 and np.allclose(camera.K, K)


@pytest.mark.parametrize(
    ("K", "message"),
    [
        (changed(2, 2, 0.0), r"last row of K must be 0, 0, 1, got \[0.0, 0.0, 0.0\]"),
        (2 * intrinsics(), r"got \[0.0, 0.0, 2.0\]"),
        (intrinsics().T, "row by row"),
        (changed(0, 1, 300.0), "small skew"),
        (changed(0, 1, -300.0), "small skew"),
        (changed(1, 0, 1e-3), r"K\[1, 0\] must be 0"),
        (intrinsics(fx=-600), "must be positive, got fx=-600"),
        (intrinsics(fy=0), "must be positive"),
        (intrinsics(fx=63), "fx = 63 px is no focal length for 640x480 images, expected 64 to"),
        (intrinsics(fy=47), "fy = 47 px"),
        (intrinsics(fx=64_001), "fx = 64001 px"),
        (intrinsics(fx=0.0036, fy=0.0036), "in px"),  # metres
        (intrinsics(fx=np.nan), "finite"),
        (intrinsics(cx=np.inf), "finite"),
        (np.eye(4), r"3x3 matrix, got shape \(4, 4\)"),
        (np.zeros((3, 3)), "uncalibrated"),
    ],
)
def test_numbers_of_no_camera_are_refused(K, message):
    with pytest.raises(CameraError, match=message):
        CameraModel(K, 640, 480)

import array

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from casapose_ros.errors import CameraError, ImageError
from casapose_ros.geometry import PIXEL_CENTRE, project
from casapose_ros.ros.conversions import (
    camera_from_info,
    check_size,
    image_to_rgb,
    info_from_camera,
    rgb_to_image,
)
from casapose_ros.types import CameraModel

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
PICTURE = np.array([[RED, GREEN, BLUE], [WHITE, (10, 20, 30), (1, 2, 3)]], dtype=np.uint8)
GREY = np.array([[0, 100, 255], [7, 8, 9]], dtype=np.uint8)


def image_message(pixels, encoding, padding=0, big_endian=False):
    """A message of (H, W) or (H, W, C) pixels whose rows are ``padding`` bytes too long."""
    height, width = pixels.shape[:2]
    rows = pixels.reshape(height, -1).view(np.uint8)
    rows = np.hstack([rows, np.full((height, padding), 77, dtype=np.uint8)])
    return Image(
        height=height,
        width=width,
        encoding=encoding,
        step=rows.shape[1],
        is_bigendian=big_endian,
        data=array.array("B", rows.tobytes()),
    )


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize(
    ("encoding", "pixels"),
    [
        ("rgb8", PICTURE),
        ("bgr8", PICTURE[..., ::-1]),
        ("8UC3", PICTURE[..., ::-1]),
        ("rgba8", np.dstack([PICTURE, np.full((2, 3), 9, dtype=np.uint8)])),
        ("bgra8", np.dstack([PICTURE[..., ::-1], np.full((2, 3), 9, dtype=np.uint8)])),
    ],
)
def test_colour_encodings(encoding, pixels, padding):
    message = image_message(np.ascontiguousarray(pixels), encoding, padding)
    np.testing.assert_array_equal(image_to_rgb(message), PICTURE)


def test_mono8():
    rgb = image_to_rgb(image_message(GREY, "mono8", padding=2))
    np.testing.assert_array_equal(rgb, np.dstack([GREY] * 3))


@pytest.mark.parametrize("big_endian", [False, True])
def test_mono16_keeps_the_high_byte(big_endian):
    values = GREY.astype(np.uint16) * 256 + 200
    pixels = values.astype(">u2" if big_endian else "<u2")
    rgb = image_to_rgb(image_message(pixels, "mono16", 2, big_endian))
    np.testing.assert_array_equal(rgb, np.dstack([GREY] * 3))


@pytest.mark.parametrize(
    ("pattern", "cell"),
    [("rggb", [[0, 1], [1, 2]]), ("bggr", [[2, 1], [1, 0]])]
    + [("gbrg", [[1, 2], [0, 1]]), ("grbg", [[1, 0], [2, 1]])],
)
@pytest.mark.parametrize("colour", [RED, GREEN, BLUE, (200, 100, 50)])
def test_bayer_patterns_give_a_flat_colour_back(pattern, cell, colour):
    mosaic = np.tile(np.array(colour, dtype=np.uint8)[cell], (4, 4))
    rgb = image_to_rgb(image_message(mosaic, f"bayer_{pattern}8"))
    np.testing.assert_array_equal(rgb, np.broadcast_to(np.uint8(colour), (8, 8, 3)))


@pytest.mark.parametrize("encoding", ["yuv422", "uyvy", "yuv422_yuy2", "yuyv"])
@pytest.mark.parametrize("colour", [RED, GREEN, BLUE, WHITE, (200, 100, 50)])
def test_yuv422_gives_a_flat_colour_back(encoding, colour):
    # BT.601, video range, which is what these encodings hold.
    r, g, b = np.array(colour) / 255
    y = 16 + 65.481 * r + 128.553 * g + 24.966 * b
    u = 128 - 37.797 * r - 74.203 * g + 112 * b
    v = 128 + 112 * r - 93.786 * g - 18.214 * b
    pair = [u, y, v, y] if encoding in ("yuv422", "uyvy") else [y, u, y, v]
    pixels = np.tile(np.round(pair).astype(np.uint8), (2, 2)).reshape(2, 4, 2)
    rgb = image_to_rgb(image_message(pixels, encoding))
    assert np.abs(rgb.astype(int) - colour).max() <= 3


def test_last_row_may_come_without_padding():
    message = image_message(PICTURE, "rgb8", padding=5)
    message.data = message.data[:-5]
    np.testing.assert_array_equal(image_to_rgb(message), PICTURE)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"encoding": "jpeg"}, "unknown image encoding 'jpeg'"),
        ({"encoding": ""}, "unknown image encoding ''"),
        ({"step": 8}, "step is 8 bytes, but 3 pixels of rgb8 take 9"),
        ({"step": 0}, "step is 0"),
        ({"data": array.array("B", bytes(17))}, "17 bytes, but 2 rows of 9 take 18"),
        ({"data": array.array("B")}, "0 bytes"),
        ({"height": 0}, "no pixels: 3x0"),
        ({"width": 0}, "no pixels: 0x2"),
        ({"encoding": "yuv422"}, "even width"),
        ({"height": 2**32 - 1}, "18 bytes"),
    ],
)
def test_malformed_images_are_refused(change, complaint):
    message = image_message(PICTURE, "rgb8")
    for name, value in change.items():
        setattr(message, name, value)
    with pytest.raises(ImageError, match=complaint):
        image_to_rgb(message)


@pytest.mark.parametrize("encoding", ["bayer_rggb8", "bayer_grbg8", "mono8", "mono16", "yuv422"])
@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 1), (2, 2), (3, 3)])
def test_tiny_images_are_converted_or_refused_but_never_crash(encoding, size):
    dtype = np.uint16 if encoding == "mono16" else np.uint8
    shape = (*size, 2) if encoding == "yuv422" else size
    try:
        assert image_to_rgb(image_message(np.zeros(shape, dtype), encoding)).shape == (*size, 3)
    except ImageError:
        assert encoding.startswith(("bayer", "yuv"))


def test_published_image_comes_back():
    header = Header(frame_id="camera")
    message = rgb_to_image(PICTURE, header)
    assert (message.encoding, message.step, message.header) == ("rgb8", 9, header)
    np.testing.assert_array_equal(image_to_rgb(message), PICTURE)


def camera_info(**changes):
    values = {
        "width": 640,
        "height": 480,
        "distortion_model": "plumb_bob",
        "d": [0.1, -0.2, 0.001, 0.002, 0.05],
        "k": [500.0, 0.0, 320.0, 0.0, 510.0, 240.0, 0.0, 0.0, 1.0],
        "p": [450.0, 0.0, 310.0, -30.0, 0.0, 460.0, 230.0, 0.0, 0.0, 0.0, 1.0, 0.0],
    }
    info = CameraInfo(**(values | changes))
    return info


def test_raw_image_takes_k_and_d():
    camera = camera_from_info(camera_info(), rectified=False)
    np.testing.assert_array_equal(camera.K, [[500, 0, 320], [0, 510, 240], [0, 0, 1]])
    np.testing.assert_array_equal(camera.distortion, [0.1, -0.2, 0.001, 0.002, 0.05])
    assert (camera.width, camera.height, camera.distortion_model) == (640, 480, "plumb_bob")


def test_rectified_image_takes_p_alone():
    camera = camera_from_info(camera_info(), rectified=True)
    np.testing.assert_array_equal(camera.K, [[450, 0, 310], [0, 460, 230], [0, 0, 1]])
    assert not camera.is_distorted


def test_rectified_image_of_a_camera_without_distortion_may_lack_p():
    camera = camera_from_info(camera_info(p=[0.0] * 12, d=[]), rectified=True)
    assert camera.K[0, 0] == 500
    with pytest.raises(CameraError, match="P = 0"):
        camera_from_info(camera_info(p=[0.0] * 12), rectified=True)


def test_rational_polynomial_projects_like_opencv():
    D = [0.3, -0.1, 0.001, -0.002, 0.02, 0.4, -0.05, 0.01]
    info = camera_info(distortion_model="rational_polynomial", d=D)
    camera = camera_from_info(info, rectified=False)
    points = np.array([[0.1, -0.2, 1.0], [-0.3, 0.2, 1.5]])
    expected, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), camera.K, np.array(D))
    projected = project(points, np.eye(3), np.zeros(3), camera)
    np.testing.assert_allclose(projected - PIXEL_CENTRE, expected[:, 0], atol=1e-9)


def test_region_of_interest_and_binning_describe_the_published_image():
    info = camera_info(binning_x=2, binning_y=4, d=[])
    info.roi.x_offset, info.roi.y_offset = 100, 40
    info.roi.width, info.roi.height = 401, 200
    camera = camera_from_info(info, rectified=False)
    assert (camera.width, camera.height) == (200, 50)
    point = np.array([[0.1, -0.05, 1.0]])
    whole = camera_from_info(camera_info(d=[]), rectified=False)
    full = project(point, np.eye(3), np.zeros(3), whole)
    binned = project(point, np.eye(3), np.zeros(3), camera)
    # With the first pixel's centre at (0.5, 0.5), cropping and binning are exact.
    np.testing.assert_allclose(binned, (full - [100, 40]) / [2, 4], atol=1e-9)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"k": [0.0] * 9}, "K = 0: the camera is not calibrated"),
        ({"k": [float("nan")] * 9}, "finite"),
        ({"d": [float("inf")] * 5}, "finite"),
        ({"d": [0.1, 0.2, 0.3]}, "coefficients, got 3"),
        ({"distortion_model": "spline"}, "unknown distortion model 'spline'"),
        ({"width": 0}, "size must be positive"),
        ({"binning_x": 1000}, "size must be positive"),
    ],
)
def test_unusable_calibrations_are_refused(changes, complaint):
    with pytest.raises(CameraError, match=complaint):
        camera_from_info(camera_info(**changes), rectified=False)


def test_camera_must_fit_the_image():
    camera = camera_from_info(camera_info(), rectified=False)
    check_size(camera, np.zeros((480, 640, 3), dtype=np.uint8))
    with pytest.raises(CameraError, match="640x480 pixels, but the image has 320x240"):
        check_size(camera, np.zeros((240, 320, 3), dtype=np.uint8))


def test_published_calibration_comes_back():
    K = np.array([[500, 0, 320], [0, 510, 240], [0, 0, 1.0]])
    for camera in (
        CameraModel(K, 640, 480),
        CameraModel(K, 640, 480, np.array([0.1, 0, 0, 0, 0.0]), "plumb_bob"),
        CameraModel(K, 640, 480, np.arange(8) / 100, "rational_polynomial"),
    ):
        info = info_from_camera(camera, Header())
        back = camera_from_info(info, rectified=False)
        np.testing.assert_array_equal(back.K, camera.K)
        assert back.is_distorted == camera.is_distorted
        assert (back.width, back.height) == (640, 480)
        if camera.is_distorted:
            np.testing.assert_array_equal(back.distortion, camera.distortion)

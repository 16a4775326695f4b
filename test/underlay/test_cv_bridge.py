"""What this package relies on in ``cv_bridge``; it holds for the real one as well."""

import cv2
import numpy as np
import pytest

cv_bridge = pytest.importorskip("cv_bridge", reason="no ROS environment; run `make test`")
from sensor_msgs.msg import CompressedImage, Image  # noqa: E402
from std_msgs.msg import Header  # noqa: E402


@pytest.fixture
def bridge():
    return cv_bridge.CvBridge()


@pytest.fixture
def picture():
    """(6, 8, 3) uint8 of random colours."""
    return np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("dtype", "channels", "encoding"),
    [
        ("uint8", 1, "8UC1"),
        ("uint8", 3, "8UC3"),
        ("uint8", 4, "8UC4"),
        ("uint16", 1, "16UC1"),
        ("int16", 2, "16SC2"),
        ("int32", 1, "32SC1"),
        ("float32", 1, "32FC1"),
        ("float64", 3, "64FC3"),
    ],
)
def test_plain_numbers_come_back_as_they_were(bridge, dtype, channels, encoding):
    shape = (5, 7) if channels == 1 else (5, 7, channels)
    image = np.random.default_rng(0).uniform(0, 100, shape).astype(dtype)
    message = bridge.cv2_to_imgmsg(image)
    assert (message.encoding, message.height, message.width) == (encoding, 5, 7)
    assert message.step == 7 * channels * image.itemsize
    back = bridge.imgmsg_to_cv2(message)
    assert back.dtype == image.dtype
    np.testing.assert_array_equal(back, image)


def test_header_and_encoding_are_kept(bridge, picture):
    message = bridge.cv2_to_imgmsg(picture, "rgb8", Header(frame_id="camera"))
    assert (message.encoding, message.header.frame_id) == ("rgb8", "camera")


def test_padded_rows(bridge, picture):
    padded = np.zeros((6, 32), np.uint8)
    padded[:, :24] = picture.reshape(6, 24)
    message = Image(height=6, width=8, encoding="bgr8", step=32)
    message.data = padded.tobytes()
    if not isinstance(bridge.imgmsg_to_cv2(message), np.ndarray):
        pytest.fail("not an array")
    np.testing.assert_array_equal(bridge.imgmsg_to_cv2(message), picture)


def test_big_endian(bridge):
    values = np.arange(12, dtype=np.int32).reshape(3, 4)
    message = bridge.cv2_to_imgmsg(values.astype(">i4"))
    assert message.is_bigendian
    back = bridge.imgmsg_to_cv2(message)
    assert back.dtype == np.int32
    np.testing.assert_array_equal(back, values)


def test_result_is_a_copy(bridge, picture):
    message = bridge.cv2_to_imgmsg(picture, "bgr8")
    bridge.imgmsg_to_cv2(message)[:] = 0
    np.testing.assert_array_equal(bridge.imgmsg_to_cv2(message), picture)


@pytest.mark.parametrize(
    ("source", "target", "code"),
    [
        ("bgr8", "rgb8", cv2.COLOR_BGR2RGB),
        ("rgb8", "bgra8", cv2.COLOR_RGB2BGRA),
        ("rgb8", "mono8", cv2.COLOR_RGB2GRAY),
    ],
)
def test_colours(bridge, picture, source, target, code):
    message = bridge.cv2_to_imgmsg(picture, source)
    np.testing.assert_array_equal(
        bridge.imgmsg_to_cv2(message, target), cv2.cvtColor(picture, code)
    )


def test_bayer_pattern_is_named_by_its_first_pixels(bridge):
    """Red light only: an RGGB sensor sees it at even rows and columns."""
    mosaic = np.zeros((8, 8), np.uint8)
    mosaic[::2, ::2] = 200
    message = bridge.cv2_to_imgmsg(mosaic, "bayer_rggb8")
    rgb = bridge.imgmsg_to_cv2(message, "rgb8")[2:-2, 2:-2]
    assert rgb[..., 0].min() == 200
    assert rgb[..., 1:].max() == 0


@pytest.mark.parametrize(("encoding", "luma"), [("yuv422", 1), ("yuv422_yuy2", 0)])
def test_yuv_byte_order(bridge, encoding, luma):
    packed = np.full((4, 6, 2), 128, np.uint8)
    packed[..., luma] = 235
    rgb = bridge.imgmsg_to_cv2(bridge.cv2_to_imgmsg(packed, encoding), "rgb8")
    assert rgb.shape == (4, 6, 3)
    assert rgb.min() >= 254


def test_depths_share_one_range_of_brightness(bridge):
    bright = np.array([[0, 128, 255]], np.uint8)
    wide = bridge.imgmsg_to_cv2(bridge.cv2_to_imgmsg(bright, "mono8"), "mono16")
    assert wide.tolist() == [[0, 32896, 65535]]
    narrow = bridge.imgmsg_to_cv2(bridge.cv2_to_imgmsg(wide, "mono16"), "mono8")
    assert narrow.tolist() == bright.tolist()


def test_compressed(bridge, picture):
    message = bridge.cv2_to_compressed_imgmsg(picture, "png")
    assert message.format == "png"
    np.testing.assert_array_equal(bridge.compressed_imgmsg_to_cv2(message), picture)
    np.testing.assert_array_equal(
        bridge.compressed_imgmsg_to_cv2(message, "rgb8"), picture[..., ::-1]
    )


def test_corrupt_compressed_image_is_none(bridge):
    assert bridge.compressed_imgmsg_to_cv2(CompressedImage(data=b"not a picture")) is None


def test_refusals(bridge, picture):
    error = cv_bridge.CvBridgeError
    assert issubclass(error, TypeError)
    with pytest.raises(error, match="mono9"):
        bridge.imgmsg_to_cv2(Image(height=1, width=1, step=1, encoding="mono9", data=b"a"))
    with pytest.raises(TypeError):
        bridge.imgmsg_to_cv2(Image(height=2, width=2, step=6, encoding="rgb8", data=b"short"))
    with pytest.raises(error, match="not a color format"):
        bridge.imgmsg_to_cv2(bridge.cv2_to_imgmsg(picture), "bgr8")
    with pytest.raises(error, match="incompatible type 8UC3"):
        bridge.cv2_to_imgmsg(picture, "mono8")
    with pytest.raises(TypeError):
        bridge.cv2_to_imgmsg([[1, 2], [3, 4]])

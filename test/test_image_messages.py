"""Compressed images; raw ones and calibrations are tested with ROS' own messages in test/ros."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from casapose_ros.errors import ImageError
from casapose_ros.image_messages import compressed_to_rgb, image_to_rgb, knows_encoding

RGB = np.full((16, 24, 3), (200, 100, 50), dtype=np.uint8)


def encoded(image, suffix):
    return cv2.imencode(suffix, image)[1]


def compressed(data, text):
    return SimpleNamespace(format=text, data=data)


@pytest.mark.parametrize(
    "text", ["bgr8; jpeg compressed bgr8", "rgb8; jpeg compressed bgr8", "jpeg", "rgb8;jpeg", ""]
)
def test_jpeg(text):
    rgb = compressed_to_rgb(compressed(encoded(RGB[..., ::-1], ".jpg"), text))
    assert rgb.shape == RGB.shape and np.abs(rgb.astype(int) - RGB).max() <= 3


@pytest.mark.parametrize("text", ["rgb8; png compressed bgr8", "png"])
def test_png_is_exact(text):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)
    rgb = compressed_to_rgb(compressed(encoded(image[..., ::-1], ".png"), text))
    np.testing.assert_array_equal(rgb, image)


def test_grey_and_16_bits():
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    rgb = compressed_to_rgb(compressed(encoded(grey, ".png"), "mono8; png compressed "))
    np.testing.assert_array_equal(rgb, np.dstack([grey] * 3))
    deep = grey.astype(np.uint16) * 256 + 200
    rgb = compressed_to_rgb(compressed(encoded(deep, ".png"), "mono16; png compressed "))
    np.testing.assert_array_equal(rgb, np.dstack([grey] * 3))


def test_bayer_mosaic():
    mosaic = np.tile(np.array([[200, 100], [100, 50]], dtype=np.uint8), (8, 12))
    rgb = compressed_to_rgb(compressed(encoded(mosaic, ".png"), "bayer_rggb8; png compressed "))
    np.testing.assert_array_equal(rgb, RGB)


JPEG, PNG = encoded(RGB, ".jpg"), encoded(RGB, ".png")


@pytest.mark.parametrize(
    ("data", "text", "complaint"),
    [
        (PNG, "16UC1; compressedDepth png", "depth image"),
        (np.zeros(0, np.uint8), "jpeg", "neither JPEG nor PNG"),
        (np.zeros(99, np.uint8), "h264", "'h264' with 99 bytes that are neither"),
        (JPEG[: len(JPEG) // 2], "jpeg", "have no end"),
        (PNG[: len(PNG) - 1], "png", "have no end"),
        (np.concatenate([JPEG[:20], JPEG[-2:]]), "jpeg", "cannot decode"),
    ],
)
def test_what_is_no_whole_picture_is_refused(data, text, complaint):
    with pytest.raises(ImageError, match=complaint):
        compressed_to_rgb(compressed(data, text))


def test_camera_may_pad_its_jpegs():
    padded = np.concatenate([JPEG, np.zeros(100, np.uint8)])
    assert compressed_to_rgb(compressed(padded, "jpeg")).shape == RGB.shape


@pytest.mark.parametrize("image", [JPEG, PNG])
@pytest.mark.parametrize("junk", [b"abc", b"\r\n", b"\0" * 9000])
def test_what_stands_behind_a_whole_picture_does_no_harm(image, junk):
    longer = np.concatenate([image, np.frombuffer(junk, np.uint8)])
    assert compressed_to_rgb(compressed(longer, "jpeg")).shape == RGB.shape


def test_end_of_a_preview_is_not_the_end():
    preview = JPEG.tobytes()
    segment = b"\xff\xe1" + (len(preview) + 2).to_bytes(2, "big") + preview
    whole = np.frombuffer(JPEG[:2].tobytes() + segment + JPEG[2:].tobytes(), np.uint8)
    assert compressed_to_rgb(compressed(whole, "jpeg")).shape == RGB.shape
    with pytest.raises(ImageError, match="have no end"):
        compressed_to_rgb(compressed(whole[:-100], "jpeg"))


@pytest.mark.parametrize(("name", "order"), [("rgb16", 1), ("BGR16", -1)])
@pytest.mark.parametrize("big", [0, 1])
def test_16_bits_lose_their_low_byte(name, order, big):
    deep = (RGB[..., ::order].astype(np.uint16) << 8 | 99).astype(">u2" if big else "<u2")
    np.testing.assert_array_equal(image_to_rgb(raw(name, deep, big)), RGB)


def test_16_bit_bayer_mosaic():
    mosaic = np.tile(np.array([[200, 100], [100, 50]], dtype=np.uint16) << 8 | 7, (8, 12))
    np.testing.assert_array_equal(image_to_rgb(raw("bayer_rggb16", mosaic)), RGB)
    packed = compressed(encoded(mosaic, ".png"), "bayer_rggb16; png compressed ")
    np.testing.assert_array_equal(compressed_to_rgb(packed), RGB)


def raw(encoding, pixels, big=0):
    height, width = pixels.shape[:2]
    data = np.frombuffer(pixels.tobytes(), np.uint8)
    return SimpleNamespace(
        encoding=encoding, height=height, width=width, step=data.size // height,
        is_bigendian=big, data=data,
    )  # fmt: skip


def test_depth_encodings_are_no_pictures():
    assert knows_encoding("uyvy") and knows_encoding("bayer_gbrg8")
    assert not knows_encoding("16UC1") and not knows_encoding("32FC1")

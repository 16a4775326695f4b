"""Resize arithmetic, held against what OpenCV's resizing really does to a picture."""

import numpy as np
import pytest

from casapose_ros.errors import ConfigError
from casapose_ros.framing import PADDING_GREY, Framing, parse_network_size
from casapose_ros.types import Fields, Keypoints


def spot(width, height, x, y, sigma):
    """A bright spot centred at (x, y) px, pixel centres at (0.5, 0.5)."""
    cols, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    value = 255 * np.exp(-((cols - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2))
    return np.repeat(value.round().astype(np.uint8)[:, :, None], 3, axis=2)


def centroid(image):
    weights = image[:, :, 0].astype(np.float64)
    cols, rows = np.meshgrid(np.arange(image.shape[1]) + 0.5, np.arange(image.shape[0]) + 0.5)
    return np.array([(weights * cols).sum(), (weights * rows).sum()]) / weights.sum()


def keypoints_at(points):
    return Keypoints(
        class_id=1,
        instance_id=0,
        points=np.asarray(points, dtype=np.float64),
        covariances=np.tile(np.diag([1.0, 4.0]), (len(points), 1, 1)),
        valid=np.ones(len(points), dtype=bool),
        pixels=100,
        mask_probability=1.0,
        box=(10.0, 20.0, 30.0, 50.0),
    )


@pytest.mark.parametrize(
    ("image_size", "network_size"),
    [
        ((640, 480), (320, 240)),
        ((640, 480), (224, 224)),
        ((1280, 720), (640, 480)),
        ((333, 251), (640, 480)),
        ((640, 480), None),
        ((641, 479), None),
        ((641, 479), (640, 480)),
    ],
)
def test_pixels_come_back_to_where_the_picture_shows_them(image_size, network_size):
    width, height = image_size
    x, y = 0.37 * width, 0.61 * height
    framing = Framing.fit(image_size, network_size)
    network_image = framing.to_network(spot(width, height, x, y, sigma=width / 40))
    assert network_image.shape[:2] == framing.input_size[::-1]
    cropped_width, cropped_height = framing.content_size
    seen = centroid(network_image[:cropped_height, :cropped_width])
    back = framing.to_image(keypoints_at([seen])).points[0]
    assert np.abs(back - (x, y)).max() < 0.02


def test_sizes_fit_keep_their_aspect_and_are_multiples_of_eight():
    assert Framing.fit((1280, 720), (640, 480)).content_size == (640, 360)
    assert Framing.fit((1280, 720), (640, 480)).input_size == (640, 360)
    assert Framing.fit((480, 640), (640, 480)).content_size == (360, 480)
    assert Framing.fit((333, 251), None).content_size == (333, 251)
    assert Framing.fit((333, 251), None).input_size == (336, 256)
    assert Framing.fit((100, 100), (50, 30)).input_size == (32, 32)
    assert Framing.fit((10_000, 1), (640, 480)).content_size == (640, 1)


def test_padding_is_grey_and_what_fits_is_not_copied():
    image = np.full((10, 20, 3), 200, dtype=np.uint8)
    padded = Framing.fit((20, 10), None).to_network(image)
    assert padded.shape == (16, 24, 3)
    assert np.all(padded[:10, :20] == 200)
    assert np.all(padded[10:] == PADDING_GREY) and np.all(padded[:, 20:] == PADDING_GREY)
    whole = np.zeros((16, 24, 3), dtype=np.uint8)
    assert Framing.fit((24, 16), None).to_network(whole) is whole


def test_shrinking_averages_instead_of_skipping():
    checkers = np.indices((64, 64)).sum(axis=0) % 2 * 255
    image = np.repeat(checkers.astype(np.uint8)[:, :, None], 3, axis=2)
    small = Framing.fit((64, 64), (16, 16)).to_network(image)
    assert np.all(np.abs(small.astype(int) - 127) <= 1)


def test_everything_that_is_measured_in_pixels_is_scaled():
    found = Framing((640, 480), (320, 120)).to_image(keypoints_at(np.zeros((9, 2))))
    assert np.allclose(found.covariances, np.diag([4.0, 64.0]))
    assert found.pixels == 800
    assert found.box == (20, 80, 60, 200)
    assert found.mask_probability == 1


def test_padding_is_cut_off_the_fields():
    fields = Fields(
        logits=np.zeros((16, 24, 3)),
        vectors=np.zeros((16, 24, 9, 2)),
        confidence=np.zeros((16, 24, 9)),
        labels=np.zeros((16, 24), np.uint8),
    )
    cropped = Framing.fit((20, 10), None).crop(fields)
    assert cropped.logits.shape == (10, 20, 3)
    assert cropped.vectors.shape == (10, 20, 9, 2)
    assert cropped.confidence.shape == (10, 20, 9)
    assert cropped.labels.shape == (10, 20)


def test_network_sizes_are_read():
    assert parse_network_size("640x480") == (640, 480)
    assert parse_network_size("native") is None


@pytest.mark.parametrize("text", ["", "640", "640X480", "0x480", "-8x8", "640x480x3", "1e3x10"])
def test_other_network_sizes_are_refused(text):
    with pytest.raises(ConfigError, match="WxH"):
        parse_network_size(text)

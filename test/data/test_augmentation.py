"""Photometric augmentation: nothing at strength 0, bounded, a function of the generator alone."""

import numpy as np
import pytest

from casapose_ros.data.augmentation import augment_image

IMAGE = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)


def many(strength, image=IMAGE, seed=1, count=40):
    rng = np.random.default_rng(seed)
    return [augment_image(image, rng, strength) for _ in range(count)]


def test_strength_zero_changes_nothing_but_rounding():
    for image in many(0.0):
        # The way to hue and back costs a few grey levels.
        assert np.abs(image.astype(int) - IMAGE).max() <= 6


def test_images_differ_and_keep_their_form():
    images = many(1.0)
    assert all(i.shape == IMAGE.shape and i.dtype == np.uint8 for i in images)
    assert len({i.tobytes() for i in images}) > 30
    assert (
        IMAGE.tobytes()
        == np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8).tobytes()
    )


def test_the_generator_decides():
    np.testing.assert_array_equal(many(1.0, seed=3), many(1.0, seed=3))


@pytest.mark.parametrize("level", [0, 255])
def test_black_and_white_do_not_wrap_around(level):
    image = np.full((16, 16, 3), level, np.uint8)
    for augmented in many(1.0, image):
        assert abs(np.median(augmented) - level) < 140


def test_brightness_stays_within_its_range():
    grey = np.full((32, 32, 3), 120, np.uint8)
    means = [image.mean() for image in many(1.0, grey, count=200)]
    assert 60 < min(means) < 105 and 135 < max(means) < 190

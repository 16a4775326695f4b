"""Photometric augmentation: nothing at strength 0, bounded, a function of the generator alone."""

import numpy as np
import pytest

from casapose_ros.data import augmentation
from casapose_ros.data.augmentation import augment_image

IMAGE = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
BLURS = ("_gaussian", "_average", "_median", "_motion", "_bilateral")
CONTRASTS = ("_gamma", "_sigmoid", "_logarithm", "_linear")
NOISES = ("_normal", "_laplace", "_shot", "_dropout", "_salt_and_pepper")
GREY = np.full((64, 64, 3), 120, np.uint8)


def many(strength, image=IMAGE, seed=1, count=40):
    rng = np.random.default_rng(seed)
    return [augment_image(image, rng, strength) for _ in range(count)]


def apply(name, values, strength=1.0, seed=0):
    return getattr(augmentation, name)(values, np.random.default_rng(seed), strength)


def test_strength_zero_changes_nothing():
    for image in many(0.0):
        np.testing.assert_array_equal(image, IMAGE)
        assert image is not IMAGE


def test_images_differ_and_keep_their_form():
    before = IMAGE.copy()
    images = many(1.0)
    assert all(i.shape == IMAGE.shape and i.dtype == np.uint8 for i in images)
    assert len({i.tobytes() for i in images}) > 30
    np.testing.assert_array_equal(IMAGE, before)


def test_the_generator_decides():
    np.testing.assert_array_equal(many(1.0, seed=3), many(1.0, seed=3))


@pytest.mark.parametrize("level", [0, 255])
def test_black_and_white_do_not_wrap_around(level):
    image = np.full((16, 16, 3), level, np.uint8)
    for augmented in many(1.0, image, count=200):
        assert abs(np.median(augmented) - level) < 140


def test_brightness_stays_within_its_range():
    grey = np.full((32, 32, 3), 120, np.uint8)
    means = [image.mean() for image in many(1.0, grey, count=200)]
    assert 50 < min(means) < 105 and 135 < max(means) < 200


def test_weaker_is_closer():
    def change(strength):
        return np.mean([np.abs(i.astype(int) - IMAGE).mean() for i in many(strength, count=100)])

    assert change(0.25) < 0.6 * change(1.0) < 0.9 * change(2.0)


@pytest.mark.parametrize("name", BLURS)
def test_blurs_keep_flat_areas_and_smooth_the_rest(name):
    np.testing.assert_array_equal(apply(name, GREY), GREY)
    for seed in range(10):
        smoothed = apply(name, IMAGE, seed=seed)
        assert smoothed.std() <= IMAGE.std()
        assert smoothed.mean() == pytest.approx(IMAGE.mean(), abs=8)
        # Hardly any strength: kernels of one pixel.
        np.testing.assert_allclose(apply(name, IMAGE, 1e-3, seed), IMAGE, atol=1)


@pytest.mark.parametrize("name", CONTRASTS)
def test_contrast_is_monotonic_and_vanishes_with_its_strength(name):
    tables = np.tile(np.arange(256.0)[:, None], (1, 3))
    for seed in range(10):
        assert np.all(np.diff(apply(name, tables, seed=seed), axis=0) > 0)
        np.testing.assert_allclose(apply(name, tables, 1e-6, seed), tables, atol=1e-2)


@pytest.mark.parametrize("name", ["_normal", "_laplace", "_shot"])
def test_noise_has_no_mean(name):
    for seed in range(10):
        noisy = apply(name, GREY, seed=seed).astype(float)
        assert noisy.mean() == pytest.approx(120, abs=0.5)
        assert noisy.std() < 12


def test_tables_of_noise_have_unit_deviation():
    for table in (augmentation.NORMAL, augmentation.LAPLACE):
        assert table.mean() == pytest.approx(0, abs=1e-9)
        assert table.std() == pytest.approx(1, abs=0.05)
    kurtosis = [
        np.mean(t**4) / np.mean(t**2) ** 2 for t in (augmentation.NORMAL, augmentation.LAPLACE)
    ]
    assert kurtosis[0] < 3.1 < 4.5 < kurtosis[1]


@pytest.mark.parametrize("name", ["_dropout", "_salt_and_pepper"])
def test_at_most_a_twentieth_of_the_pixels_is_hit(name):
    hits = [np.mean(apply(name, GREY, seed=seed) != 120) for seed in range(30)]
    assert 0.01 < np.mean(hits) < 0.04 and max(hits) < 0.06


def test_shot_noise_grows_with_the_root_of_the_light():
    dark, bright = (np.full((200, 200, 3), level, np.uint8) for level in (36, 144))
    deviations = [apply("_shot", image, 2.0, seed=4).std() for image in (dark, bright)]
    assert deviations[1] == pytest.approx(2 * deviations[0], rel=0.1)


def test_grey_stays_grey_when_hue_and_saturation_shift():
    for seed in range(10):
        np.testing.assert_array_equal(apply("_shift_hue_saturation", GREY, seed=seed), GREY)

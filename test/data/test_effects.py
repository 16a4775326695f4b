from dataclasses import replace

import numpy as np
import pytest

from casapose_ros.config import from_dict
from casapose_ros.data.effects import (
    EffectsConfig,
    add_noise,
    colour_mosaic,
    decoded,
    defocus,
    demosaic,
    expose,
    jpeg,
    motion_blur,
    photograph,
    process_colours,
    sharpen,
)
from casapose_ros.errors import ConfigError


def picture() -> np.ndarray:
    image = np.full((60, 80, 3), 100, np.uint8)
    image[20:40, 30:50] = (200, 120, 40)
    return image


def dot() -> np.ndarray:
    image = np.zeros((41, 41, 3), np.uint8)
    image[20, 20] = 255
    return image


def test_same_generator_same_picture():
    one, two, three = (
        photograph(picture(), EffectsConfig(), np.random.default_rng(s)).image for s in (1, 1, 2)
    )
    assert np.array_equal(one, two)
    assert not np.array_equal(one, three)
    assert one.shape == (60, 80, 3) and one.dtype == np.uint8


def test_the_input_is_left_alone():
    image = picture()
    photograph(image, EffectsConfig(), np.random.default_rng(0))
    assert np.array_equal(image, picture())


@pytest.mark.parametrize("radius", [1.0, 2.5])
def test_defocus_spreads_evenly_about_the_point(radius):
    blurred = defocus(dot(), radius)[..., 0].astype(float)
    y, x = np.mgrid[:41, :41]
    assert (blurred * x).sum() / blurred.sum() == pytest.approx(20)
    assert (blurred * y).sum() / blurred.sum() == pytest.approx(20)
    assert np.hypot(x, y)[blurred > 0].max() - np.hypot(20, 20) <= np.sqrt(2) * (radius + 1)
    assert (blurred > 0).sum() == pytest.approx(np.pi * (radius + 0.5) ** 2, rel=0.5)


def test_motion_runs_along_its_direction():
    level, upright = (motion_blur(dot(), 7, a)[..., 0] > 0 for a in (0, np.pi / 2))
    assert np.flatnonzero(level.any(axis=0)).tolist() == list(range(17, 24))
    assert np.flatnonzero(level.any(axis=1)).tolist() == [20]
    assert np.array_equal(level, upright.T)


def test_exposure_doubles_linear_light():
    image = np.full((4, 4, 3), 100, np.uint8)
    out = expose(image, np.array([2.0, 1.0, 0.5]), vignette=0)
    assert out[0, 0].tolist() == [round(100 * 2**0.5), 100, round(100 * 0.5**0.5)]
    assert expose(np.full((4, 4, 3), 250, np.uint8), np.full(3, 4.0), 0).max() == 255


def test_vignette_darkens_corners_alone():
    out = expose(np.full((101, 101, 3), 200, np.uint8), np.ones(3), vignette=0.36)
    assert out[50, 50, 0] == 200
    assert out[0, 0, 0] == pytest.approx(200 * 0.8, abs=1)


def test_noise_has_the_variance_asked_for():
    image = np.full((200, 200, 3), 120, np.uint8)
    noisy = add_noise(image, shot=0.2, read=2.0, rng=np.random.default_rng(0)).astype(float)
    assert noisy.mean() == pytest.approx(120, abs=0.1)
    # Rounding to grey levels adds a twelfth.
    assert noisy.var() == pytest.approx(2.0**2 + 0.2 * 120 + 1 / 12, rel=0.03)


def test_jpeg_keeps_the_channels_in_order():
    assert np.abs(decoded(jpeg(picture(), 95))[30, 40].astype(int) - (200, 120, 40)).max() < 12


def test_what_the_camera_compressed_is_kept_as_a_file():
    config = EffectsConfig(jpeg_probability=1.0)
    photo = photograph(picture(), config, np.random.default_rng(0))
    assert np.array_equal(decoded(photo.jpeg), photo.image)
    raw = photograph(picture(), replace(config, jpeg_probability=0.0), np.random.default_rng(0))
    assert raw.jpeg is None


@pytest.mark.parametrize("edge_aware", [False, True])
def test_mosaic_keeps_even_colours_and_blurs_edges(edge_aware):
    flat = np.full((40, 60, 3), (200, 120, 40), np.uint8)
    assert (demosaic(colour_mosaic(flat), edge_aware) == flat).all()
    back = demosaic(colour_mosaic(picture()), edge_aware)
    assert np.array_equal(back[5:15, 5:15], picture()[5:15, 5:15])
    assert (back[20] != picture()[20]).any()


def test_noise_of_a_mosaic_has_its_variance_too():
    noisy = add_noise(np.full((200, 200), 60, np.uint8), 0.0, 3.0, np.random.default_rng(1))
    assert noisy.astype(float).std() == pytest.approx(3, rel=0.05)


def test_noise_differs_from_frame_to_frame():
    rng, image = np.random.default_rng(0), np.full((50, 50, 3), 90, np.uint8)
    one, two = (add_noise(image, 0.0, 3.0, rng).astype(float) - 90 for _ in range(2))
    assert abs(np.corrcoef(one.ravel(), two.ravel())[0, 1]) < 0.05


def test_colours_move_from_grey():
    strong = process_colours(picture(), 1.3, 1.0)[30, 40].astype(int)
    weak = process_colours(picture(), 0.0, 1.0)[30, 40].astype(int)
    assert strong[0] > 200 and strong[2] < 40
    assert np.ptp(weak) <= 1
    assert process_colours(np.full((2, 2, 3), 27, np.uint8), 1.0, 1.2)[0, 0, 0] == 7


def test_sharpening_overshoots_at_edges_only():
    sharp = sharpen(picture(), 1.0)[..., 0]
    assert sharp[30, 31] > 205 and sharp[30, 28] < 95
    assert sharp[5, 5] == 100 and sharp[30, 40] == 200


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"read_noise": [3, 1]}, "read_noise: the lower end"),
        ({"vignette": [0.0, 1.5]}, "vignette: expected 0 to 1"),
        ({"motion_probability": 1.5}, "motion_probability: expected 0 to 1"),
        ({"jpg_quality": [50, 60]}, "did you mean 'jpeg_quality'"),
        ({"defocus_px": 2.0}, "defocus_px: expected a list"),
    ],
)
def test_bad_settings_are_named(values, message):
    with pytest.raises(ConfigError, match=message):
        from_dict(EffectsConfig, values)

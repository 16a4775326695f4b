"""Guided operations: cases computed by hand, the reference data, and both formulations equal."""

import keras
import numpy as np
import pytest
from any_backend import value_and_gradients

from casapose_ros.network.guided import (
    ClassAdaptiveNormalization,
    GuidedConvolution,
    guided_convolution,
    guided_convolution_reference,
    guided_upsampling,
    half_size,
)
from casapose_ros.network.normalisation import EPSILON

LABELS = np.array([[[1, 1, 2, 2], [1, 1, 2, 2], [1, 3, 3, 2], [1, 3, 3, 3]]], np.int32)
FORMULATIONS = [guided_convolution, guided_convolution_reference]


@pytest.fixture
def layers_data(shared_dir):
    return np.load(shared_dir / "golden" / "golden_layers.npz")


@pytest.mark.parametrize("convolve", FORMULATIONS)
def test_convolution_of_ones_is_nine_whatever_counts(convolve):
    x, kernel = np.ones((1, 4, 4, 1), "f"), np.ones((3, 3, 1, 1), "f")
    np.testing.assert_allclose(convolve(x, LABELS, kernel), 9 * np.ones((1, 4, 4, 1)), rtol=1e-6)


@pytest.mark.parametrize("convolve", FORMULATIONS)
def test_convolution_by_hand(convolve):
    x = np.arange(16, dtype="f").reshape(1, 4, 4, 1)
    kernel = np.arange(1, 10, dtype="f").reshape(3, 3, 1, 1)
    y = np.asarray(convolve(x, LABELS, kernel))[0, ..., 0]
    # Pixel (0, 0), class 1: taps centre, right, below, below right with weights 5, 6, 8, 9.
    assert y[0, 0] == pytest.approx(9 / 4 * (5 * 0 + 6 * 1 + 8 * 4 + 9 * 5))
    # Pixel (2, 0), class 1: above (2), above right (3), centre (5), below (8).
    assert y[2, 0] == pytest.approx(9 / 4 * (2 * 4 + 3 * 5 + 5 * 8 + 8 * 12))
    # Pixel (2, 3), class 2: above left (1), above (2), centre (5).
    assert y[2, 3] == pytest.approx(9 / 3 * (1 * 6 + 2 * 7 + 5 * 11))


def test_convolution_inside_a_region_is_the_ordinary_one():
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=(1, 8, 8, 3)).astype("f"), rng.normal(size=(3, 3, 3, 2)).astype("f")
    y = guided_convolution(x, np.ones((1, 8, 8), "i4"), kernel)
    plain = keras.ops.conv(x, kernel, padding="same")
    np.testing.assert_allclose(y[:, 1:-1, 1:-1], plain[:, 1:-1, 1:-1], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("classes", [1, 2, 9])
def test_both_formulations_agree_in_value_and_gradient(classes):
    rng = np.random.default_rng(classes)
    labels = rng.integers(0, classes, (2, 9, 12)).astype("i4")
    x = rng.normal(size=(2, 9, 12, 4)).astype("f")
    kernel = rng.normal(size=(3, 3, 4, 5)).astype("f")
    weight = keras.ops.convert_to_tensor(rng.normal(size=(2, 9, 12, 5)).astype("f"))
    results = []
    for convolve in FORMULATIONS:

        def loss(x, kernel, convolve=convolve):
            return keras.ops.sum(weight * convolve(x, labels, kernel))

        results.append([convolve(x, labels, kernel), *value_and_gradients(loss, x, kernel)[1]])
    for fast, reference in zip(*results, strict=True):
        np.testing.assert_allclose(fast, reference, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("convolve", FORMULATIONS)
def test_convolution_matches_the_reference_data(layers_data, convolve):
    labels = layers_data["mask_hard_labels"][None].astype("i4")
    kernel = layers_data["pconv_hard_w"].transpose(1, 2, 0, 3)
    y = convolve(layers_data["pconv_hard_x"], labels, kernel)
    np.testing.assert_allclose(y, layers_data["pconv_hard_y"], rtol=1e-5, atol=5e-5)


def test_upsampling_by_hand():
    x = np.array([[10.0, 20.0], [30.0, 40.0]], "f").reshape(1, 2, 2, 1)
    y = np.asarray(guided_upsampling(x, half_size(LABELS), LABELS))[0, ..., 0]
    # Coarse classes are [[1, 2], [1, 3]].
    expected = [
        [10, 10, 20, 20],
        [10, 10, 20, 20],
        [30, 40, 40, 40],  # (2, 1) is 3: own cell is 1, right neighbour is 3; (2, 3) is 2: none
        [30, 40, 40, 40],
    ]
    np.testing.assert_array_equal(y, expected)


def test_upsampling_looks_below_and_diagonally():
    coarse = np.array([[[0, 0], [5, 6]]], "i4")
    fine = np.zeros((1, 4, 4), "i4")
    fine[0, 0, 1], fine[0, 1, 1] = 5, 6
    x = np.array([[1.0, 2.0], [3.0, 4.0]], "f").reshape(1, 2, 2, 1)
    y = np.asarray(guided_upsampling(x, coarse, fine))[0, ..., 0]
    assert (y[0, 0], y[0, 1], y[1, 1]) == (1, 3, 4)


def test_upsampling_matches_the_reference_data(layers_data):
    labels = layers_data["mask_hard_labels"][None].astype("i4")
    y = guided_upsampling(layers_data["gup_hard_x"], half_size(labels), labels)
    np.testing.assert_array_equal(y, layers_data["gup_hard_y"])


def test_normalisation_takes_each_pixels_class():
    layer = ClassAdaptiveNormalization(4)
    layer.build((None, None, None, 1))
    layer.gamma.assign([[1.0], [2.0], [3.0], [4.0]])
    layer.beta.assign([[0.0], [10.0], [20.0], [30.0]])
    y = layer(np.ones((1, 4, 4, 1), "f"), np.eye(4, dtype="f")[LABELS])
    expected = (LABELS + 1) / np.sqrt(1 + EPSILON) + 10 * LABELS
    np.testing.assert_allclose(y[..., 0], expected, rtol=1e-6)


def test_normalisation_matches_the_reference_data(layers_data):
    d = {k[len("clade_hard_") :]: v for k, v in layers_data.items() if k.startswith("clade_hard")}
    layer = ClassAdaptiveNormalization(4)
    layer.build(d["x"].shape)
    layer.gamma.assign(d["gamma"])
    layer.beta.assign(d["beta"])
    layer.statistics.moving_mean.assign(d["mean"])
    layer.statistics.moving_variance.assign(d["var"])
    mask = np.eye(4, dtype="f")[layers_data["mask_hard_labels"]][None]
    np.testing.assert_allclose(layer(d["x"], mask), d["y"], rtol=1e-4, atol=1e-4)
    y = layer(d["x"], mask, training=True)
    np.testing.assert_allclose(y, d["train_y"], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(layer.statistics.moving_mean, d["train_mean_after"], atol=1e-6)
    np.testing.assert_allclose(layer.statistics.moving_variance, d["train_var_after"], atol=1e-6)


@pytest.mark.parametrize("layer", [GuidedConvolution(5), ClassAdaptiveNormalization(3)])
def test_layers_serialise(layer):
    copy = type(layer).from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()

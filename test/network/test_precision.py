"""Features in bfloat16: weights, statistics and outputs stay float32, and results stay close."""

import keras
import numpy as np
import pytest
from any_backend import value_and_gradients

from casapose_ros.network import NetworkConfig, build_network
from casapose_ros.network.guided import (
    ClassAdaptiveNormalization,
    guided_convolution,
    guided_convolution_reference,
)
from casapose_ros.network.normalisation import MOMENTUM, BatchNormalization
from casapose_ros.network.precision import PRECISIONS, layer_precision
from casapose_ros.network.weights import get_weights, set_weights

STEP = 2.0**-8
"""Relative distance of neighbouring bfloat16 numbers, at most."""


@pytest.fixture(scope="module")
def networks():
    """One network in both precisions, by name."""
    keras.utils.set_random_seed(1)
    made = {name: build_network(NetworkConfig(2, width=0.125), name) for name in PRECISIONS}
    set_weights(made["bfloat16"], get_weights(made["float32"]))
    return made


def test_only_features_are_bfloat16(networks):
    network = networks["bfloat16"]
    assert {variable.dtype for variable in network.variables} == {"float32"}
    image = np.zeros((1, 16, 16, 3), "f")
    assert {keras.backend.standardize_dtype(x.dtype) for x in network.encode(image)[:4]} == {
        "bfloat16"
    }
    pixels = np.zeros((1, 4), "i4")
    labels = np.zeros((1, 16, 16), "i4")
    for outputs in (network(image), network(image, labels, pixels)):
        assert {keras.backend.standardize_dtype(x.dtype) for x in outputs} == {"float32"}


def test_other_networks_are_not_touched():
    before = keras.config.dtype_policy()
    with pytest.raises(ZeroDivisionError), layer_precision("bfloat16"):
        1 / 0  # noqa: B018
    assert keras.config.dtype_policy() == before


def test_outputs_are_close_to_those_of_float32(networks):
    """Within 6 % of their spread; rounding nothing but the kernels already makes 1.2 %."""
    image = np.random.default_rng(0).uniform(-1, 1, (2, 32, 32, 3)).astype("f")
    labels = np.zeros((2, 32, 32), "i4")
    labels[:, 4:20, 4:20], labels[:, 16:28, 12:30] = 1, 2
    outputs = {
        name: [np.asarray(x) for x in network(image, labels, training=True)]
        for name, network in networks.items()
    }
    for exact, rounded in zip(outputs["float32"], outputs["bfloat16"], strict=True):
        assert 0 < np.std(rounded - exact) < 0.06 * np.std(exact)


@pytest.mark.parametrize("layer", [BatchNormalization, ClassAdaptiveNormalization])
def test_moving_statistics_do_not_stand_still(layer):
    """In bfloat16, a moving mean of 1 + 1/64 moved by a hundredth of 1/64 would not move."""
    with layer_precision("bfloat16"):
        made = layer() if layer is BatchNormalization else layer(1)
    made.build((None, None, None, 1))
    statistics = made if layer is BatchNormalization else made.statistics
    statistics.moving_mean.assign([1 + 1 / 64])
    arguments = () if layer is BatchNormalization else (np.ones((1, 4, 4, 1), "f"),)
    made(np.ones((1, 4, 4, 1), "f"), *arguments, training=True)
    expected = 1 + MOMENTUM / 64
    np.testing.assert_allclose(statistics.moving_mean, [expected], rtol=1e-6)


def test_a_batch_is_normalised_with_float32_statistics():
    """The mean of 4,096 numbers about 100 is no better than a half in bfloat16."""
    with layer_precision("bfloat16"):
        layer = BatchNormalization()
    layer.build((None, None, None, 1))
    x = np.random.default_rng(0).choice([99.5, 100.0, 100.5], (4, 32, 32, 1)).astype("f")
    y = np.asarray(keras.ops.cast(layer(x, training=True), "float32"))
    assert abs(y.mean()) < 2 * STEP
    assert y.std() == pytest.approx(1, abs=2 * STEP)
    np.testing.assert_allclose(layer.moving_mean, [(1 - MOMENTUM) * x.mean()], rtol=1e-5)


@pytest.mark.parametrize("convolve", [guided_convolution, guided_convolution_reference])
def test_guided_convolution_rounds_once(convolve):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, (1, 12, 12)).astype("i4")
    x, kernel = (
        keras.ops.cast(rng.normal(size=shape).astype("f"), "bfloat16")
        for shape in ((1, 12, 12, 16), (3, 3, 16, 4))
    )
    rounded = np.asarray(keras.ops.cast(convolve(x, labels, kernel), "float32"))
    x, kernel = (keras.ops.cast(tensor, "float32") for tensor in (x, kernel))
    exact = np.asarray(guided_convolution_reference(x, labels, kernel))
    # Each of the nine products is rounded, then the sum, then the factor.
    np.testing.assert_allclose(rounded, exact, rtol=2 * STEP, atol=2 * STEP * np.std(exact))


def test_gradients_of_guided_convolution_are_close():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, (1, 12, 12)).astype("i4")
    x = rng.normal(size=(1, 12, 12, 16)).astype("f")
    kernel = rng.normal(size=(3, 3, 16, 4)).astype("f")
    gradients = {}
    for dtype in ("float32", "bfloat16"):

        def loss(x, kernel, dtype=dtype):
            x, kernel = (keras.ops.cast(tensor, dtype) for tensor in (x, kernel))
            y = keras.ops.cast(guided_convolution(x, labels, kernel), "float32")
            return keras.ops.mean(keras.ops.square(y))

        gradients[dtype] = value_and_gradients(loss, x, kernel)[1]
    for exact, rounded in zip(gradients["float32"], gradients["bfloat16"], strict=True):
        assert np.linalg.norm(rounded - exact) < 2 * STEP * np.linalg.norm(exact)

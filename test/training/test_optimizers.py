"""Optimisers: which variables Muon moves how, and the schedule."""

import keras
import numpy as np
import pytest

from casapose_ros.errors import ConfigError
from casapose_ros.network import NetworkConfig, build_network
from casapose_ros.training import optimizers
from casapose_ros.training.averaging import WeightAverage
from casapose_ros.training.optimizers import ConvolutionMuon, Schedule, build_optimizer


def test_muon_takes_an_orthogonal_step_for_a_convolution():
    kernel = keras.Variable(np.zeros((3, 3, 4, 8), "f"))
    optimizer = ConvolutionMuon(0.1, weight_decay=None, adam_weight_decay=None)
    optimizer.build([kernel])
    gradient = np.random.default_rng(0).normal(size=kernel.shape).astype("f")
    optimizer.apply([keras.ops.convert_to_tensor(gradient)])
    step = keras.ops.convert_to_numpy(kernel).reshape(36, 8)
    singular = np.linalg.svd(step, compute_uv=False) / (0.1 * 0.2 * np.sqrt(36))
    # Newton and Schulz's iteration brings singular values near 1, not to it.
    assert np.all((singular > 0.5) & (singular < 1.4))


@pytest.mark.parametrize("shape", [(36, 8), (8, 36), (16, 16)])
def test_iteration_on_the_gram_matrix_is_that_of_keras(shape):
    rng = np.random.default_rng(0)
    # Singular values over three decades, as those of gradients are.
    left, right = (np.linalg.qr(rng.normal(size=(n, n)))[0] for n in shape)
    values = np.zeros(shape)
    np.fill_diagonal(values, np.logspace(0, -3, min(shape)))
    matrix = keras.ops.convert_to_tensor((left @ values @ right).astype("f"))
    ours = ConvolutionMuon(0.1).zeropower_via_newtonschulz5(matrix, 5)
    keras_own = keras.optimizers.Muon(0.1).zeropower_via_newtonschulz5(matrix, 5)
    np.testing.assert_allclose(ours, keras_own, atol=2e-3)


@pytest.mark.parametrize("shape", [(1152, 128), (144, 16)])
def test_iteration_bears_the_rounding_of_a_gpu(shape, monkeypatch):
    """GPUs round the factors of a float32 product to TF32, ten bits of mantissa."""
    rng = np.random.default_rng(0)
    matrix = np.outer(rng.normal(size=shape[0]), rng.normal(size=shape[1]))
    matrix += 1e-3 * rng.normal(size=shape)
    x = keras.ops.convert_to_tensor(matrix.astype("f"))
    exact = np.asarray(keras.optimizers.Muon(0.1).zeropower_via_newtonschulz5(x, 5))
    product = keras.ops.matmul
    monkeypatch.setattr(optimizers.ops, "matmul", lambda a, b: product(_tf32(a), _tf32(b)))
    rounded = np.asarray(ConvolutionMuon(0.1).zeropower_via_newtonschulz5(x, 5))
    assert np.linalg.norm(rounded, 2) < 1.3
    assert np.linalg.norm(rounded - exact) < 0.2 * np.linalg.norm(exact)


def _tf32(x):
    bits = np.asarray(x, "f").view(np.uint32)
    return keras.ops.convert_to_tensor((bits + 0x1000 & 0xFFFFE000).astype(np.uint32).view("f"))


def test_muon_leaves_heads_and_tables_to_adam():
    network = build_network(NetworkConfig(2, width=0.125))
    optimizer = ConvolutionMuon(1e-3)
    by_adam = {v.path for v in network.trainable_variables if optimizer._should_use_adamw(v)}
    assert any("head" in path for path in by_adam) and any("clade" in path for path in by_adam)
    by_muon = {v.path for v in network.trainable_variables} - by_adam
    assert all(path.endswith("kernel") for path in by_muon) and len(by_muon) > 20


@pytest.mark.parametrize("name", ["adam", "muon"])
def test_warms_up_and_falls_to_zero(name):
    optimizer = build_optimizer(name, Schedule("cosine", 0.01, 10, 100), 1e-4)
    rate = [float(optimizer._learning_rate(step)) for step in range(101)]
    assert rate[0] == 0 and max(rate) == pytest.approx(0.01) and rate.index(max(rate)) == 10
    assert rate[100] == pytest.approx(0, abs=1e-6)


def test_halves_at_half_three_quarters_and_nine_tenths():
    schedule = Schedule("step", 0.8, 10, 100)
    rate = [float(schedule(step)) for step in (0, 5, 10, 49, 50, 74, 75, 89, 90, 100)]
    assert rate == pytest.approx([0, 0.4, 0.8, 0.8, 0.4, 0.4, 0.2, 0.2, 0.1, 0.1])


def test_unknown_names():
    with pytest.raises(ConfigError, match="known: adam, muon"):
        build_optimizer("sgd", Schedule("cosine", 0.01, 10, 100), 0.0)
    with pytest.raises(ConfigError, match="known: cosine, step"):
        Schedule("linear", 0.01, 10, 100)


def test_average_follows_the_weights():
    network, average = (build_network(NetworkConfig(1, width=0.125)) for _ in range(2))
    mean = WeightAverage(network, average, decay=0.9, every=1)
    kernel = network.encoder.conv0.kernel
    np.testing.assert_array_equal(average.encoder.conv0.kernel, kernel)
    kernel.assign(kernel * 0 + 1)
    for step in range(1, 100):
        mean.update(step)
    np.testing.assert_allclose(average.encoder.conv0.kernel, 1, atol=1e-3)
    kernel.assign(kernel * 0 + 2)
    mean.update(1000)
    np.testing.assert_allclose(average.encoder.conv0.kernel, 1.1, atol=1e-2)


def test_weight_decay_of_muon_is_of_its_kernels_alone():
    """Gammas of a normalisation and tables are no scale that a later layer takes out again."""
    schedule = Schedule("step", 0.5, 0, 100)
    optimizer = build_optimizer("muon", schedule, 0.1)
    kernel, gamma = keras.Variable(np.ones((3, 3, 4, 8), "f")), keras.Variable(np.ones(8, "f"))
    optimizer.build([kernel, gamma])
    for _ in range(2):  # The rate is zero in the first step.
        optimizer.apply([keras.ops.zeros(kernel.shape), keras.ops.zeros(gamma.shape)])
    np.testing.assert_allclose(kernel, 0.95, rtol=1e-6)
    np.testing.assert_allclose(gamma, 1.0)

"""Batch normalisation against the reference data, and the fused path against the plain one."""

import numpy as np

from casapose_ros.network.normalisation import (
    EPSILON,
    BatchNormalization,
    normalise_batch,
    normalise_batch_reference,
)


def test_matches_the_reference_data(shared_dir):
    d = np.load(shared_dir / "golden" / "golden_layers.npz")
    layer = BatchNormalization()
    layer.build(d["bn_x"].shape)
    for name in ("gamma", "beta"):
        getattr(layer, name).assign(d[f"bn_{name}"])
    layer.moving_mean.assign(d["bn_mean"])
    layer.moving_variance.assign(d["bn_var"])
    np.testing.assert_allclose(layer(d["bn_x"]), d["bn_y_inference"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        layer(d["bn_x"], training=True), d["bn_y_training"], rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(layer.moving_mean, d["bn_mean_after"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(layer.moving_variance, d["bn_var_after"], rtol=1e-5, atol=1e-6)


def test_fused_path_equals_the_plain_one():
    rng = np.random.default_rng(0)
    x = rng.normal(3, 2, (2, 5, 7, 4)).astype("f")
    gamma, beta = rng.normal(size=(2, 4)).astype("f")
    for fused, plain in zip(
        normalise_batch(x, gamma, beta), normalise_batch_reference(x, gamma, beta), strict=True
    ):
        np.testing.assert_allclose(fused, plain, rtol=1e-4, atol=1e-5)


def test_two_values_by_hand():
    layer = BatchNormalization()
    layer.build((None, 1, 2, 1))
    y = layer(np.array([1.0, 3.0], "f").reshape(1, 1, 2, 1), training=True)
    np.testing.assert_allclose(np.ravel(y), np.array([-1, 1]) / np.sqrt(1 + EPSILON), rtol=1e-5)
    np.testing.assert_allclose(layer.moving_mean, [0.02], rtol=1e-5)
    np.testing.assert_allclose(layer.moving_variance, [1.0], rtol=1e-5)

"""Keypoint regression as training computes it: exact fields, reference data, and inference."""

import numpy as np
import pytest
import tensorflow as tf

from casapose_ros.keypoints.differentiable import regress_keypoints
from casapose_ros.training.losses import pixel_centres, pixel_offsets


def regress(vectors, confidence, labels, num_objects, **kwargs):
    """The same with (B, H, W, ...) maps."""
    batch, height, width = labels.shape
    return regress_keypoints(
        tf.reshape(vectors, (batch, height * width, 18)),
        tf.reshape(confidence, (batch, height * width, 9)),
        labels.reshape(batch, -1).astype("i4"),
        pixel_centres(height, width),
        num_objects,
        **kwargs,
    )


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-8), ("float32", 1e-3)])
def test_exact_fields_give_their_keypoints_back(dtype, tolerance):
    rng = np.random.default_rng(0)
    keypoints = rng.uniform(-20, 60, (2, 2, 9, 2))
    labels = np.zeros((2, 24, 32), "i4")
    labels[:, 3:12, 4:20], labels[:, 14:22, 10:30] = 1, 2
    labels[1][labels[1] == 2] = 0
    flat = labels.reshape(2, -1)
    offsets = np.asarray(pixel_offsets(keypoints, flat, pixel_centres(24, 32, "float64")))
    vectors = offsets.reshape(2, 24, 32, 18).astype(dtype)
    confidence = rng.normal(size=(2, 24, 32, 9)).astype(dtype)
    found = np.asarray(regress(vectors, confidence, labels, 2))
    np.testing.assert_allclose(found[0], keypoints[0], atol=tolerance)
    np.testing.assert_allclose(found[1, 0], keypoints[1, 0], atol=tolerance)
    np.testing.assert_array_equal(found[1, 1], 0)  # an object without pixels


def test_matches_the_reference_data(shared_dir):
    data = np.load(shared_dir / "golden" / "golden_dkr.npz")
    labels = data["seg_logits"].argmax(-1)
    found = regress(
        data["vectors"].astype("f8"), data["confidence"].astype("f8"), labels, num_objects=3
    )
    np.testing.assert_allclose(found, data["out_nofilter"], atol=1e-3)


def test_gradients_match_the_reference_data(shared_dir):
    data = np.load(shared_dir / "golden" / "golden_dkr.npz")
    labels = data["seg_logits"][:1].argmax(-1)
    vectors = tf.constant(data["grad_vectors_in"].astype("f8"))
    confidence = tf.constant(data["confidence"][:1].astype("f8"))
    with tf.GradientTape() as tape:
        tape.watch([vectors, confidence])
        found = regress(vectors, confidence, labels, num_objects=3)
        loss = tf.reduce_sum(found * data["grad_loss_weights"].astype("f8"))
    gradients = tape.gradient(loss, [vectors, confidence])
    np.testing.assert_allclose(found, data["grad_out_nofilter"], atol=1e-3)
    np.testing.assert_allclose(gradients[0], data["grad_wrt_vectors"], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(gradients[1], data["grad_wrt_confidence"], rtol=1e-3, atol=1e-4)


def test_zero_vectors_have_finite_gradients():
    vectors = tf.zeros((1, 8, 8, 18))
    with tf.GradientTape() as tape:
        tape.watch(vectors)
        found = regress(vectors, tf.zeros((1, 8, 8, 9)), np.ones((1, 8, 8), "i4"), 1)
        loss = tf.reduce_sum(found)
    assert np.all(np.isfinite(tape.gradient(loss, vectors)))


@pytest.mark.parametrize("confidence", [-70.0, -57.0, 60.0])
def test_float32_keeps_up_however_small_or_large_all_weights_are(confidence):
    """A network whose confidences had grown to -57 got NaN from the products of its weights."""
    rng = np.random.default_rng(0)
    labels = np.ones((1, 16, 16), "i4")
    inputs = rng.normal(size=(1, 16, 16, 18)), confidence + rng.normal(size=(1, 16, 16, 9))
    found, gradients = {}, {}
    for dtype in ("float32", "float64"):
        fields = [tf.constant(x, dtype) for x in inputs]
        with tf.GradientTape() as tape:
            tape.watch(fields)
            points = regress(*fields, labels, 1, regularisation=1e-4)
            loss = tf.reduce_sum(points * tf.cast(np.arange(18).reshape(9, 2), dtype))
        found[dtype], gradients[dtype] = points, tape.gradient(loss, fields)
    np.testing.assert_allclose(found["float32"], found["float64"], atol=1e-3)
    for single, double in zip(gradients["float32"], gradients["float64"], strict=True):
        np.testing.assert_allclose(single, double, atol=1e-3)


def test_weights_that_vanish_altogether_have_finite_gradients():
    fields = tf.ones((1, 8, 8, 18)), tf.fill((1, 8, 8, 9), -200.0)
    with tf.GradientTape() as tape:
        tape.watch(fields)
        found = regress(*fields, np.ones((1, 8, 8), "i4"), 1, regularisation=1e-4)
        loss = tf.reduce_sum(found)
    np.testing.assert_array_equal(found, 0)
    assert all(np.all(np.isfinite(x)) for x in tape.gradient(loss, fields))


def test_regularisation_pulls_undetermined_points_to_the_middle():
    vectors = np.zeros((1, 4, 8, 18), "f")
    vectors[..., 1::2] = 1  # all lines are horizontal: x is not determined
    labels = np.ones((1, 4, 8), "i4")
    found = regress(vectors, np.zeros((1, 4, 8, 9), "f"), labels, 1, regularisation=1e-4)
    np.testing.assert_allclose(found, np.broadcast_to([2.0, 4.0], (1, 1, 9, 2)), atol=1e-2)

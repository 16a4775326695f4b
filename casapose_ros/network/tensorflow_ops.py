"""TensorFlow's fast paths. Each equals a ``keras.ops`` reference beside the function it serves."""

from __future__ import annotations

import tensorflow as tf

from casapose_ros.network.guided import TAPS, same_class


def fused_normalise_batch(x, gamma, beta, epsilon: float):
    """``normalisation.normalise_batch`` by TensorFlow's fused kernel."""
    y, mean, variance = tf.compat.v1.nn.fused_batch_norm(
        x, tf.convert_to_tensor(gamma), tf.convert_to_tensor(beta), epsilon=epsilon
    )
    # The kernel returns the unbiased variance for the moving average; published weights hold
    # the biased one.
    count = tf.cast(tf.size(x) // tf.shape(x)[-1], variance.dtype)
    return y, mean, variance * ((count - 1) / count)


def boundary_guided_convolution(x, labels, kernel):
    """``guided.guided_convolution`` as a plain convolution plus an exact class boundary."""
    shape = tf.shape(x)
    height, width = shape[1], shape[2]
    same = same_class(labels)
    count = tf.add_n([tf.cast(s, x.dtype) for s in same])
    inside = _taps_inside(height, width, x.dtype)
    plain = tf.nn.conv2d(x, kernel, strides=1, padding="SAME") * (9.0 / inside)[..., None]

    pixels = tf.where(count < inside)  # (N, 3): batch, row, column
    flat_x = tf.reshape(x, (-1, x.shape[-1]))
    centre = (pixels[:, 0] * tf.cast(height, tf.int64) + pixels[:, 1]) * tf.cast(
        width, tf.int64
    ) + pixels[:, 2]
    last = tf.cast(tf.shape(flat_x)[0] - 1, tf.int64)
    exact = 0.0
    for (dy, dx), counts in zip(TAPS, same, strict=True):
        # A tap outside the image reads some pixel, which the weight of zero discards.
        index = centre + (dy - 1) * tf.cast(width, tf.int64) + (dx - 1)
        weight = tf.cast(tf.gather_nd(counts, pixels), x.dtype)[:, None]
        taps = tf.gather(flat_x, tf.clip_by_value(index, 0, last)) * weight
        exact += tf.matmul(taps, kernel[dy, dx])
    exact *= (9.0 / tf.gather_nd(count, pixels))[:, None]
    return tf.tensor_scatter_nd_update(plain, pixels, exact)


def _taps_inside(height, width, dtype):
    """(1, H, W) number of the nine taps that lie inside the image."""
    rows = tf.nn.conv1d(tf.ones((1, height, 1), dtype), tf.ones((3, 1, 1), dtype), 1, "SAME")
    columns = tf.nn.conv1d(tf.ones((1, width, 1), dtype), tf.ones((3, 1, 1), dtype), 1, "SAME")
    return rows * tf.transpose(columns, (0, 2, 1))

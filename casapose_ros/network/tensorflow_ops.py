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


def resize_bilinear(x, factor: int):
    """``upsampling.bilinear_upsampling`` of images whose size the graph need not know.

    In float32: XLA's gradient of the bfloat16 kernel is wrong in TensorFlow 2.21.
    """
    size = factor * tf.shape(x)[1:3]
    resized = tf.image.resize(tf.cast(x, tf.float32), size, tf.image.ResizeMethod.BILINEAR)
    return tf.cast(resized, x.dtype)


@tf.custom_gradient
def boundary_guided_convolution(x, labels, kernel):
    """``guided.guided_convolution`` as a plain convolution plus an exact class boundary.

    Whether a tap counts is symmetric in its two pixels, so the gradient with respect to ``x`` is
    the same operation with the kernel turned around, and nothing has to be scattered.
    """
    neighbourhood = _Neighbourhood(labels, x.dtype)
    scale = 9.0 / neighbourhood.count[..., None]

    def gradient(upstream):
        upstream = upstream * scale
        turned = tf.transpose(kernel[::-1, ::-1], (0, 1, 3, 2))
        return (
            neighbourhood.sum_taps(upstream, turned),
            None,
            neighbourhood.kernel_gradient(x, upstream, kernel.shape),
        )

    return neighbourhood.sum_taps(x, kernel) * scale, gradient


class _Neighbourhood:
    """Which taps count, and the pixels at which not all taps inside the image do.

    Args:
        labels: (B, H, W) int32.
        dtype: Of the features.
    """

    def __init__(self, labels, dtype):
        height, width = (tf.cast(size, tf.int64) for size in tf.unstack(tf.shape(labels))[1:])
        same = same_class(labels)
        self.count = tf.add_n([tf.cast(s, dtype) for s in same])
        inside = tf.add_n([tf.cast(s, dtype) for s in same_class(tf.zeros_like(labels))])
        self.pixels = tf.where(self.count < inside)  # (N, 3): batch, row, column
        centre = (self.pixels[:, 0] * height + self.pixels[:, 1]) * width + self.pixels[:, 2]
        last = tf.size(labels, tf.int64) - 1
        # A tap outside the image reads some pixel, which its weight of zero discards.
        self.indices = [
            tf.clip_by_value(centre + (dy - 1) * width + (dx - 1), 0, last) for dy, dx in TAPS
        ]
        self.weights = [tf.cast(tf.gather_nd(s, self.pixels), dtype)[:, None] for s in same]

    def sum_taps(self, x, kernel):
        """Sum over the taps that count, (B, H, W, C_out), not yet scaled."""
        plain = tf.nn.conv2d(x, kernel, strides=1, padding="SAME")
        exact = tf.add_n(
            [
                tf.cast(tf.matmul(taps, kernel[dy, dx]), tf.float32)
                for taps, (dy, dx) in zip(self._gather(x), TAPS, strict=True)
            ]
        )
        return tf.tensor_scatter_nd_update(plain, self.pixels, tf.cast(exact, x.dtype))

    def kernel_gradient(self, x, upstream, shape):
        """Gradient of :meth:`sum_taps` with respect to the kernel."""
        at_boundary = tf.gather_nd(upstream, self.pixels)
        elsewhere = tf.tensor_scatter_nd_update(upstream, self.pixels, tf.zeros_like(at_boundary))
        plain = tf.raw_ops.Conv2DBackpropFilter(
            input=x,
            filter_sizes=shape,
            out_backprop=elsewhere,
            strides=[1, 1, 1, 1],
            padding="SAME",
        )
        exact = [tf.matmul(taps, at_boundary, transpose_a=True) for taps in self._gather(x)]
        return plain + tf.reshape(tf.stack(exact), shape)

    def _gather(self, x):
        flat = tf.reshape(x, (-1, x.shape[-1]))
        for index, weight in zip(self.indices, self.weights, strict=True):
            yield tf.gather(flat, index) * weight

"""The three guided operations of decoder 2 (paper section 3.2, supplement section 1).

All take the segmentation as a *label map* ``(B, H, W)`` int32: the published form, a softmax of
1e6 times the logits, is a one-hot argmax computed in a way that overflows in half precision.

Guided convolution has two formulations that a test holds equal:

* the reference, plain ``keras.ops`` with static shapes (JAX, torch, XLA): nine 1x1 convolutions of
  the shifted input, each masked, summed one after the other;
* on TensorFlow, one ordinary convolution, after which only the pixels whose 3x3 neighbourhood
  holds another class are computed anew. Inside regions both are the same convolution, and the
  boundary is a few percent of an image.

Neither unfolds nine copies of the features; ``benchmarks/guided_convolution.py`` has the figures.
"""

from __future__ import annotations

import keras
from keras import ops

from casapose_ros.network.gathering import take_pixels
from casapose_ros.network.normalisation import BatchNormalization

TAPS = tuple((dy, dx) for dy in range(3) for dx in range(3))
"""The nine taps of a 3x3 kernel as offsets into an input padded by one pixel."""


def half_size(labels):
    """The next coarser label map: the top-left pixel of every 2x2, (B, H, W) -> (B, H/2, W/2)."""
    return labels[:, ::2, ::2]


def same_class(labels):
    """Which of the nine taps lie inside the image and on the centre's class.

    Args:
        labels: (B, H, W) int32.

    Returns:
        Nine (B, H, W) bool tensors in the order of ``TAPS``.
    """
    height, width = ops.shape(labels)[1], ops.shape(labels)[2]
    padded = ops.pad(labels, ((0, 0), (1, 1), (1, 1)), constant_values=-1)
    return [ops.equal(padded[:, dy : dy + height, dx : dx + width], labels) for dy, dx in TAPS]


def guided_convolution(x, labels, kernel, static_shapes: bool = False):
    """3x3 convolution in which only taps of the centre's class count.

    The sum is scaled by 9 / (number of taps that count); taps outside the image never count.

    Args:
        x: (B, H, W, C_in) features.
        labels: (B, H, W) int32 class of every pixel.
        kernel: (3, 3, C_in, C_out).
        static_shapes: Take the reference on TensorFlow too. XLA allots room for every pixel to
            whatever has a dynamic shape, so that the boundary costs as much as all of the image.

    Returns:
        (B, H, W, C_out) features.
    """
    if keras.backend.backend() == "tensorflow" and not static_shapes:
        from casapose_ros.network.tensorflow_ops import boundary_guided_convolution

        return boundary_guided_convolution(x, labels, kernel)
    return guided_convolution_reference(x, labels, kernel)


def guided_convolution_reference(x, labels, kernel):
    """:func:`guided_convolution` in plain ``keras.ops``: nine masked 1x1 convolutions.

    The nine are summed in float32, whatever the features are, as inside a convolution.
    """
    height, width = ops.shape(x)[1], ops.shape(x)[2]
    padded = ops.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    total, count = 0.0, 0.0
    for (dy, dx), same in zip(TAPS, same_class(labels), strict=True):
        same = ops.cast(same, x.dtype)[..., None]
        tap = padded[:, dy : dy + height, dx : dx + width]
        total = total + ops.cast(ops.matmul(tap * same, kernel[dy, dx]), "float32")
        count = count + ops.cast(same, "float32")
    return ops.cast(total * (9.0 / count), x.dtype)


def guided_upsampling(x, coarse_labels, labels):
    """Double the resolution; each fine pixel copies a coarse pixel of its own class.

    Args:
        x: (B, H, W, C) coarse features.
        coarse_labels: (B, H, W) int32 classes of the coarse pixels.
        labels: (B, 2H, 2W) int32 classes of the fine pixels.

    Returns:
        (B, 2H, 2W, C) features.
    """
    batch, height, width = ops.shape(coarse_labels)
    flat = ops.reshape(x, (batch, height * width, x.shape[-1]))
    return take_pixels(flat, guided_sources(coarse_labels, labels))


def guided_sources(coarse_labels, labels):
    """Which coarse pixel each fine pixel copies.

    Candidates are, in this order, (i, j), (i, j+1), (i+1, j), (i+1, j+1) where (i, j) is the
    pixel's own coarse cell; if none has its class it copies (i, j).

    Returns:
        (B, 2H, 2W) int32 indices into each image's flattened H x W coarse pixels.
    """
    cells = pixel_indices(coarse_labels)
    chosen = nearest(cells)
    # From the last candidate to the first, so that the first match is the one that stays.
    for dy, dx in ((1, 1), (1, 0), (0, 1), (0, 0)):
        candidate = nearest(_shift(cells, dy, dx))
        candidate_labels = nearest(_shift(coarse_labels, dy, dx))
        chosen = ops.where(ops.equal(candidate_labels, labels), candidate, chosen)
    return chosen


def pixel_indices(coarse_labels):
    """(B, H, W) int32 index of every pixel in its image's flattened H x W."""
    batch, height, width = ops.shape(coarse_labels)
    one = ops.reshape(ops.arange(height * width, dtype="int32"), (1, height, width))
    return ops.broadcast_to(one, (batch, height, width))


def nearest(x):
    """Double the resolution of (B, H, W, ...) by repeating every pixel."""
    return ops.repeat(ops.repeat(x, 2, axis=1), 2, axis=2)


def _shift(x, dy, dx):
    """Pixel (i, j) takes the value of (i+dy, j+dx), clamped to the image.

    A clamped candidate is one that an earlier candidate has named already, so it never wins.
    """
    if dy:
        x = ops.concatenate([x[:, 1:], x[:, -1:]], axis=1)
    if dx:
        x = ops.concatenate([x[:, :, 1:], x[:, :, -1:]], axis=2)
    return x


@keras.saving.register_keras_serializable(package="casapose_ros")
class GuidedConvolution(keras.layers.Layer):
    """Layer of :func:`guided_convolution`; called as ``layer(x, labels)``."""

    def __init__(self, filters: int, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.static_shapes = False

    def build(self, input_shape, *_):
        self.kernel = self.add_weight(
            shape=(3, 3, input_shape[-1], self.filters), initializer="he_normal", name="kernel"
        )

    def call(self, x, labels):
        kernel = ops.cast(self.kernel, x.dtype)
        return guided_convolution(x, labels, kernel, self.static_shapes)

    def compute_output_shape(self, input_shape, *_):
        return (*input_shape[:-1], self.filters)

    def get_config(self):
        return {**super().get_config(), "filters": self.filters}


@keras.saving.register_keras_serializable(package="casapose_ros")
class ClassAdaptiveNormalization(keras.layers.Layer):
    """CLADE: batch normalisation, then per pixel the gamma and beta of the pixel's class.

    Called as ``layer(x, mask)`` with ``mask`` (B, H, W, K+1), one-hot except in variant ``c``,
    whose mask pyramid is learned.

    Args:
        num_classes: K + 1, background included.
    """

    def __init__(self, num_classes: int, **kwargs):
        super().__init__(**kwargs)
        self.num_classes = num_classes
        # Statistics, gamma and beta stay float32 where features are bfloat16.
        self.statistics = BatchNormalization(
            center=False, scale=False, name="statistics", dtype="float32"
        )

    def build(self, input_shape, *_):
        shape = (self.num_classes, input_shape[-1])
        self.beta = self.add_weight(shape=shape, initializer="zeros", name="beta", autocast=False)
        self.gamma = self.add_weight(shape=shape, initializer="ones", name="gamma", autocast=False)
        self.statistics.build(input_shape)

    def call(self, x, mask, training=False):
        mask = ops.cast(mask, "float32")
        gamma, beta = ops.matmul(mask, self.gamma), ops.matmul(mask, self.beta)
        return ops.cast(self.statistics(x, training=training) * gamma + beta, self.compute_dtype)

    def compute_output_shape(self, input_shape, *_):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "num_classes": self.num_classes}

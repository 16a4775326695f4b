"""Batch normalisation as the published network uses it: epsilon 2e-5, biased moving variance.

Parameters and statistics are float32 whatever the features are: in bfloat16 a moving average with
a momentum of 0.99 would stand still.

Keras' own layer is unfused when it trains on TensorFlow, which doubles the time of a training
step on a CPU; TensorFlow's fused kernel stands behind the same function here.
"""

from __future__ import annotations

import keras
from keras import ops

EPSILON = 2e-5
MOMENTUM = 0.99


@keras.saving.register_keras_serializable(package="casapose_ros")
class BatchNormalization(keras.layers.Layer):
    """Batch normalisation over all axes but the last.

    Args:
        center: Learn an offset ``beta``.
        scale: Learn a factor ``gamma``.
    """

    def __init__(self, center: bool = True, scale: bool = True, **kwargs):
        super().__init__(**kwargs)
        self.center = center
        self.scale = scale

    def build(self, input_shape):
        def parameter(name: str, initializer: str, trainable: bool = True):
            return self.add_weight(
                shape=(input_shape[-1],),
                initializer=initializer,
                trainable=trainable,
                autocast=False,
                name=name,
            )

        self.gamma = parameter("gamma", "ones") if self.scale else None
        self.beta = parameter("beta", "zeros") if self.center else None
        self.moving_mean = parameter("moving_mean", "zeros", trainable=False)
        self.moving_variance = parameter("moving_variance", "ones", trainable=False)

    def call(self, x, training=False):
        channels = (x.shape[-1],)
        gamma = ops.ones(channels) if self.gamma is None else self.gamma
        beta = ops.zeros(channels) if self.beta is None else self.beta
        if not training:
            scale = gamma * ops.rsqrt(self.moving_variance + EPSILON)
            shift = beta - self.moving_mean * scale
            return x * ops.cast(scale, x.dtype) + ops.cast(shift, x.dtype)
        y, mean, variance = normalise_batch(x, gamma, beta)
        self._update_moving(self.moving_mean, mean)
        self._update_moving(self.moving_variance, variance)
        return y

    @staticmethod
    def _update_moving(moving, value):
        moving.assign(moving * MOMENTUM + ops.cast(value, moving.dtype) * (1 - MOMENTUM))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "center": self.center, "scale": self.scale}


def normalise_batch(x, gamma, beta):
    """Normalise with the batch's own statistics.

    Args:
        x: (B, H, W, C) tensor.
        gamma: (C,) factor.
        beta: (C,) offset.

    Returns:
        The normalised tensor, and mean and biased variance, each (C,).
    """
    if keras.backend.backend() == "tensorflow" and len(x.shape) == 4:
        from casapose_ros.network.tensorflow_ops import fused_normalise_batch

        return fused_normalise_batch(x, gamma, beta, EPSILON)
    return normalise_batch_reference(x, gamma, beta)


def normalise_batch_reference(x, gamma, beta):
    """:func:`normalise_batch` in plain ``keras.ops``."""
    x32 = ops.cast(x, "float32")
    mean, variance = ops.moments(x32, axes=tuple(range(len(x.shape) - 1)))
    y = (x32 - mean) * (ops.rsqrt(variance + EPSILON) * gamma) + beta
    return ops.cast(y, x.dtype), mean, variance

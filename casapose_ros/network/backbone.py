"""ResNet-18 encoder in pre-activation form with output stride 8 (paper section 3.1)."""

from __future__ import annotations

import keras
from keras import layers, ops

from casapose_ros.network.normalisation import BatchNormalization

STAGES = ((64, 1, 1), (128, 2, 1), (256, 1, 2), (512, 1, 4))
"""Filters at width 1, stride and dilation of the four stages."""


def scaled_width(filters: int, width: float) -> int:
    """Number of channels of a layer that has ``filters`` at width 1."""
    return max(1, round(filters * width))


def convolution(filters: int, size: int, name: str, **kwargs) -> layers.Conv2D:
    """Convolution without bias, as everywhere in this network."""
    kwargs = {"padding": "same", "kernel_initializer": "he_normal", **kwargs}
    return layers.Conv2D(filters, size, use_bias=False, name=name, **kwargs)


@keras.saving.register_keras_serializable(package="casapose_ros")
class ResidualUnit(layers.Layer):
    """BN, ReLU, 3x3 conv, BN, ReLU, 3x3 conv, plus a shortcut.

    Returns the unit's output and its first ReLU, which the decoders tap.

    Args:
        filters: Output channels.
        stride: Stride of the first convolution.
        dilation: Dilation of both convolutions.
        project: Shortcut is a 1x1 convolution of the first ReLU; otherwise the input itself.
    """

    def __init__(self, filters: int, stride: int, dilation: int, project: bool, **kwargs):
        super().__init__(**kwargs)
        self.filters, self.stride = filters, stride
        self.dilation, self.project = dilation, project
        self.bn1 = BatchNormalization(name="bn1")
        # Strided convolutions pad one pixel on every side, which is not TensorFlow's "same".
        self.conv1 = convolution(
            filters,
            3,
            "conv1",
            strides=stride,
            dilation_rate=dilation,
            padding="same" if stride == 1 else "valid",
        )
        self.bn2 = BatchNormalization(name="bn2")
        self.conv2 = convolution(filters, 3, "conv2", dilation_rate=dilation)
        self.shortcut = convolution(filters, 1, "sc") if project else None

    def build(self, input_shape):
        inner = (*input_shape[:-1], self.filters)
        self.bn1.build(input_shape)
        self.conv1.build(input_shape)
        self.bn2.build(inner)
        self.conv2.build(inner)
        if self.project:
            self.shortcut.build(input_shape)

    def call(self, x, training=False):
        first = ops.relu(self.bn1(x, training=training))
        y = first
        if self.stride > 1:
            y = ops.pad(y, ((0, 0), (1, 1), (1, 1), (0, 0)))
        y = ops.relu(self.bn2(self.conv1(y), training=training))
        y = self.conv2(y)
        if self.project:
            # A stride of 1x1 convolutions is a choice of pixels; TensorFlow 2.21 writes outside its
            # memory in their gradient if they are strided and have fewer than 16 channels.
            x = self.shortcut(first[:, :: self.stride, :: self.stride])
        return y + x, first

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "stride": self.stride,
            "dilation": self.dilation,
            "project": self.project,
        }


@keras.saving.register_keras_serializable(package="casapose_ros")
class Encoder(layers.Layer):
    """Image (B, H, W, 3) in [-1, 1] -> taps at strides 2, 4, 8 and 8 (deep).

    Args:
        width: Multiplier of all channel counts.
    """

    def __init__(self, width: float = 1.0, **kwargs):
        super().__init__(**kwargs)
        self.width = width
        self.bn_data = BatchNormalization(scale=False, name="bn_data")
        self.conv0 = convolution(scaled_width(64, width), 7, "conv0", strides=2, padding="valid")
        self.bn0 = BatchNormalization(name="bn0")
        self.pool = layers.MaxPooling2D(3, strides=2, padding="valid", name="pool")
        self.units = [
            ResidualUnit(
                scaled_width(filters, width),
                stride if unit == 1 else 1,
                dilation,
                project=unit == 1,
                name=f"stage{stage}_unit{unit}",
            )
            for stage, (filters, stride, dilation) in enumerate(STAGES, start=1)
            for unit in (1, 2)
        ]
        self.bn1 = BatchNormalization(name="bn1")
        self.channels = tuple(scaled_width(c, width) for c in (64, 64, 128, 512))

    def build(self, input_shape):
        first = self.channels[0]
        self.bn_data.build(input_shape)
        self.conv0.build(input_shape)
        self.bn0.build((*input_shape[:-1], first))
        channels = first
        for unit in self.units:
            unit.build((*input_shape[:-1], channels))
            channels = unit.filters
        self.bn1.build((*input_shape[:-1], channels))

    def call(self, image, training=False):
        x = self.bn_data(image, training=training)
        x = self.conv0(ops.pad(x, ((0, 0), (3, 3), (3, 3), (0, 0))))
        s2 = ops.relu(self.bn0(x, training=training))
        # After a ReLU, padding with zeros is padding with the smallest value.
        x = self.pool(ops.pad(s2, ((0, 0), (1, 1), (1, 1), (0, 0))))
        first_relu = {}
        for unit in self.units:
            x, first_relu[unit.name] = unit(x, training=training)
        deep = ops.relu(self.bn1(x, training=training))
        return s2, first_relu["stage2_unit1"], first_relu["stage3_unit1"], deep

    def get_config(self):
        return {**super().get_config(), "width": self.width}

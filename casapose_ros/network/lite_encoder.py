"""EfficientNet-Lite0 as an encoder, up to stride 16 (Tan and Le 2019, without attention).

For CPUs: with its 0.7 million weights from ImageNet, a training starts from features of real
images and need not change them. The deepest are brought to stride 8, where the decoders begin.
"""

from __future__ import annotations

import keras
from keras import layers, ops

from casapose_ros.network.backbone import convolution
from casapose_ros.network.normalisation import BatchNormalization
from casapose_ros.network.upsampling import bilinear_upsampling

STEM = 32
BLOCKS = (
    # Kernel, stride, expansion, channels.
    (3, 1, 1, 16),
    (3, 2, 6, 24),
    (3, 1, 6, 24),
    (5, 2, 6, 40),
    (5, 1, 6, 40),
    (3, 2, 6, 80),
    (3, 1, 6, 80),
    (3, 1, 6, 80),
    (5, 1, 6, 112),
    (5, 1, 6, 112),
    (5, 1, 6, 112),
)
TAPS = (0, 2, 4, 10)
"""Blocks whose output the decoders read: strides 2, 4, 8 and 16."""


@keras.saving.register_keras_serializable(package="casapose_ros")
class InvertedResidual(layers.Layer):
    """1x1 expansion, depthwise convolution, linear 1x1 projection.

    The input is added where it has the output's shape.

    Args:
        size: Of the depthwise kernel, px.
        stride: Of the depthwise convolution.
        expansion: Channels inside, as a multiple of the input's; 1 has no expansion.
        filters: Output channels.
    """

    def __init__(self, size: int, stride: int, expansion: int, filters: int, **kwargs):
        super().__init__(**kwargs)
        self.size, self.stride = size, stride
        self.expansion, self.filters = expansion, filters
        self.bn_expand = BatchNormalization(name="bn_expand") if expansion > 1 else None
        self.depthwise = layers.DepthwiseConv2D(
            size, strides=stride, padding="same", use_bias=False, name="depthwise"
        )
        self.bn_depthwise = BatchNormalization(name="bn_depthwise")
        self.project = convolution(filters, 1, "project")
        self.bn_project = BatchNormalization(name="bn_project")

    def build(self, input_shape):
        channels = input_shape[-1]
        inner = (*input_shape[:-1], channels * self.expansion)
        self.expand = None
        if self.expansion > 1:
            self.expand = convolution(inner[-1], 1, "expand")
            self.expand.build(input_shape)
            self.bn_expand.build(inner)
        self.depthwise.build(inner)
        self.bn_depthwise.build(inner)
        self.project.build(inner)
        self.bn_project.build((*input_shape[:-1], self.filters))
        self.shortcut = self.stride == 1 and channels == self.filters

    def call(self, x, training=False):
        y = x
        if self.expand is not None:
            y = ops.relu6(self.bn_expand(self.expand(y), training=training))
        y = ops.relu6(self.bn_depthwise(self.depthwise(y), training=training))
        y = self.bn_project(self.project(y), training=training)
        return x + y if self.shortcut else y

    def get_config(self):
        return {
            **super().get_config(),
            "size": self.size,
            "stride": self.stride,
            "expansion": self.expansion,
            "filters": self.filters,
        }


@keras.saving.register_keras_serializable(package="casapose_ros")
class LiteEncoder(layers.Layer):
    """Image (B, H, W, 3) in [-1, 1] -> taps at strides 2, 4, 8 and 8 (deep)."""

    channels = tuple(BLOCKS[i][-1] for i in TAPS)

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.conv0 = convolution(STEM, 3, "conv0", strides=2)
        self.bn0 = BatchNormalization(name="bn0")
        self.blocks = [InvertedResidual(*b, name=f"block{i}") for i, b in enumerate(BLOCKS)]

    def build(self, input_shape):
        self.conv0.build(input_shape)
        self.bn0.build((*input_shape[:-1], STEM))
        channels = STEM
        for block in self.blocks:
            block.build((*input_shape[:-1], channels))
            channels = block.filters

    def call(self, image, training=False):
        x = ops.relu6(self.bn0(self.conv0(image), training=training))
        taps = []
        for i, block in enumerate(self.blocks):
            x = block(x, training=training)
            if i in TAPS:
                taps.append(x)
        s2, s4, s8, s16 = taps
        # Of a side that is an odd multiple of 8, the last row at stride 16 is half outside.
        height, width = ops.shape(s8)[1:3]
        return s2, s4, s8, bilinear_upsampling(s16)[:, :height, :width]

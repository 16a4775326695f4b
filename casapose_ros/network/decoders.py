"""The two decoders (paper section 3.2): five blocks each, reading the same taps of the encoder."""

from __future__ import annotations

import keras
from keras import layers, ops

from casapose_ros.network.backbone import convolution
from casapose_ros.network.guided import (
    ClassAdaptiveNormalization,
    GuidedConvolution,
    guided_sources,
    guided_upsampling,
    half_size,
    nearest,
    pixel_indices,
)
from casapose_ros.network.normalisation import BatchNormalization
from casapose_ros.network.sampled import convolution_at, values_at
from casapose_ros.network.upsampling import bilinear_upsampling

GUIDED_BLOCKS = {"base": 0, "c": 0, "c_gu": 0, "c_gcu3": 3, "c_gcu4": 4, "c_gcu5": 5}
"""Variants (supplement Table 2) and how many blocks of decoder 2 convolve guided."""

UPSAMPLED_BLOCKS = (2, 3, 4)
LEAKY_SLOPE = 0.1


def _activation(x, block: int):
    return ops.relu(x) if block == 1 else ops.leaky_relu(x, LEAKY_SLOPE)


def _head(outputs: int):
    """Outputs are float32 where features are bfloat16: 8 bits are few for a direction."""
    return convolution(outputs, 1, "head", dtype="float32")


def _build_blocks(taps_shape, convolutions, normalisations, head):
    """Build five blocks, each of which takes a tap and the block before it, and the head."""
    previous = 0
    for tap, conv, norm in zip(taps_shape, convolutions, normalisations, strict=True):
        conv.build((*tap[:-1], tap[-1] + previous))
        previous = conv.filters
        norm.build((*tap[:-1], previous))
    head.build((None, None, None, previous))


@keras.saving.register_keras_serializable(package="casapose_ros")
class SegmentationDecoder(layers.Layer):
    """Decoder 1: plain blocks, bilinear upsampling, a 1x1 head without bias.

    Args:
        channels: Output channels of the five blocks.
        outputs: Channels of the head.
    """

    def __init__(self, channels, outputs: int, **kwargs):
        super().__init__(**kwargs)
        self.channels, self.outputs = tuple(channels), outputs
        self.convolutions = [
            convolution(c, 3, f"block{i}_conv") for i, c in enumerate(self.channels, start=1)
        ]
        self.normalisations = [BatchNormalization(name=f"block{i}_norm") for i in range(1, 6)]
        self.head = _head(outputs)

    def build(self, taps_shape):
        _build_blocks(taps_shape, self.convolutions, self.normalisations, self.head)

    def call(self, taps, training=False):
        x = None
        for block, (tap, conv, norm) in enumerate(
            zip(taps, self.convolutions, self.normalisations, strict=True), start=1
        ):
            x = tap if x is None else ops.concatenate([x, tap], axis=-1)
            x = _activation(norm(conv(x), training=training), block)
            if block in UPSAMPLED_BLOCKS:
                x = bilinear_upsampling(x)
        return self.head(x)

    def get_config(self):
        return {**super().get_config(), "channels": self.channels, "outputs": self.outputs}


@keras.saving.register_keras_serializable(package="casapose_ros")
class VectorDecoder(layers.Layer):
    """Decoder 2: class-adaptive, guided by the label map as far as the variant goes.

    Args:
        channels: Output channels of the five blocks.
        outputs: Channels of the head, shared by all objects.
        num_classes: K + 1.
        variant: A key of ``GUIDED_BLOCKS`` other than ``base``.
    """

    def __init__(self, channels, outputs: int, num_classes: int, variant: str, **kwargs):
        super().__init__(**kwargs)
        self.channels, self.outputs = tuple(channels), outputs
        self.num_classes, self.variant = num_classes, variant
        self.convolutions = [
            GuidedConvolution(c, name=f"block{i}_conv")
            if i <= GUIDED_BLOCKS[variant]
            else convolution(c, 3, f"block{i}_conv")
            for i, c in enumerate(self.channels, start=1)
        ]
        self.normalisations = [
            ClassAdaptiveNormalization(num_classes, name=f"block{i}_clade") for i in range(1, 6)
        ]
        self.head = _head(outputs)
        # Variant `c` learns its mask pyramid; the others take the top-left pixel of every 2x2.
        self.pyramid = (
            [
                convolution(num_classes, 1, f"mask_{size}", kernel_initializer=_identity)
                for size in ("half", "quarter", "eighth")
            ]
            if variant == "c"
            else []
        )

    def build(self, taps_shape):
        _build_blocks(taps_shape, self.convolutions, self.normalisations, self.head)
        for layer in self.pyramid:
            layer.build((None, None, None, self.num_classes))

    def call(self, taps, labels, pixels=None, training=False):
        labels_at, mask_at = self._pyramids(labels, taps[0].dtype)
        x = None
        for block, (tap, conv, norm, level) in enumerate(
            zip(taps, self.convolutions, self.normalisations, (3, 3, 2, 1, 0), strict=True),
            start=1,
        ):
            if block == 5 and pixels is not None:
                return self._last_block_at(pixels, x, tap, labels_at, mask_at[0], training)
            x = tap if x is None else ops.concatenate([x, tap], axis=-1)
            x = conv(x, labels_at[level]) if isinstance(conv, GuidedConvolution) else conv(x)
            x = _activation(norm(x, mask_at[level], training=training), block)
            if block in UPSAMPLED_BLOCKS and not (block == 4 and pixels is not None):
                x = self._upsample(x, labels_at[level], labels_at[level - 1])
        return self.head(x)

    def use_static_shapes(self) -> None:
        """Prepare for XLA on TensorFlow; see :func:`~guided.guided_convolution`."""
        for layer in self.convolutions:
            if isinstance(layer, GuidedConvolution):
                layer.static_shapes = True

    def _last_block_at(self, pixels, x, image, labels_at, mask, training):
        """Block 5 and the head at (B, P) pixels, from block 4's output before upsampling."""
        if self.variant == "c":
            sources = nearest(pixel_indices(labels_at[1]))
        else:
            sources = guided_sources(labels_at[1], labels_at[0])
        conv, norm = self.convolutions[-1], self.normalisations[-1]
        kernel = ops.cast(conv.kernel, x.dtype)
        guided = isinstance(conv, GuidedConvolution)
        x = convolution_at(pixels, labels_at[0], x, sources, image, kernel, guided)
        x = _activation(norm(x, values_at(pixels, mask), training=training), block=5)
        return self.head(x[:, :, None])[:, :, 0]

    def _pyramids(self, labels, dtype):
        """Label maps and class masks at strides 1, 2, 4 and 8."""
        labels_at = [labels]
        for _ in range(3):
            labels_at.append(half_size(labels_at[-1]))
        if not self.pyramid:
            return labels_at, [ops.one_hot(x, self.num_classes, dtype=dtype) for x in labels_at]
        mask_at = [ops.one_hot(labels, self.num_classes, dtype=dtype)]
        for layer in self.pyramid:
            mask_at.append(layer(half_size(mask_at[-1])))
        return labels_at, mask_at

    def _upsample(self, x, coarse_labels, labels):
        if self.variant == "c":
            return nearest(x)
        return guided_upsampling(x, coarse_labels, labels)

    def get_config(self):
        return {
            **super().get_config(),
            "channels": self.channels,
            "outputs": self.outputs,
            "num_classes": self.num_classes,
            "variant": self.variant,
        }


def _identity(shape, dtype=None):
    return ops.reshape(ops.eye(shape[-1], dtype=dtype), shape)

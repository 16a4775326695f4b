"""CASAPose: one encoder, a segmentation decoder and a guided vector decoder (paper Fig. 2)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import keras
from keras import ops

from casapose_ros.errors import ConfigError
from casapose_ros.network.backbone import Encoder, scaled_width
from casapose_ros.network.decoders import GUIDED_BLOCKS, SegmentationDecoder, VectorDecoder
from casapose_ros.network.lite_encoder import LiteEncoder
from casapose_ros.network.precision import layer_precision
from casapose_ros.network.sampled import values_at
from casapose_ros.types import NUM_KEYPOINTS

DECODER_CHANNELS = (256, 128, 64, 32, 32)
ENCODERS = ("resnet18", "efficientnet_lite0")
VECTOR_CHANNELS = 2 * NUM_KEYPOINTS
OWN_ESTIMATE = -1
"""In a guiding label map: the class that the network estimates itself."""


@dataclass(frozen=True)
class NetworkConfig:
    """What defines a network's weights.

    Attributes:
        num_objects: K; the segmentation has K + 1 classes, 0 is background.
        variant: A key of ``GUIDED_BLOCKS``.
        encoder: One of ``ENCODERS``: the paper's, or a small one for CPUs.
        width: Multiplier of both decoders' channels and of the paper's encoder's.
        vector_decoder: Channels of the five blocks of the decoder that gives the vectors, that
            is decoder 2, or the only one of ``base``; by default those of ``DECODER_CHANNELS``
            times ``width``. A narrow network wants at least 32 in the last, because it has 27
            outputs.
    """

    num_objects: int
    variant: str = "c_gcu5"
    width: float = 1.0
    vector_decoder: tuple[int, ...] | None = None
    encoder: str = "resnet18"

    def __post_init__(self) -> None:
        if self.variant not in GUIDED_BLOCKS:
            raise ConfigError(
                f"unknown variant {self.variant!r}; known: {', '.join(GUIDED_BLOCKS)}"
            )
        if self.encoder not in ENCODERS:
            raise ConfigError(f"unknown encoder {self.encoder!r}; known: {', '.join(ENCODERS)}")
        if self.num_objects < 1 or self.num_objects > 254:
            raise ConfigError(f"num_objects must be 1..254, got {self.num_objects}")
        if not 0 < self.width <= 8:
            raise ConfigError(f"width must be in (0, 8], got {self.width}")
        widths = self.vector_decoder
        if widths is not None and (len(widths) != 5 or min(widths) < 1):
            raise ConfigError(f"vector_decoder must be five positive widths, got {widths}")

    @property
    def num_classes(self) -> int:
        return self.num_objects + 1

    def segmentation_channels(self) -> tuple[int, ...]:
        return self.vector_channels() if self.variant == "base" else self._scaled()

    def vector_channels(self) -> tuple[int, ...]:
        return self.vector_decoder or self._scaled()

    def _scaled(self) -> tuple[int, ...]:
        return tuple(scaled_width(c, self.width) for c in DECODER_CHANNELS)


def build_network(
    config: NetworkConfig, precision: str = "float32", static_shapes: bool = False
) -> CASAPose:
    """A network with freshly initialised weights; fully convolutional, any size divisible by 8.

    Args:
        config: What defines its weights.
        precision: Of the features, a key of ``PRECISIONS``; weights are float32 in any.
        static_shapes: Use only operations whose shapes do not depend on the label map, as XLA
            demands on TensorFlow.
    """
    with layer_precision(precision):
        network = CASAPose(config)
    if static_shapes and network.vector_decoder is not None:
        network.vector_decoder.use_static_shapes()
    network.build((None, None, None, 3))
    return network


@keras.saving.register_keras_serializable(package="casapose_ros")
class CASAPose(keras.Model):
    """The network of the paper and its ablations.

    ``network(image)`` takes (B, H, W, 3) float32 RGB in [-1, 1] with H and W divisible by 8 and
    returns ``logits`` (B, H, W, K+1), ``vectors`` (B, H, W, 18) in the order dy, dx per keypoint
    and ``confidence`` (B, H, W, 9), both raw. ``network(image, labels)`` guides decoder 2 by the
    given (B, H, W) int32 label map instead of the predicted one, as in training (section 3.4);
    where that holds ``OWN_ESTIMATE``, the predicted class stands in. ``network(image, labels,
    pixels)`` computes vectors and confidences only at (B, P) int32 flattened pixel indices and
    returns them as (B, P, 18) and (B, P, 9). :meth:`encode` and :meth:`decode` are its two halves.
    """

    def __init__(self, config: NetworkConfig | dict, **kwargs):
        super().__init__(**kwargs)
        if isinstance(config, dict):
            config = NetworkConfig(**config)
        self.config = config
        self.encoder = (
            Encoder(config.width, name="encoder")
            if config.encoder == "resnet18"
            else LiteEncoder(name="encoder")
        )
        joint = config.variant == "base"
        outputs = VECTOR_CHANNELS + NUM_KEYPOINTS
        self.segmentation_decoder = SegmentationDecoder(
            config.segmentation_channels(),
            config.num_classes + (outputs if joint else 0),
            name="segmentation_decoder",
        )
        self.vector_decoder = None
        if not joint:
            self.vector_decoder = VectorDecoder(
                config.vector_channels(),
                outputs,
                config.num_classes,
                config.variant,
                name="vector_decoder",
            )

    def build(self, input_shape):
        s2, s4, s8, deep = self.encoder.channels
        taps = [(None, None, None, c) for c in (deep, s8, s4, s2, 3)]
        self.encoder.build(input_shape)
        self.segmentation_decoder.build(taps)
        if self.vector_decoder is not None:
            self.vector_decoder.build(taps)
        self.built = True

    def call(self, image, labels=None, pixels=None, training=False):
        return self.decode(self.encode(image, training), labels, pixels, training)

    def encode(self, image, training=False):
        """What both decoders read: features at strides 8 (deep), 8, 4 and 2, and the image."""
        # A frozen encoder keeps its statistics, too.
        training = training and self.encoder.trainable
        s2, s4, s8, deep = self.encoder(image, training=training)
        return deep, s8, s4, s2, image

    def decode(self, taps, labels=None, pixels=None, training=False):
        """From what :meth:`encode` gave to logits, vectors and confidence."""
        first = self.segmentation_decoder(taps, training=training)
        if self.vector_decoder is None:
            logits = first[..., : self.config.num_classes]
            second = first[..., self.config.num_classes :]
            if pixels is not None:
                second = values_at(pixels, second)
        else:
            logits = first
            estimated = ops.cast(ops.argmax(ops.stop_gradient(logits), axis=-1), "int32")
            if labels is None:
                labels = estimated
            else:
                labels = ops.where(ops.equal(labels, OWN_ESTIMATE), estimated, labels)
            second = self.vector_decoder(taps, labels, pixels, training=training)
        return logits, second[..., :VECTOR_CHANNELS], second[..., VECTOR_CHANNELS:]

    def get_config(self):
        return {"config": dataclasses.asdict(self.config), "name": self.name}

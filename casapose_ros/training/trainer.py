"""The network with its losses, as one Keras model that any backend can train."""

from __future__ import annotations

from dataclasses import dataclass

import keras
from keras import ops

from casapose_ros.keypoints.differentiable import regress_keypoints
from casapose_ros.network.backbone import convolution
from casapose_ros.network.inference import normalise_image
from casapose_ros.network.model import OWN_ESTIMATE, CASAPose
from casapose_ros.network.sampled import values_at
from casapose_ros.training import crops, losses
from casapose_ros.training.symmetry import nearest_targets
from casapose_ros.types import STRIDE

MINIMUM_PIXELS = 50
"""Objects with fewer pixels, true or estimated, do not enter the keypoint loss."""
MINIMUM_SAMPLE = 8
"""Nor do those of which the sample of pixels holds fewer: their keypoints are mostly noise."""
AUXILIARY_VECTORS = 5.0
"""Weight of vectors against masks in the auxiliary loss: that of a network from scratch."""


@dataclass(frozen=True)
class LossWeights:
    """Weights of the four losses, for a network that starts from nothing (docs/ablations.md).

    The paper starts from an encoder that knows ImageNet, with 1, 0.5, 0.015 and 0.007 (section
    3.4).
    """

    segmentation: float = 1.0
    vectors: float = 5.0
    voting: float = 0.15
    keypoints: float = 0.05

    def as_list(self) -> list[float]:
        return [self.segmentation, self.vectors, self.voting, self.keypoints]


class Trainer(keras.Model):
    """Maps a batch to its loss.

    Inputs are ``image`` (B, H, W, 3) uint8 RGB; ``labels`` (B, H, W) uint8, the true numbers of the
    instances, of which 1..K are the first of each class and further ones follow; ``classes``
    (B, K+E) uint8, their class ids; ``guide`` (B, H, W) uint8, the classes that guide decoder 2:
    the true ones, or corrupted ones, or ``crops.OWN_ESTIMATE`` for the network's own; ``pixels``
    (B, P) int32, a sample of flattened foreground pixels at which vectors are learned; and ``step``
    (B,) int32, the number of steps before this one. The target is ``keypoints`` (B, K+E, S, 9, 2)
    px, x then y, in the crop, of every instance in each of S poses that look alike.

    Where the guide is right, vectors are learned as in the paper, each pixel those of its own
    instance. Where it is wrong, a pixel has no vector to learn, but it still takes part in the
    keypoint regression of the object that the guide names (of its first instance), as it will when
    the network meets its own errors: its confidence should be low.

    Args:
        network: The network to train.
        first: Loss weights at the start.
        last: Loss weights at the end, reached linearly.
        total_steps: Steps from ``first`` to ``last``.
        pixel_scale: Pixels of the original image per pixel of the crop; the keypoint loss is in
            pixels of the original image.
        auxiliary: Weight of the losses of a second, linear head on the encoder's last features;
            0 for none. The head is no part of the network that is kept.
    """

    def __init__(
        self,
        network: CASAPose,
        first: LossWeights,
        last: LossWeights,
        total_steps: int,
        pixel_scale: float,
        auxiliary: float = 0.0,
    ):
        super().__init__(name="trainer")
        self.network = network
        self.first, self.last = first, last
        self.total_steps = total_steps
        self.pixel_scale = pixel_scale
        self.auxiliary = auxiliary
        self.head = None
        if auxiliary:
            config = network.config
            self.head = convolution(config.num_classes + losses.CHANNELS, 1, "auxiliary")
            self.head.build((None, None, None, network.encoder.channels[-1]))
        self.parts = {
            name: keras.metrics.Mean(name=name)
            for name in ("segmentation", "vectors", "voting", "keypoints", "accuracy")
        }
        if auxiliary:
            self.parts["auxiliary"] = keras.metrics.Mean(name="auxiliary")

    def call(self, inputs, training=False):
        guide = ops.cast(inputs["guide"], "int32")
        guide = ops.where(ops.equal(guide, crops.OWN_ESTIMATE), OWN_ESTIMATE, guide)
        pixels = ops.convert_to_tensor(inputs["pixels"])  # torch passes arrays on as they are
        taps = self.network.encode(normalise_image(inputs["image"]), training)
        outputs = self.network.decode(taps, guide, pixels, training)
        return outputs if self.head is None else (*outputs, self.head(taps[0]))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        logits, vectors, confidence, *coarse = (ops.cast(t, "float32") for t in y_pred)
        instances = ops.cast(x["labels"], "int32")
        labels = _classes_of(instances, x["classes"])
        count = x["classes"].shape[1]
        pixels = ops.convert_to_tensor(x["pixels"])
        counted = losses.counted_labels(labels, logits)
        learned, voting = (
            # Where the class is not that of the truth, it is the number of its first instance.
            values_at(pixels, ops.where(ops.equal(role, labels), instances, role))
            for role in _roles(x["guide"], labels, logits)
        )
        height, width = labels.shape[1:]
        centres = ops.take(losses.pixel_centres(height, width)[0], pixels, axis=0)
        candidates = ops.flip(y["keypoints"], axis=-1)  # (x, y) -> the network's (y, x)
        keypoints = nearest_targets(candidates, vectors, learned, centres)
        offsets = losses.pixel_offsets(keypoints, learned, centres)
        points = regress_keypoints(vectors, confidence, voting, centres, count, 1e-4)
        parts = {
            "segmentation": losses.segmentation_loss(logits, labels),
            "vectors": losses.vector_loss(vectors, losses.unit_vectors(offsets), learned),
            "voting": losses.proxy_voting_loss(vectors, offsets, learned),
            "keypoints": losses.keypoint_loss(
                points * self.pixel_scale,
                keypoints * self.pixel_scale,
                ops.logical_and(
                    losses.pixel_counts(ops.where(counted > 0, instances, 0), count)
                    > MINIMUM_PIXELS,
                    losses.pixel_counts(voting, count) >= MINIMUM_SAMPLE,
                ),
            )
            + losses.confidence_regulariser(confidence, voting),
        }
        weights = self._weights(x["step"])
        total = sum(weights[i] * value for i, value in enumerate(parts.values()))
        if coarse:
            num_objects = self.network.config.num_objects
            parts["auxiliary"] = _auxiliary_loss(
                coarse[0], labels, instances, keypoints, num_objects
            )
            total = total + self.auxiliary * parts["auxiliary"]
        for name, value in parts.items():
            self.parts[name].update_state(value)
        self.parts["accuracy"].update_state(ops.cast(ops.equal(counted, labels), "float32"))
        return total

    def reset_metrics(self):
        """Nothing: on JAX, ``train_on_batch`` calls it at every step; see :meth:`forget_losses`."""

    def forget_losses(self):
        """Begin the means of the losses anew."""
        super().reset_metrics()

    def _weights(self, steps):
        """Loss weights of the current step, (4,).

        The optimiser's own count would be a constant of the program that JAX compiles.
        """
        step = ops.cast(ops.convert_to_tensor(steps), "float32")[0]
        progress = ops.minimum(step / self.total_steps, 1.0)
        first, last = (
            ops.convert_to_tensor(weights.as_list(), "float32")
            for weights in (self.first, self.last)
        )
        return first + (last - first) * progress


def _roles(guide, labels, logits):
    """Of every pixel: the class whose vectors it learns, and the one whose keypoints it votes for.

    Args:
        guide: (B, H, W) uint8 classes that guided decoder 2, as in :class:`Trainer`.
        labels: (B, H, W) int32 true classes.
        logits: (B, H, W, K+1).

    Returns:
        Two (B, H, W) int32 label maps; background where a pixel has no such role. They differ
        only where the guide is wrong.
    """
    guide = ops.cast(guide, "int32")
    estimated = ops.cast(ops.argmax(logits, axis=-1), "int32")
    guide = ops.where(ops.equal(guide, crops.OWN_ESTIMATE), estimated, guide)
    right = ops.equal(guide, labels)
    counted = losses.counted_labels(labels, logits)
    learned = ops.where(right, counted, ops.zeros_like(labels))
    return learned, ops.where(right, counted, guide)


def _classes_of(instances, classes):
    """(B, H, W) int32 class ids of instance numbers (B, H, W), whose classes are (B, K+E)."""
    classes = ops.cast(classes, "int32")
    table = ops.concatenate([ops.zeros_like(classes[:, :1]), classes], axis=1)
    height, width = instances.shape[1:]
    found = ops.take_along_axis(table, ops.reshape(instances, (-1, height * width)), axis=1)
    return ops.reshape(found, (-1, height, width))


def _auxiliary_loss(coarse, labels, instances, keypoints, num_objects: int):
    """Masks and vectors straight from the encoder, at its own resolution.

    Args:
        coarse: (B, H/8, W/8, K+1+18) logits and vectors.
        labels: (B, H, W) int32, of which masks are learned.
        instances: (B, H, W) int32, of which vectors are learned.
        keypoints: (B, K+E, 9, 2) px, y then x.
        num_objects: K.
    """
    labels, instances = (
        x[:, STRIDE // 2 :: STRIDE, STRIDE // 2 :: STRIDE] for x in (labels, instances)
    )
    height, width = coarse.shape[1:3]
    logits, vectors = coarse[..., : num_objects + 1], coarse[..., num_objects + 1 :]
    centres = losses.pixel_centres(height, width) * STRIDE
    flat = ops.reshape(instances, (-1, height * width))
    offsets = losses.pixel_offsets(keypoints, flat, centres)
    vectors = ops.reshape(vectors, (-1, height * width, losses.CHANNELS))
    return losses.segmentation_loss(logits, labels) + AUXILIARY_VECTORS * losses.vector_loss(
        vectors, losses.unit_vectors(offsets), flat
    )

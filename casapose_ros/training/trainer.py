"""The network with its losses, as one Keras model that any backend can train."""

from __future__ import annotations

from dataclasses import dataclass

import keras
from keras import ops

from casapose_ros.keypoints.differentiable import regress_keypoints
from casapose_ros.network.inference import normalise_image
from casapose_ros.network.model import CASAPose
from casapose_ros.network.sampled import values_at
from casapose_ros.training import losses

MINIMUM_PIXELS = 50
"""Objects with fewer pixels, true or estimated, do not enter the keypoint loss."""


@dataclass(frozen=True)
class LossWeights:
    """Weights of the four losses; the defaults are the paper's (section 3.4).

    The paper starts from an ImageNet encoder. One that starts from nothing wants larger weights
    for ``vectors``, ``voting`` and ``keypoints``.
    """

    segmentation: float = 1.0
    vectors: float = 0.5
    voting: float = 0.015
    keypoints: float = 0.007

    def as_list(self) -> list[float]:
        return [self.segmentation, self.vectors, self.voting, self.keypoints]


class Trainer(keras.Model):
    """Maps a batch to its loss.

    Inputs are ``image`` (B, H, W, 3) uint8 RGB, ``labels`` (B, H, W) uint8, which also guide
    decoder 2, and ``pixels`` (B, P) int32, a sample of flattened foreground pixels at which
    vectors are learned; the target is ``keypoints`` (B, K, 9, 2) px, x then y, in the crop.

    Args:
        network: The network to train.
        first: Loss weights at the start.
        last: Loss weights at the end, reached linearly.
        total_steps: Steps from ``first`` to ``last``.
        pixel_scale: Pixels of the original image per pixel of the crop; the keypoint loss is in
            pixels of the original image.
    """

    def __init__(
        self,
        network: CASAPose,
        first: LossWeights,
        last: LossWeights,
        total_steps: int,
        pixel_scale: float,
    ):
        super().__init__(name="trainer")
        self.network = network
        self.first, self.last = first, last
        self.total_steps = total_steps
        self.pixel_scale = pixel_scale
        self.parts = {
            name: keras.metrics.Mean(name=name)
            for name in ("segmentation", "vectors", "voting", "keypoints", "accuracy")
        }

    def call(self, inputs, training=False):
        labels = ops.cast(inputs["labels"], "int32")
        image = normalise_image(inputs["image"])
        return self.network(image, labels, inputs["pixels"], training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        keypoints = ops.flip(y["keypoints"], axis=-1)  # (x, y) -> the network's (y, x)
        pixels = ops.convert_to_tensor(x["pixels"])  # torch passes arrays on as they are
        num_objects = self.network.config.num_objects
        logits, vectors, confidence = (ops.cast(t, "float32") for t in y_pred)
        all_labels = ops.cast(x["labels"], "int32")
        all_counted = losses.counted_labels(all_labels, logits)
        counted = values_at(pixels, all_counted)
        height, width = all_labels.shape[1:]
        centres = ops.take(losses.pixel_centres(height, width)[0], pixels, axis=0)
        offsets = losses.pixel_offsets(keypoints, counted, centres)
        points = regress_keypoints(vectors, confidence, counted, centres, num_objects, 1e-4)
        parts = {
            "segmentation": losses.segmentation_loss(logits, all_labels),
            "vectors": losses.vector_loss(vectors, losses.unit_vectors(offsets), counted),
            "voting": losses.proxy_voting_loss(vectors, offsets, counted),
            "keypoints": losses.keypoint_loss(
                points * self.pixel_scale,
                keypoints * self.pixel_scale,
                losses.pixel_counts(all_counted, num_objects) > MINIMUM_PIXELS,
            )
            + losses.confidence_regulariser(confidence, counted),
        }
        for name, value in parts.items():
            self.parts[name].update_state(value)
        correct = ops.cast(ops.equal(all_counted, all_labels), "float32")
        self.parts["accuracy"].update_state(correct)
        weights = self._weights()
        return sum(weights[i] * value for i, value in enumerate(parts.values()))

    def _weights(self):
        """Loss weights of the current step, (4,)."""
        progress = ops.cast(self.optimizer.iterations, "float32") / self.total_steps
        progress = ops.minimum(progress, 1.0)
        first, last = (ops.convert_to_tensor(w.as_list()) for w in (self.first, self.last))
        return first + (last - first) * progress

"""Everything that defines a training run; read from YAML by ``casapose train --config``."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from casapose_ros.errors import ConfigError
from casapose_ros.network.model import NetworkConfig
from casapose_ros.network.precision import PRECISIONS
from casapose_ros.training.batches import CropConfig
from casapose_ros.training.optimizers import OPTIMIZERS, SCHEDULES
from casapose_ros.training.trainer import LossWeights

CHOICES = {"precision": PRECISIONS, "optimizer": OPTIMIZERS, "schedule": SCHEDULES}


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a run.

    Attributes:
        objects: Names of the objects to learn, classes 1..K in this order; empty means all.
        object_weights: How often a crop is placed on an object, by its name and relative to the
            others, which have 1; None treats all alike. For objects that are learned too slowly.
        variant: Network variant, see :class:`~casapose_ros.network.NetworkConfig`.
        encoder: ``resnet18`` or ``efficientnet_lite0``.
        width: Width multiplier.
        vector_decoder: Channels of decoder 2; None follows ``width``.
        input_size: (width, height) of the network's input, px.
        crop: How crops are taken.
        batch_size: Crops per step.
        steps: Length of the run.
        seed: Of weights and batches.
        encoder_weights: File of an encoder to start from, for example one trained on ImageNet;
            None starts from nothing.
        freeze_encoder: Keep the encoder as it is given, statistics included; the decoders learn.
        precision: ``float32``, or ``bfloat16`` for the network's features; weights, statistics,
            keypoint regression and losses are float32 in both.
        jit_compile: Compile the step with XLA on TensorFlow; JAX always does.
        optimizer: ``adam`` or ``muon``.
        learning_rate: Peak, reached after ``warmup_steps``.
        schedule: What follows: ``cosine`` to zero, or ``step``, halved three times (the paper's).
        warmup_steps: Steps from zero to the peak.
        weight_decay: Decoupled weight decay: of Muon's kernels, with Adam of all weights.
        loss_weights: At the start of the run.
        final_loss_weights: At its end, reached linearly; None keeps those of the start.
        auxiliary: Weight of the losses of a linear head on the encoder's last features.
        symmetric_targets: Learn symmetric objects' keypoints from the equivalent pose that is
            nearest to the estimate, instead of from the one that the data set names.
        ema_decay: Of the averaged weights per step; they are the ones that are validated and kept.
        validate_every: Steps between validations; each also writes the bundle.
        validation_frames: Number of held-out frames to validate on.
        checkpoint_every: Steps between checkpoints.
    """

    objects: tuple[str, ...] = ()
    object_weights: dict[str, float] | None = None
    variant: str = "c_gcu5"
    encoder: str = "resnet18"
    width: float = 1.0
    vector_decoder: tuple[int, ...] | None = None
    input_size: tuple[int, int] = (640, 480)
    crop: CropConfig = field(default_factory=CropConfig)
    batch_size: int = 8
    steps: int = 20000
    seed: int = 0
    encoder_weights: str | None = None
    freeze_encoder: bool = False
    precision: str = "float32"
    jit_compile: bool = False
    optimizer: str = "muon"
    learning_rate: float = 3e-3
    schedule: str = "cosine"
    warmup_steps: int = 300
    weight_decay: float = 1e-4
    loss_weights: LossWeights = field(default_factory=LossWeights)
    final_loss_weights: LossWeights | None = None
    auxiliary: float = 0.0
    symmetric_targets: bool = True
    ema_decay: float = 0.999
    validate_every: int = 1000
    validation_frames: int = 100
    checkpoint_every: int = 500

    def __post_init__(self) -> None:
        for name in (
            "batch_size",
            "steps",
            "validate_every",
            "validation_frames",
            "checkpoint_every",
        ):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise ConfigError(
                    f"unknown {name} {getattr(self, name)!r}; known: {', '.join(known)}"
                )
        twice = [name for name, count in Counter(self.objects).items() if count > 1]
        if twice:
            raise ConfigError(f"objects: {twice[0]!r} is named twice")
        if self.objects:
            self.weights_of(self.objects)
        if self.seed < 0:
            raise ConfigError(f"seed must not be negative, got {self.seed}")
        if self.auxiliary < 0:
            raise ConfigError(f"auxiliary must not be negative, got {self.auxiliary}")
        if not 0 <= self.ema_decay < 1:
            raise ConfigError(f"ema_decay must be in [0, 1), got {self.ema_decay}")
        if self.learning_rate <= 0:
            raise ConfigError(f"learning_rate must be positive, got {self.learning_rate}")
        if min(self.input_size) < self.crop.size:
            raise ConfigError(
                f"crops of {self.crop.size} px do not fit into the input size {self.input_size}"
            )
        if any(side % 8 for side in self.input_size):
            raise ConfigError(f"input_size must be multiples of 8, got {self.input_size}")

    def weights_of(self, objects: Sequence[str]) -> np.ndarray | None:
        """``object_weights`` as (K,) float64 of classes 1..K; None if all are alike.

        Args:
            objects: Names of the objects that are learned.

        Raises:
            ConfigError: One is not learned, or its weight is not positive.
        """
        if self.object_weights is None:
            return None
        for name, weight in self.object_weights.items():
            if name not in objects:
                raise ConfigError(
                    f"object_weights: {name!r} is none of the objects: {', '.join(objects)}"
                )
            if not 0 < weight < math.inf:
                raise ConfigError(f"object_weights: {name} must be positive, got {weight}")
        return np.array([self.object_weights.get(name, 1.0) for name in objects])

    def network(self, num_objects: int) -> NetworkConfig:
        """The network that this run trains."""
        return NetworkConfig(
            num_objects, self.variant, self.width, self.vector_decoder, self.encoder
        )

"""Optimisers: Adam as in the paper, and Muon for convolutions."""

from __future__ import annotations

import math

import keras
from keras import ops

from casapose_ros.errors import ConfigError

OPTIMIZERS = ("adam", "muon")
SCHEDULES = ("cosine", "step")
HALVED_AT = (0.5, 0.75, 0.9)
GRAM_STEPS = 3
"""Of Newton and Schulz's iteration, from one Gram matrix to the next."""


class ConvolutionMuon(keras.optimizers.Muon):
    """Muon that treats a (ky, kx, C_in, C_out) kernel as a (ky kx C_in, C_out) matrix.

    Heads, the first and depthwise convolutions, normalisation parameters and CLADE tables take
    Adam's step.
    """

    def _should_use_adamw(self, variable):
        return len(variable.shape) != 4 or any(
            part in variable.path for part in ("head", "conv0", "depthwise", "mask_", "auxiliary")
        )

    def _muon_update_step(self, gradient, variable, lr, m):
        self.assign_add(m, gradient + m * (self.momentum - 1))
        update = gradient + self.momentum * m if self.nesterov else m
        matrix = ops.reshape(update, (-1, variable.shape[-1]))
        step = self.lr_adjust(lr * self.zeropower_via_newtonschulz5(matrix, self.ns_steps))
        self.assign_sub(variable, ops.reshape(step, variable.shape))

    def zeropower_via_newtonschulz5(self, x, steps: int):
        """Keras' iteration, on the smaller Gram matrix instead of on ``x`` itself.

        Every step multiplies ``x`` by a polynomial of its Gram matrix; all of them commute, so
        their product is gathered first: half of the arithmetic for a 1152 x 128 kernel. The Gram
        matrix is computed anew now and then, since its rounding errors grow twelvefold per step,
        which matters where a GPU multiplies in TF32.
        """
        x = x / (ops.norm(x) + 1e-7)
        wide = x.shape[0] <= x.shape[1]
        identity = ops.eye(min(x.shape), dtype=x.dtype)
        for first in range(0, steps, GRAM_STEPS):
            gram = ops.matmul(x, ops.transpose(x)) if wide else ops.matmul(ops.transpose(x), x)
            product = identity
            for _ in range(first, min(first + GRAM_STEPS, steps)):
                square = ops.matmul(gram, gram)
                factor = self.muon_a * identity + self.muon_b * gram + self.muon_c * square
                product = ops.matmul(factor, product)
                gram = ops.matmul(ops.matmul(factor, gram), factor)
            x = ops.matmul(product, x) if wide else ops.matmul(x, product)
        return x


@keras.saving.register_keras_serializable(package="casapose_ros")
class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """The learning rate as a function of the step, without branches that a GPU would wait for.

    Args:
        name: After a linear warm-up, ``cosine`` falls to zero and ``step`` is halved after 50, 75
            and 90 % of the run (section 4).
        learning_rate: The peak.
        warmup_steps: Steps from zero to the peak.
        total_steps: All steps, warm-up included.

    Raises:
        ConfigError: The name is not known.
    """

    def __init__(self, name: str, learning_rate: float, warmup_steps: int, total_steps: int):
        if name not in SCHEDULES:
            raise ConfigError(f"unknown schedule {name!r}; known: {', '.join(SCHEDULES)}")
        self.name, self.learning_rate = name, learning_rate
        self.warmup_steps, self.total_steps = warmup_steps, total_steps

    def __call__(self, step):
        step = ops.cast(step, "float32")
        warm = ops.minimum(step / max(self.warmup_steps, 1), 1.0)
        if self.name == "cosine":
            steps = max(self.total_steps - self.warmup_steps, 1)
            done = ops.clip((step - self.warmup_steps) / steps, 0.0, 1.0)
            return self.learning_rate * warm * 0.5 * (1 + ops.cos(math.pi * done))
        halvings = sum(ops.cast(step >= part * self.total_steps, "float32") for part in HALVED_AT)
        return self.learning_rate * warm * 0.5**halvings

    def get_config(self):
        return {
            "name": self.name,
            "learning_rate": self.learning_rate,
            "warmup_steps": self.warmup_steps,
            "total_steps": self.total_steps,
        }


def build_optimizer(
    name: str, schedule: keras.optimizers.schedules.LearningRateSchedule, weight_decay: float
) -> keras.optimizers.Optimizer:
    """An optimiser that cuts gradients longer than 10.

    Args:
        name: ``adam`` or ``muon``.
        schedule: The learning rate.
        weight_decay: Decoupled weight decay; Muon's is of its kernels alone.

    Raises:
        ConfigError: The name is not known.
    """
    if name == "adam":
        return keras.optimizers.AdamW(schedule, weight_decay=weight_decay, global_clipnorm=10.0)
    if name == "muon":
        return ConvolutionMuon(
            schedule,
            weight_decay=weight_decay,
            adam_weight_decay=None,
            global_clipnorm=10.0,
        )
    raise ConfigError(f"unknown optimizer {name!r}; known: {', '.join(OPTIMIZERS)}")

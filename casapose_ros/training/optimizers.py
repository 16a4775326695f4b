"""Optimisers: Adam as in the paper, and Muon for convolutions."""

from __future__ import annotations

import keras
from keras import ops

from casapose_ros.errors import ConfigError


class ConvolutionMuon(keras.optimizers.Muon):
    """Muon that treats a (ky, kx, C_in, C_out) kernel as a (ky kx C_in, C_out) matrix.

    Heads, the first convolution, normalisation parameters and CLADE tables take Adam's step.
    """

    def _should_use_adamw(self, variable):
        return len(variable.shape) != 4 or any(
            part in variable.path for part in ("head", "conv0", "mask_")
        )

    def _muon_update_step(self, gradient, variable, lr, m):
        self.assign_add(m, gradient + m * (self.momentum - 1))
        update = gradient + self.momentum * m if self.nesterov else m
        matrix = ops.reshape(update, (-1, variable.shape[-1]))
        step = self.lr_adjust(lr * self.zeropower_via_newtonschulz5(matrix, self.ns_steps))
        self.assign_sub(variable, ops.reshape(step, variable.shape))


def build_optimizer(
    name: str, learning_rate: float, warmup_steps: int, total_steps: int, weight_decay: float
) -> keras.optimizers.Optimizer:
    """An optimiser with linear warm-up and a cosine to zero.

    Args:
        name: ``adam`` or ``muon``.
        learning_rate: The peak.
        warmup_steps: Steps from zero to the peak.
        total_steps: All steps, warm-up included.
        weight_decay: Decoupled weight decay.

    Raises:
        ConfigError: The name is not known.
    """
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0,
        decay_steps=max(total_steps - warmup_steps, 1),
        warmup_target=learning_rate,
        warmup_steps=warmup_steps,
    )
    if name == "adam":
        return keras.optimizers.AdamW(schedule, weight_decay=weight_decay, global_clipnorm=10.0)
    if name == "muon":
        return ConvolutionMuon(
            schedule,
            weight_decay=weight_decay,
            adam_weight_decay=weight_decay,
            global_clipnorm=10.0,
        )
    raise ConfigError(f"unknown optimizer {name!r}; known: adam, muon")

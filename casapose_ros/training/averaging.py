"""Exponential moving average of a network's weights."""

from __future__ import annotations

import keras

from casapose_ros.training.distribution import local_value


class WeightAverage:
    """Keeps ``average`` close behind ``network``.

    Args:
        network: The network that is trained.
        average: A network of the same configuration; starts as a copy.
        decay: Weight of the past, per step.
        every: Steps between updates; each then counts for all of them.
    """

    def __init__(self, network: keras.Model, average: keras.Model, decay: float, every: int):
        self.network, self.average = network, average
        self.decay, self.every = decay, every
        self.reset()

    def reset(self) -> None:
        """Copy the network's weights."""
        for mean, variable in self._pairs():
            mean.assign(local_value(variable))

    def update(self, step: int) -> None:
        """Take in the weights after ``step`` steps."""
        if step % self.every:
            return
        # A mean over the steps so far is the better average at the start.
        decay = min(self.decay**self.every, step / (step + 10 * self.every))
        for mean, variable in self._pairs():
            mean.assign(mean * decay + local_value(variable) * (1 - decay))

    def _pairs(self):
        return zip(self.average.variables, self.network.variables, strict=True)

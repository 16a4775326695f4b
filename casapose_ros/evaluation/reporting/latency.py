"""How times are spread: the mean alone hides the frames that a robot waits for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Spread:
    """Where the times of one stage lie, in seconds; NaN without any.

    Attributes:
        count: How many times were measured.
        mean: Their mean.
        median: Half of them are shorter.
        p95: 95 % of them are shorter.
        largest: The longest of all.
    """

    count: int
    mean: float
    median: float
    p95: float
    largest: float


def spread(seconds: np.ndarray) -> Spread:
    """The spread of (N,) times in seconds; those that are NaN were not measured."""
    seconds = seconds[np.isfinite(seconds)]
    if not seconds.size:
        return Spread(0, *4 * [float("nan")])
    median, p95 = np.percentile(seconds, [50, 95])
    return Spread(
        seconds.size, float(seconds.mean()), float(median), float(p95), float(seconds.max())
    )

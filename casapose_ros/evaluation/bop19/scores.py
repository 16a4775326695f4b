"""From errors to recalls to the average recall, AR, that the benchmark ranks methods by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from casapose_ros.evaluation.bop19.comparing import TargetErrors
from casapose_ros.evaluation.bop19.errors import STEPS

PROJECTION_STEPS = np.arange(5, 51, 5)
"""(10,) thresholds of MSPD, px in an image 640 px wide."""


@dataclass(frozen=True)
class Hits:
    """How many instances were asked for and found, of one target or summed over many.

    Attributes:
        asked: Instances.
        vsd: (10, 10) found, per tolerance tau and threshold; None without depth images.
        mssd: (10,) found, per threshold.
        mspd: (10,) found, per threshold.
    """

    asked: int
    vsd: np.ndarray | None
    mssd: np.ndarray
    mspd: np.ndarray

    def __add__(self, other: Hits) -> Hits:
        without = self.vsd is None or other.vsd is None
        return Hits(
            self.asked + other.asked,
            None if without else self.vsd + other.vsd,
            self.mssd + other.mssd,
            self.mspd + other.mspd,
        )


NOTHING = Hits(0, *(np.zeros(shape, dtype=int) for shape in ((10, 10), 10, 10)))
"""What sums start from."""


def count_hits(target: TargetErrors) -> Hits:
    """Count what one target's estimates found, at every threshold."""
    vsd = None
    if target.vsd is not None:
        per_tau = np.moveaxis(target.vsd, 2, 0)
        vsd = np.array([_found_at(errors, target.valid, STEPS) for errors in per_tau])
    return Hits(
        asked=int(np.count_nonzero(target.valid)),
        vsd=vsd,
        mssd=_found_at(target.mssd, target.valid, STEPS),
        mspd=_found_at(target.mspd, target.valid, PROJECTION_STEPS),
    )


def count_found(errors: np.ndarray, valid: np.ndarray, threshold: float) -> int:
    """How many true instances are found at one threshold.

    The estimates choose one after the other, best score first: each takes the valid instance that
    nobody took yet and to which its error is smallest, if that is strictly below the threshold.

    Args:
        errors: (E, G) of each estimate, best score first, to each true instance.
        valid: (G,) bool, instances that may be found.
        threshold: In the unit of the errors.
    """
    free = list(np.flatnonzero(valid))
    for row in errors:
        right = [truth for truth in free if row[truth] < threshold]
        if right:
            free.remove(min(right, key=row.__getitem__))
    return int(np.count_nonzero(valid)) - len(free)


def recall(found: np.ndarray, asked: int) -> np.ndarray:
    """Fraction found per threshold; NaN where nothing was asked for."""
    return found / asked if asked else np.full(found.shape, np.nan)


def _found_at(errors: np.ndarray, valid: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    return np.array([count_found(errors, valid, threshold) for threshold in thresholds])

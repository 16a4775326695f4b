"""Whether the difference of two runs may be chance: paired tests with the frame as their unit.

Objects in one image are not independent of each other, so that only frames are counted.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import binomtest, wilcoxon

ROUNDING = 1e-9
"""Differences below this, relative to the largest value, are what rounding left of none."""
PERMUTATIONS = 10_000
"""Behind the p-value of a share; none is below 1 / (1 + PERMUTATIONS)."""
BATCH = 5_000_000
"""Frames swapped at a time, over all permutations: 40 MB."""


def exact_test(before: np.ndarray, after: np.ndarray) -> float:
    """McNemar's exact test: whether ups and downs are equally likely, two-sided.

    Of the frames in which the counts differ, as many should have the higher one before as after;
    with one target per frame this is the test of McNemar (1947).

    Args:
        before: (F,) count of each frame.
        after: (F,) the same of the second run.

    Returns:
        The p-value; 1 where nothing changed.
    """
    ups, downs = int(np.sum(after > before)), int(np.sum(after < before))
    return float(binomtest(ups, ups + downs).pvalue) if ups + downs else 1.0


def signed_rank_test(before: np.ndarray, after: np.ndarray) -> float:
    """Wilcoxon's signed-rank test (1945): whether changes are centred on zero, two-sided.

    Args:
        before: (F,) value of each frame.
        after: (F,) the same of the second run. Frames with no change, up to ``ROUNDING``, are
            left out.

    Returns:
        The p-value; 1 where nothing changed.
    """
    changes = after - before
    scale = np.abs([before, after]).max(initial=0.0)
    changes = changes[np.abs(changes) > ROUNDING * scale]
    return float(wilcoxon(changes).pvalue) if changes.size else 1.0


def permutation_test(
    before: np.ndarray,
    after: np.ndarray,
    rng: np.random.Generator,
    permutations: int = PERMUTATIONS,
) -> float:
    """Whether the difference of two shares may be chance, two-sided.

    If the runs do not differ, each frame might as well have come from the other one. So the runs
    are swapped in a random half of the frames, many times, and the p-value is how often the
    shares are then at least as far apart as they really are (Ernst, Statistical Science 2004).

    Args:
        before: (F, 2) what each frame adds to the numerator and to the denominator.
        after: (F, 2) the same of the second run.
        rng: Draws the frames.
        permutations: How often.

    Returns:
        The p-value; 1 where nothing changed, NaN where one of the shares is unknown.
    """
    observed = float(_apart(before.sum(axis=0), after.sum(axis=0)))
    if np.isnan(observed):
        return float("nan")
    changes = (after - before)[(after != before).any(axis=1)]
    if not len(changes):
        return 1.0
    hits, size = 0, max(1, BATCH // len(changes))
    for start in range(0, permutations, size):
        shape = (min(size, permutations - start), len(changes))
        moved = rng.integers(2, size=shape, dtype=np.int8).astype(np.float64) @ changes
        apart = _apart(before.sum(axis=0) + moved, after.sum(axis=0) - moved)
        # Shares that a swap leaves without any estimate are no evidence of a difference.
        hits += int(np.sum(~(apart < observed - ROUNDING)))
    return (1 + hits) / (1 + permutations)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's correction (Scandinavian Journal of Statistics, 1979) for the number of tests.

    If nothing changed at all, the probability that any of the corrected values is below P is at
    most P, however the tests depend on each other.

    Args:
        p_values: Of tests that are looked at together; NaN for one that could not be made, which
            stays NaN and does not count.
    """
    values = np.array(p_values, dtype=np.float64)
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.argsort(values[known], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    values[order] = np.minimum(np.maximum.accumulate(factors * values[order]), 1.0)
    return values.tolist()


def _apart(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """How far two shares are apart, from (..., 2) numerators and denominators."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.abs(after[..., 0] / after[..., 1] - before[..., 0] / before[..., 1])

"""Two runs on the same frames: what changed, how surely, and whether it may be chance.

Differences have bootstrap intervals over the frames that both runs have, drawn alike for both.
Three tests of :mod:`~.significance` say whether a difference may be chance:

- recalls: McNemar's exact test on the counts of each frame, as both runs have the same targets;
- false positives, which are shares of the estimates, and those differ in number: a permutation
  test of the shares' difference;
- errors, areas and overlaps: Wilcoxon's signed-rank test on what each frame adds up to; of
  errors, over the targets that both runs found.

p-values stand there as they are and after Holm's correction for how many of them there are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from casapose_ros.errors import ConfigError, DatasetError
from casapose_ros.evaluation.comparison.figures import (
    AVERAGE_RECALL,
    MEASURES,
    SHARES_OF_ESTIMATES,
    Change,
    Comparison,
    ObjectChanges,
)
from casapose_ros.evaluation.comparison.runs import EvaluatedFrame, EvaluatedRun
from casapose_ros.evaluation.comparison.significance import (
    exact_test,
    holm,
    permutation_test,
    signed_rank_test,
)
from casapose_ros.evaluation.judgements import Judgements
from casapose_ros.evaluation.matching import Judgement
from casapose_ros.evaluation.statistics.bootstrap import (
    UNKNOWN,
    FrameSums,
    RunSums,
    percentiles,
    replicate,
)
from casapose_ros.evaluation.summary import MEDIANS, RECALLS, TOTAL

SAME_TRUTH = 1e-6
"""Difference of truths (rotation, metres, visible fraction) that rounding may leave."""
MOST_FRAMES = 10
"""How many of the frames that changed most are named."""


def compare(
    first: EvaluatedRun,
    second: EvaluatedRun,
    rng: np.random.Generator,
    level: float = 0.95,
    resamples: int = 1000,
) -> Comparison:
    """Put two runs side by side, over the frames that both have.

    Args:
        first: The one before.
        second: The one after.
        rng: Draws the frames for the intervals, and those swapped for the permutation tests.
        level: Of confidence.
        resamples: How often the frames are drawn.

    Raises:
        ConfigError: The runs are of different data, objects or visibilities.
        DatasetError: A frame has other true objects in the one than in the other.
    """
    _check_alike(first, second)
    # Sorted, since the order of a log's lines depends on who was done first.
    common = sorted(first.frames.keys() & second.frames.keys())
    if not common:
        raise ConfigError(f"{first.folder} and {second.folder} have no frame in common")
    runs = [[run.frames[name] for name in common] for run in (first, second)]
    for name, *pair in zip(common, *runs, strict=True):
        _check_same_truths(name, *pair)
    judgements = [[frame.judgement for frame in frames] for frames in runs]
    names, visibility = first.names, first.min_visibility
    before, after = (
        RunSums(Judgements.of(zip(common, mine, strict=True)), names, visibility)
        for mine in judgements
    )
    draws = replicate([before, after], resamples, rng)
    objects = []
    for name in (*names, TOTAL):
        errors = _error_sums(*judgements, name, visibility)
        spread = {m: draws[1][name][m] - draws[0][name][m] for m in MEASURES}
        changes = _changes(before[name], after[name], spread, errors, level, rng)
        targets = int(before[name].parts["auc_add"][:, 1].sum())
        objects.append(ObjectChanges(name, targets, changes))
    *single, total = objects
    left_out = (len(first.frames) - len(common), len(second.frames) - len(common))
    gains = _gains(before[TOTAL], after[TOTAL], common)
    return Comparison(
        before=first.title,
        after=second.title,
        data=first.data,
        frames=len(common),
        left_out=left_out,
        level=level,
        objects=(*_corrected(single), *_corrected([total])),
        others=_others(first, second) if left_out == (0, 0) else (),
        worse=_most_changed(gains, -1),
        better=_most_changed(gains, 1),
    )


def _changes(
    before: FrameSums,
    after: FrameSums,
    spread: dict[str, np.ndarray],
    errors: dict[str, np.ndarray],
    level: float,
    rng: np.random.Generator,
) -> tuple[Change, ...]:
    """All figures of one object; ``spread`` has the replicates of their differences."""
    changes = []
    for measure, figure in MEASURES.items():
        known = min(sums.frames_behind(measure) for sums in (before, after)) > 1
        interval = percentiles(spread[measure], level) if known else UNKNOWN
        p_value = _p_value(measure, before, after, errors, rng)
        values = before.value(measure), after.value(measure)
        changes.append(Change(figure, *values, interval, p_value))
    return tuple(changes)


def _corrected(objects: Sequence[ObjectChanges]) -> Iterator[ObjectChanges]:
    """The same with p-values corrected for the number of all their figures."""
    values = iter(holm([change.p_value for one in objects for change in one.changes]))
    for one in objects:
        changes = tuple(replace(change, corrected=next(values)) for change in one.changes)
        yield replace(one, changes=changes)


def _p_value(
    measure: str,
    before: FrameSums,
    after: FrameSums,
    errors: dict[str, np.ndarray],
    rng: np.random.Generator,
) -> float:
    """Whether a figure's change may be chance; ``errors`` as from :func:`_error_sums`."""
    if measure in MEDIANS:
        sums = errors[MEDIANS[measure]]
        return signed_rank_test(*sums.T) if sums.size else float("nan")
    if measure in SHARES_OF_ESTIMATES:
        return permutation_test(before.parts[measure], after.parts[measure], rng)
    before_sum, before_count = before.parts[measure].T
    after_sum, after_count = after.parts[measure].T
    if not before_count.any() and not after_count.any():
        return float("nan")
    if measure in RECALLS:
        return exact_test(before_sum, after_sum)
    if not np.array_equal(before_count, after_count):
        return float("nan")  # masks that only one of the runs knows
    return signed_rank_test(before_sum, after_sum)


def _error_sums(
    before: Sequence[Judgement], after: Sequence[Judgement], name: str, min_visibility: float
) -> dict[str, np.ndarray]:
    """By error, (F, 2) its sum before and after over the targets that both found in a frame."""
    sums = defaultdict(list)
    for pair in zip(before, after, strict=True):
        found, found_after = (
            {
                m.truth: m.errors
                for m in judgement.matches
                if name in (m.name, TOTAL) and m.is_target(min_visibility) and m.is_estimate
            }
            for judgement in pair
        )
        both = found.keys() & found_after.keys()
        for measure in MEDIANS.values():
            errors = [(getattr(found[i], measure), getattr(found_after[i], measure)) for i in both]
            errors = [pair for pair in errors if np.isfinite(pair).all()]
            if errors:
                sums[measure].append(np.sum(errors, axis=0))
    return {measure: np.array(sums[measure]) for measure in MEDIANS.values()}


def _check_alike(first: EvaluatedRun, second: EvaluatedRun) -> None:
    def refuse(what: str, before: Any, after: Any) -> None:
        raise ConfigError(
            f"{first.folder} and {second.folder} cannot be compared: {what} {before} in the first, "
            f"{after} in the second"
        )

    if first.data != second.data:
        refuse("the data are", "/".join(first.data), "/".join(second.data))
    if first.min_visibility != second.min_visibility:
        refuse("--min-visibility was", first.min_visibility, second.min_visibility)
    if set(first.names) != set(second.names):
        refuse("the objects are", ", ".join(first.names), ", ".join(second.names))


def _check_same_truths(name: str, first: EvaluatedFrame, second: EvaluatedFrame) -> None:
    pairs = zip(first.truths, second.truths, strict=False)
    same = len(first.truths) == len(second.truths) and all(
        a.name == b.name
        and np.allclose(a.R_cam_obj, b.R_cam_obj, atol=SAME_TRUTH, rtol=0)
        and np.allclose(a.t_cam_obj, b.t_cam_obj, atol=SAME_TRUTH, rtol=0)
        and abs(a.visibility - b.visibility) <= SAME_TRUTH
        for a, b in pairs
    )
    if not same:
        raise DatasetError(
            f"the two runs were asked for different true objects in frame {name}: the ground truth "
            "changed in between; evaluate both again"
        )


def _others(first: EvaluatedRun, second: EvaluatedRun) -> tuple[Change, ...]:
    """Figures that stand in both reports."""
    before = dict(first.figures)
    if first.without_vsd != second.without_vsd:
        before.pop(AVERAGE_RECALL, None)  # With and without VSD, AR means two things.
    return tuple(
        Change(figure, value, second.figures[figure], UNKNOWN, float("nan"))
        for figure, value in before.items()
        if figure in second.figures
    )


def _gains(before: FrameSums, after: FrameSums, frames: Sequence[str]) -> dict[str, int]:
    """By frame, how many more targets are right than before."""
    gains = after.parts["recall_add_10"][:, 0] - before.parts["recall_add_10"][:, 0]
    return dict(zip(frames, gains.astype(int).tolist(), strict=True))


def _most_changed(gains: dict[str, int], sign: int) -> tuple[tuple[str, int], ...]:
    """The frames with most change in one direction, and how much."""
    changed = [(name, abs(gain)) for name, gain in gains.items() if sign * gain > 0]
    return tuple(sorted(changed, key=lambda item: -item[1])[:MOST_FRAMES])

"""Two runs on the same frames: what changed, how surely, and whether it may be chance.

Differences have bootstrap intervals over the frames that both runs have, drawn alike for both. Two
tests say whether a difference may be chance; both are paired and have the frame as their unit,
since objects in one image are not independent:

- shares of right or wrong ones: McNemar's exact test, by frames: of those in which the counts
  differ, as many should have the higher one before as after (with one target per frame this is
  the test of McNemar, 1947);
- errors, areas and overlaps: Wilcoxon's signed-rank test (1945) on what the changes in each frame
  add up to; of errors, over the targets that both runs found.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import binomtest, wilcoxon

from casapose_ros.errors import ConfigError, DatasetError
from casapose_ros.evaluation.comparison.figures import (
    AVERAGE_RECALL,
    CALIBRATION_ERROR,
    COUNTED,
    MEAN_AVERAGE_PRECISION,
    MEASURES,
    TIME,
    Change,
    Comparison,
    Figure,
    ObjectChanges,
)
from casapose_ros.evaluation.comparison.runs import EvaluatedFrame, EvaluatedRun
from casapose_ros.evaluation.matching import Judgement
from casapose_ros.evaluation.statistics.bootstrap import (
    UNKNOWN,
    FrameSums,
    frame_sums,
    percentiles,
    replicate,
)
from casapose_ros.evaluation.summary import MEDIANS, TOTAL

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
        rng: Draws the frames for the intervals.
        level: Of confidence.
        resamples: How often the frames are drawn.

    Raises:
        ConfigError: The runs are of different data, objects or visibilities.
        DatasetError: A frame has other true objects in the one than in the other.
    """
    _check_alike(first, second)
    common = [name for name in first.frames if name in second.frames]
    if not common:
        raise ConfigError(f"{first.folder} and {second.folder} have no frame in common")
    runs = [[run.frames[name] for name in common] for run in (first, second)]
    for name, *pair in zip(common, *runs, strict=True):
        _check_same_truths(name, *pair)
    judgements = [[frame.judgement for frame in frames] for frames in runs]
    names, visibility = first.names, first.min_visibility
    before, after = (frame_sums(mine, names, visibility) for mine in judgements)
    draws = replicate([before, after], resamples, rng)
    objects = []
    for name in (*names, TOTAL):
        errors = _error_changes(*judgements, name, visibility)
        spread = {m: draws[1][name][m] - draws[0][name][m] for m in MEASURES}
        changes = _changes(before[name], after[name], spread, errors, level)
        targets = int(before[name].parts["auc_add"][:, 1].sum())
        objects.append(ObjectChanges(name, targets, changes))
    left_out = (len(first.frames) - len(common), len(second.frames) - len(common))
    gains = _gains(before[TOTAL], after[TOTAL], common)
    return Comparison(
        before=first.title,
        after=second.title,
        data=first.data,
        frames=len(common),
        left_out=left_out,
        level=level,
        objects=tuple(objects),
        others=_others(first.report, second.report) if left_out == (0, 0) else (),
        worse=_most_changed(gains, -1),
        better=_most_changed(gains, 1),
    )


def exact_test(differences: np.ndarray) -> float:
    """McNemar's exact test: whether ups and downs are equally likely, two-sided.

    Args:
        differences: (F,) change of the count of each frame.

    Returns:
        The p-value; 1 where nothing changed.
    """
    ups, downs = int(np.sum(differences > 0)), int(np.sum(differences < 0))
    return float(binomtest(ups, ups + downs).pvalue) if ups + downs else 1.0


def signed_rank_test(differences: np.ndarray) -> float:
    """Wilcoxon's signed-rank test: whether differences are centred on zero, two-sided.

    Args:
        differences: (F,) change of each frame; those of zero are left out.

    Returns:
        The p-value; 1 where nothing changed.
    """
    changed = differences[differences != 0]
    return float(wilcoxon(changed).pvalue) if changed.size else 1.0


def _changes(
    before: FrameSums,
    after: FrameSums,
    spread: dict[str, np.ndarray],
    errors: dict[str, np.ndarray],
    level: float,
) -> tuple[Change, ...]:
    """All figures of one object; ``spread`` has the replicates of their differences."""
    changes = []
    for measure, figure in MEASURES.items():
        known = min(sums.frames_behind(measure) for sums in (before, after)) > 1
        interval = percentiles(spread[measure], level) if known else UNKNOWN
        p_value = _p_value(measure, before, after, errors)
        values = before.value(measure), after.value(measure)
        changes.append(Change(figure, *values, interval, p_value))
    return tuple(changes)


def _p_value(
    measure: str, before: FrameSums, after: FrameSums, errors: dict[str, np.ndarray]
) -> float:
    """Whether a figure's change may be chance; ``errors`` as from :func:`_error_changes`."""
    if measure in MEDIANS:
        changes = errors[MEDIANS[measure]]
        return signed_rank_test(changes) if changes.size else float("nan")
    before_sum, before_count = before.parts[measure].T
    after_sum, after_count = after.parts[measure].T
    if not before_count.any() and not after_count.any():
        return float("nan")
    if measure in COUNTED:
        return exact_test(after_sum - before_sum)
    if not np.array_equal(before_count, after_count):
        return float("nan")  # masks that only one of the runs knows
    return signed_rank_test(after_sum - before_sum)


def _error_changes(
    before: Sequence[Judgement], after: Sequence[Judgement], name: str, min_visibility: float
) -> dict[str, np.ndarray]:
    """By error, (F,) the sum of its changes in each frame with targets that both runs found."""
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
            changes = [getattr(found_after[i], measure) - getattr(found[i], measure) for i in both]
            changes = [change for change in changes if np.isfinite(change)]
            if changes:
                sums[measure].append(sum(changes))
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


def _others(first: dict[str, Any], second: dict[str, Any]) -> tuple[Change, ...]:
    """Figures that stand in both reports."""
    before, after = _other_values(first), _other_values(second)
    # With and without VSD, AR means two things.
    without_vsd = [bool((r.get("bop") or {}).get("without_vsd")) for r in (first, second)]
    if without_vsd[0] != without_vsd[1]:
        before.pop(AVERAGE_RECALL, None)
    return tuple(
        Change(figure, before[figure], after[figure], UNKNOWN, float("nan"))
        for figure in before
        if figure in after
    )


def _other_values(report: dict[str, Any]) -> dict[Figure, float]:
    values = {}
    if report.get("bop"):
        values[AVERAGE_RECALL] = report["bop"]["total"]["average_recall"]
    if report.get("detection"):
        values[MEAN_AVERAGE_PRECISION] = _mean(
            report["detection"]["objects"][-1]["average_precisions"]
        )
    values[CALIBRATION_ERROR] = report["reliability"]["error"]
    if report["times"]:
        values[TIME] = report["times"]["all"]["mean"]
    return {figure: value for figure, value in values.items() if value is not None}


def _mean(values: Sequence[float | None]) -> float | None:
    return None if None in values else float(np.mean(values))


def _gains(before: FrameSums, after: FrameSums, frames: Sequence[str]) -> dict[str, int]:
    """By frame, how many more targets are right than before."""
    gains = after.parts["recall_add_10"][:, 0] - before.parts["recall_add_10"][:, 0]
    return dict(zip(frames, gains.astype(int).tolist(), strict=True))


def _most_changed(gains: dict[str, int], sign: int) -> tuple[tuple[str, int], ...]:
    """The frames with most change in one direction, and how much."""
    changed = [(name, abs(gain)) for name, gain in gains.items() if sign * gain > 0]
    return tuple(sorted(changed, key=lambda item: -item[1])[:MOST_FRAMES])

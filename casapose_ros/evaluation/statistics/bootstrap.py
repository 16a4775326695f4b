"""How far a report's figures would move with other images of the same kind: confidence intervals.

The bootstrap draws as many frames as there are, with replacement, and measures again, many times
(Efron and Tibshirani, 1993). Frames are drawn, not targets: objects in one image share its light,
its clutter and its luck, so only frames are independent of each other.

Intervals are percentiles of the replicates. They stay within a figure's range and serve medians,
for which the jackknife behind BCa fails (the same book, chapter 11). Replicates of a figure at
the end of its range are all the same and would claim certainty; there the interval is Clopper and
Pearson's with the frame as the unit: if n frames are all right throughout, a frame is so with at
least probability (alpha / 2)^(1 / n), and the figure is no lower than that.

Replicates are sums over frames times how often each was drawn, so that a thousand of them cost a
matrix product.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from casapose_ros.evaluation.judgements import Judgements
from casapose_ros.evaluation.matching import Outcome
from casapose_ros.evaluation.summary import (
    AUC_LIMIT,
    MEDIANS,
    RECALLS,
    TOTAL,
    about,
    target_errors,
)

BOUNDED = (*RECALLS, "auc_add", "mean_mask_iou", "absent_rate", "wrong_rate")
"""Fractions, 0..1; means of what the frames add to them."""
MEASURES = (*BOUNDED, "mean_keypoints", *MEDIANS)
"""Figures of a ``Summary`` that have an interval."""
ERRORS = {"add", "keypoints", *MEDIANS.values(), *(measure for measure, _ in RECALLS.values())}
BATCH = 500_000
"""Frames drawn at a time, over all replicates: 4 MB."""

Replicates = dict[str, dict[str, np.ndarray]]
"""By object (or ``TOTAL``) and figure, (B,) values; NaN where nothing relevant was drawn."""


@dataclass(frozen=True)
class Interval:
    """A confidence interval in the figure's own unit; NaN where it is unknown."""

    low: float
    high: float


UNKNOWN = Interval(float("nan"), float("nan"))


@dataclass(frozen=True)
class Intervals:
    """Confidence intervals of a report's figures.

    Attributes:
        level: Probability with which such intervals contain the figure of all such frames.
        resamples: Replicates behind each.
        values: By object (or ``TOTAL``) and figure.
    """

    level: float
    resamples: int
    values: dict[str, dict[str, Interval]]

    def of(self, name: str, measure: str) -> Interval:
        """The interval of a figure; NaN if it has none."""
        return self.values.get(name, {}).get(measure, UNKNOWN)


@dataclass(frozen=True)
class FrameSums:
    """What each of F frames adds to the figures of one object, or of all.

    Attributes:
        parts: By figure, (F, 2) numerators and denominators; the figure is the ratio of the sums.
        errors: By figure that is a median, (N,) sorted errors and (N,) the frames they are from.
    """

    parts: dict[str, np.ndarray]
    errors: dict[str, tuple[np.ndarray, np.ndarray]]

    def frames_behind(self, measure: str) -> int:
        """How many frames say anything about a figure."""
        if measure in self.parts:
            return int(np.count_nonzero(self.parts[measure][:, 1]))
        return len(np.unique(self.errors[measure][1]))

    def value(self, measure: str) -> float:
        """The figure over all frames, as in the ``Summary``; NaN where it is unknown."""
        if measure in self.parts:
            numerator, denominator = self.parts[measure].sum(axis=0)
            return float(numerator / denominator) if denominator else float("nan")
        errors, _ = self.errors[measure]
        return float(np.median(errors)) if errors.size else float("nan")


def intervals(
    judgements: Judgements,
    names: Sequence[str],
    min_visibility: float,
    rng: np.random.Generator,
    level: float = 0.95,
    resamples: int = 1000,
) -> Intervals:
    """Confidence intervals of what ``summarise`` says about the same judgements.

    Args:
        judgements: Of all frames.
        names: All objects of the model.
        min_visibility: Visible fraction from which a true object is a target.
        rng: Draws the frames; the same seed gives the same intervals.
        level: Of confidence.
        resamples: How often the frames are drawn.
    """
    run = RunSums(judgements, tuple(names), min_visibility)
    (replicates,) = replicate([run], resamples, rng)
    values = {
        name: {
            measure: _interval(sums, measure, values, level)
            for measure, values in replicates[name].items()
        }
        for name, sums in run.items()
    }
    return Intervals(level, resamples, values)


@dataclass(frozen=True)
class RunSums(Mapping[str, FrameSums]):
    """What each frame adds to each object's figures, and to the total's, by name.

    They are summed up anew whenever they are asked for: for all objects at once they are larger
    than the judgements.

    Attributes:
        judgements: Of all frames.
        names: All objects of the model.
        min_visibility: Visible fraction from which a true object is a target.
    """

    judgements: Judgements
    names: tuple[str, ...]
    min_visibility: float

    def __iter__(self) -> Iterator[str]:
        return iter((*self.names, TOTAL))

    def __len__(self) -> int:
        return len(self.names) + 1

    def __getitem__(self, name: str) -> FrameSums:
        if name not in (*self.names, TOTAL):
            raise KeyError(name)
        return _sum_up(self.judgements, name, self.min_visibility)


def replicate(
    runs: Sequence[RunSums], resamples: int, rng: np.random.Generator
) -> list[Replicates]:
    """Draw frames and measure again; the same draws for every run, which must share its frames."""
    frames = len(runs[0].judgements)
    batches: list[list[Replicates]] = [[] for _ in runs]
    for counts in _draws(frames, resamples, rng):
        for run, done in zip(runs, batches, strict=True):
            done.append({name: _measure(sums, counts) for name, sums in run.items()})
    return [
        {
            name: {
                measure: np.concatenate([batch[name][measure] for batch in done])
                for measure in MEASURES
            }
            for name in run
        }
        for run, done in zip(runs, batches, strict=True)
    ]


def percentiles(replicates: np.ndarray, level: float) -> Interval:
    """The interval between a bootstrap's percentiles; NaN without any replicate."""
    known = replicates[np.isfinite(replicates)]
    if not known.size:
        return UNKNOWN
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2]).tolist()
    return Interval(low, high)


def _interval(sums: FrameSums, measure: str, replicates: np.ndarray, level: float) -> Interval:
    frames, value = sums.frames_behind(measure), sums.value(measure)
    if frames < 2:  # one frame does not show how frames differ
        return UNKNOWN
    if measure in BOUNDED and value in (0, 1):
        reach = ((1 - level) / 2) ** (1 / frames)
        return Interval(reach, 1.0) if value == 1 else Interval(0.0, 1 - reach)
    return percentiles(replicates, level)


def _sum_up(judgements: Judgements, name: str, min_visibility: float) -> FrameSums:
    """What each frame adds to one object's figures."""

    def parts(frames: np.ndarray, values: np.ndarray) -> np.ndarray:
        numerators = np.bincount(frames, weights=values, minlength=len(judgements))
        return np.stack([numerators, np.bincount(frames, minlength=len(judgements))], axis=1)

    rows, masks = judgements.rows, judgements.masks
    mine = about(judgements, rows, name)
    asked = rows["frame"][mine & judgements.is_target(min_visibility)]
    errors = {e: target_errors(judgements, min_visibility, e, name) for e in ERRORS}
    ratios = {field: parts(asked, errors[e] < limit) for field, (e, limit) in RECALLS.items()}
    ratios["auc_add"] = parts(asked, np.clip(1 - errors["add"] / AUC_LIMIT, 0, 1))
    known = np.isfinite(errors["keypoints"])
    ratios["mean_keypoints"] = parts(asked[known], errors["keypoints"][known])
    said = mine & judgements.is_estimate
    for field, outcome in (("absent_rate", Outcome.ABSENT), ("wrong_rate", Outcome.WRONG)):
        ratios[field] = parts(rows["frame"][said], judgements.has(outcome)[said])
    masked = about(judgements, masks, name)
    ratios["mean_mask_iou"] = parts(masks["frame"][masked], masks["iou"][masked])
    medians = {}
    for field, measure in MEDIANS.items():
        order = np.argsort(errors[measure])[: np.count_nonzero(np.isfinite(errors[measure]))]
        medians[field] = (errors[measure][order], asked[order])
    return FrameSums(ratios, medians)


def _draws(frames: int, resamples: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """(F, B) how often each frame was drawn, in batches that fit into memory."""
    size = max(1, BATCH // max(frames, 1))
    for start in range(0, resamples, size):
        counts = np.empty((frames, min(size, resamples - start)))
        for column in counts.T:
            if frames:
                column[:] = np.bincount(rng.integers(frames, size=frames), minlength=frames)
        yield counts


def _measure(sums: FrameSums, counts: np.ndarray) -> dict[str, np.ndarray]:
    """Every figure for each of the (F, B) draws."""
    totals = np.concatenate(list(sums.parts.values()), axis=1).T @ counts
    with np.errstate(invalid="ignore"):  # 0 / 0: nothing relevant was drawn
        values = dict(zip(sums.parts, totals[::2] / totals[1::2], strict=True))
    return values | {field: _medians(*errors, counts) for field, errors in sums.errors.items()}


def _medians(errors: np.ndarray, frames: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """(B,) medians of (N,) sorted errors whose (N,) frames were drawn (F, B) times each.

    The medians of all draws lie close together, so only a window around the middle is looked at;
    it grows until it holds them all.
    """
    middle, reach = errors.size // 2, 50 + 4 * int(np.sqrt(errors.size))
    while errors.size:
        window = slice(max(0, middle - reach), middle + reach)
        weights = [np.bincount(f, minlength=len(counts)) for f in (frames[: window.start], frames)]
        before, total = np.array(weights, dtype=np.float64) @ counts
        ranks = before + np.cumsum(counts[frames[window]], axis=0)
        # The middle one, or the two in the middle, counted from zero among the errors drawn.
        wanted = np.stack([(total - 1) // 2, total // 2])
        if (((wanted >= before) & (wanted < ranks[-1])) | (total == 0)).all():
            index = np.array([np.count_nonzero(ranks <= rank, axis=0) for rank in wanted])
            index[:, total == 0] = 0
            return np.where(total > 0, errors[window][index].mean(axis=0), np.nan)
        reach *= 2
    return np.full(counts.shape[1], np.nan)

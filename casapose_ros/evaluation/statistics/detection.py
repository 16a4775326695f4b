"""Precision and recall of the poses, ranked by score, and their average precision.

Within an image and object, estimates choose in the order of their scores: each claims the nearest
free target whose ADD(-S) is below the threshold. Who finds one is a true positive, the others are
false positives. True objects that are too hidden to be targets are ignored as COCO ignores crowds:
an estimate that claims no target but lies on one of them is neither right nor wrong.

Average precision is the whole area under the interpolated precision-recall curve (Everingham et
al., IJCV 2015, without its sampling at eleven recalls). Estimates of equal score enter together,
so that their order does not matter.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from casapose_ros.evaluation.matching import CORRECT_BELOW, Match, rank
from casapose_ros.evaluation.summary import TOTAL

THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(1, 11))
"""ADD(-S) thresholds of the mean average precision, as fractions of the diameter."""
IGNORED_BELOW = max(THRESHOLDS)
"""An estimate lies on a hidden object if its ADD(-S) to it is below this many diameters."""


@dataclass(frozen=True)
class Curve:
    """Precision over recall while the lowest score that is accepted goes down.

    Attributes:
        recall: (P,) rising; one point per distinct score, highest first.
        precision: (P,) as it is, not interpolated.
        scores: (P,) lowest score accepted.
    """

    recall: np.ndarray
    precision: np.ndarray
    scores: np.ndarray

    @property
    def area(self) -> float:
        """Average precision: under the best precision at this or any higher recall."""
        best = np.maximum.accumulate(self.precision[::-1])[::-1]
        return float(np.sum(np.diff(self.recall, prepend=0) * best))


@dataclass(frozen=True)
class ObjectDetection:
    """How one object, or all, were detected.

    Attributes:
        name: The object's name, or ``TOTAL``.
        targets: True objects asked for.
        estimates: Estimates that are right or wrong at 10 % of the diameter.
        ignored: Estimates that are neither.
        precision: Right ones among the estimates at 10 %; NaN without any.
        recall: Targets found at 10 %; NaN without targets.
        average_precisions: (T,) one per threshold, NaN without targets; of ``TOTAL``, the means
            over the objects that have targets.
        curve: At 10 %; empty without targets. Of ``TOTAL``, all objects' estimates in one ranking.
    """

    name: str
    targets: int
    estimates: int
    ignored: int
    precision: float
    recall: float
    average_precisions: np.ndarray
    curve: Curve

    @property
    def average_precision(self) -> float:
        """At 10 % of the diameter."""
        return float(self.average_precisions[THRESHOLDS.index(CORRECT_BELOW)])

    @property
    def mean_average_precision(self) -> float:
        """Mean over all thresholds."""
        return float(np.mean(self.average_precisions))


@dataclass(frozen=True)
class Detection:
    """How all objects were detected.

    Attributes:
        thresholds: (T,) of ADD(-S), fractions of the diameter.
        objects: In the order of the model's objects, the total last.
    """

    thresholds: tuple[float, ...]
    objects: tuple[ObjectDetection, ...]

    @property
    def total(self) -> ObjectDetection:
        """All objects together."""
        return self.objects[-1]


@dataclass(frozen=True)
class _Ranking:
    """Estimates that count, in any order: (N,) scores and (N,) whether each is right."""

    scores: np.ndarray
    right: np.ndarray


def detect(matches: Sequence[Match], names: Sequence[str], min_visibility: float) -> Detection:
    """Rank the estimates of every object by score and see how many are right.

    Args:
        matches: Of all images, as :func:`~casapose_ros.evaluation.matching.match_frame` makes them.
        names: All objects of the model.
        min_visibility: Visible fraction from which a true object is a target.
    """
    objects, pooled = [], []
    for name in names:
        mine = [m for m in matches if m.name == name]
        targets = sum(m.is_target(min_visibility) for m in mine)
        images = _by_image(mine)
        rankings = [_rank(images, min_visibility, threshold) for threshold in THRESHOLDS]
        at_10 = rankings[THRESHOLDS.index(CORRECT_BELOW)]
        areas = np.array([_curve(r, targets).area if targets else np.nan for r in rankings])
        ignored = sum(m.is_estimate for m in mine) - len(at_10.scores)
        objects.append(_describe(name, targets, ignored, at_10, areas))
        pooled.append(at_10)
    every = _Ranking(
        np.concatenate([np.zeros(0), *(ranking.scores for ranking in pooled)]),
        np.concatenate([np.zeros(0, dtype=bool), *(ranking.right for ranking in pooled)]),
    )
    known = [o.average_precisions for o in objects if o.targets]
    means = np.mean(known, axis=0) if known else np.full(len(THRESHOLDS), np.nan)
    targets, ignored = (sum(getattr(o, count) for o in objects) for count in ("targets", "ignored"))
    total = _describe(TOTAL, targets, ignored, every, means)
    return Detection(THRESHOLDS, (*objects, total))


def _describe(
    name: str, targets: int, ignored: int, at_10: _Ranking, average_precisions: np.ndarray
) -> ObjectDetection:
    right, estimates = int(at_10.right.sum()), len(at_10.right)
    return ObjectDetection(
        name=name,
        targets=targets,
        estimates=estimates,
        ignored=ignored,
        precision=right / estimates if estimates else float("nan"),
        recall=right / targets if targets else float("nan"),
        average_precisions=average_precisions,
        curve=_curve(at_10, targets),
    )


def _by_image(matches: Sequence[Match]) -> list[list[Match]]:
    images = defaultdict(list)
    for match in matches:
        if match.is_estimate and match.truth is not None and match.truth not in match.candidates:
            raise ValueError(f"{match.frame}: a match of {match.name} without its candidates")
        images[match.frame].append(match)
    return list(images.values())


def _rank(images: Sequence[Sequence[Match]], min_visibility: float, threshold: float) -> _Ranking:
    """What is right at a threshold, of one object."""
    scores, right = [], []
    for image in images:
        # Every true object is in one match, of an estimate or as missed.
        free = {m.truth for m in image if m.is_target(min_visibility)}
        hidden = {m.truth for m in image if m.truth is not None} - free
        estimates = [m for m in image if m.is_estimate]
        for estimate in sorted(estimates, key=lambda m: rank(m.score)):
            errors = estimate.candidates
            near = [truth for truth in free if errors[truth] < threshold]
            if near:
                free.remove(min(near, key=errors.__getitem__))
            elif any(errors[truth] < IGNORED_BELOW for truth in hidden):
                continue
            scores.append(-rank(estimate.score))
            right.append(bool(near))
    return _Ranking(np.array(scores, dtype=np.float64), np.array(right, dtype=bool))


def _curve(ranking: _Ranking, targets: int) -> Curve:
    if not targets or not len(ranking.scores):
        return Curve(*np.zeros((3, 0)))
    order = np.argsort(-ranking.scores, kind="stable")
    scores, found = ranking.scores[order], np.cumsum(ranking.right[order])
    last = np.flatnonzero(np.append(scores[1:] != scores[:-1], True))
    return Curve(found[last] / targets, found[last] / (last + 1), scores[last])

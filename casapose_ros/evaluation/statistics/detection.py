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

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import groupby

import numpy as np

from casapose_ros.evaluation.judgements import Judgements
from casapose_ros.evaluation.matching import CORRECT_BELOW, rank
from casapose_ros.evaluation.summary import TOTAL, about

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


@dataclass(frozen=True)
class _Image:
    """One object in one image.

    Attributes:
        targets: Places of the true objects that are asked for.
        hidden: Places of those too hidden for that.
        scores: Of the estimates, best first.
        errors: ADD(-S) of each, in diameters, to every true object by its place.
    """

    targets: frozenset[int]
    hidden: frozenset[int]
    scores: list[float]
    errors: list[dict[int, float]]


class _Verdict(IntEnum):
    """What one estimate is at one threshold."""

    WRONG = 0
    RIGHT = 1
    IGNORED = 2


def detect(judgements: Judgements, names: Sequence[str], min_visibility: float) -> Detection:
    """Rank the estimates of every object by score and see how many are right.

    Args:
        judgements: Of all frames.
        names: All objects of the model.
        min_visibility: Visible fraction from which a true object is a target.

    Raises:
        ValueError: A match answers for a true object that is not among its candidates.
    """
    objects, pooled = [], []
    asked = judgements.is_target(min_visibility)
    for name in names:
        mine = about(judgements, judgements.rows, name)
        targets = int(np.count_nonzero(asked & mine))
        rankings = _rank(_images(judgements, name, min_visibility))
        at_10 = rankings[THRESHOLDS.index(CORRECT_BELOW)]
        areas = np.array([_curve(r, targets).area if targets else np.nan for r in rankings])
        said = int(np.count_nonzero(judgements.is_estimate & mine))
        objects.append(_describe(name, targets, said - len(at_10.scores), at_10, areas))
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


def _images(judgements: Judgements, name: str, min_visibility: float) -> Iterator[_Image]:
    """One object in every image that shows it or is said to."""
    for _, group in groupby(judgements.matches(name), key=lambda match: match.frame):
        image = list(group)
        for m in image:
            if m.is_estimate and m.truth is not None and m.truth not in m.candidates:
                raise ValueError(f"{m.frame}: a match of {name} without its candidates")
        # Every true object is in one match, of an estimate or as missed.
        targets = frozenset(m.truth for m in image if m.is_target(min_visibility))
        hidden = frozenset(m.truth for m in image if m.truth is not None) - targets
        estimates = sorted((m for m in image if m.is_estimate), key=lambda m: rank(m.score))
        scores = [-rank(m.score) for m in estimates]
        yield _Image(targets, hidden, scores, [m.candidates for m in estimates])


def _rank(images: Iterable[_Image]) -> list[_Ranking]:
    """What is right at each threshold, of one object."""
    scores, verdicts = array("d"), [bytearray() for _ in THRESHOLDS]
    for image in images:
        scores.extend(image.scores)
        for mine, threshold in zip(verdicts, THRESHOLDS, strict=True):
            mine += bytes(_judge(image, threshold))
    ranked, rankings = np.array(scores), []
    for mine in verdicts:
        verdict = np.frombuffer(mine, np.uint8)
        counts = verdict != _Verdict.IGNORED
        rankings.append(_Ranking(ranked[counts], verdict[counts] == _Verdict.RIGHT))
    return rankings


def _judge(image: _Image, threshold: float) -> Iterator[_Verdict]:
    """What the estimates of an image are, best score first."""
    free = set(image.targets)
    for errors in image.errors:
        near = [truth for truth in free if errors[truth] < threshold]
        if near:
            free.remove(min(near, key=errors.__getitem__))
            yield _Verdict.RIGHT
        elif any(errors[truth] < IGNORED_BELOW for truth in image.hidden):
            yield _Verdict.IGNORED
        else:
            yield _Verdict.WRONG


def _curve(ranking: _Ranking, targets: int) -> Curve:
    if not targets or not len(ranking.scores):
        return Curve(*np.zeros((3, 0)))
    order = np.argsort(-ranking.scores, kind="stable")
    scores, found = ranking.scores[order], np.cumsum(ranking.right[order])
    last = np.flatnonzero(np.append(scores[1:] != scores[:-1], True))
    return Curve(found[last] / targets, found[last] / (last + 1), scores[last])

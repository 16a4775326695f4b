"""What is said about two runs side by side."""

from __future__ import annotations

from dataclasses import dataclass

from casapose_ros.evaluation.reporting.tables import COLUMNS
from casapose_ros.evaluation.statistics.bootstrap import Interval


@dataclass(frozen=True)
class Figure:
    """Something that two runs are compared by.

    Attributes:
        key: Its short name, for options.
        title: Its heading, with the unit.
        more_is_better: Whether a higher value is better.
        factor: From the value to the unit shown.
        digits: After the decimal point.
    """

    key: str
    title: str
    more_is_better: bool
    factor: float
    digits: int


@dataclass(frozen=True)
class Change:
    """One figure before and after.

    Attributes:
        figure: Which.
        before: Of the first run, as in its ``Summary``; NaN where it is unknown.
        after: Of the second.
        interval: Of the difference, after less before; NaN where it is unknown.
        p_value: Probability of a difference at least as clear if there were none; NaN where it
            is not known.
        corrected: The same after Holm's correction for the number of figures: of the total's for
            the total, of all objects' together for an object.
    """

    figure: Figure
    before: float
    after: float
    interval: Interval
    p_value: float
    corrected: float = float("nan")

    @property
    def difference(self) -> float:
        """After less before."""
        return self.after - self.before

    @property
    def worsening(self) -> float:
        """By how much it got worse, in the unit shown; negative if it got better."""
        sign = -1 if self.figure.more_is_better else 1
        return sign * self.figure.factor * self.difference


@dataclass(frozen=True)
class ObjectChanges:
    """How one object, or all (``TOTAL``), fared.

    Attributes:
        name: The object.
        targets: True objects asked for, in both runs.
        changes: One per figure.
    """

    name: str
    targets: int
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class Comparison:
    """Two runs side by side.

    Attributes:
        before: The first run's title.
        after: The second's.
        data: What both were measured on.
        frames: Frames that both have; everything here is about them.
        left_out: Frames that only the first, only the second has.
        level: Of the intervals.
        objects: Per object, the total last.
        others: Figures of the reports that no test is made for; none where the frames differ.
        worse: Frames with fewer correct targets than before, worst first, with that number.
        better: Frames with more, likewise.
    """

    before: str
    after: str
    data: tuple[str, ...]
    frames: int
    left_out: tuple[int, int]
    level: float
    objects: tuple[ObjectChanges, ...]
    others: tuple[Change, ...]
    worse: tuple[tuple[str, int], ...]
    better: tuple[tuple[str, int], ...]

    @property
    def total(self) -> ObjectChanges:
        """All objects together."""
        return self.objects[-1]


def _figure(measure: str, key: str, more_is_better: bool) -> Figure:
    """A figure of ``Summary`` as the report's table shows it."""
    column = next(column for column in COLUMNS if column.measure == measure)
    return Figure(key, column.title, more_is_better, column.factor, column.digits)


MEASURES = {
    measure: _figure(measure, key, more_is_better)
    for measure, key, more_is_better in (
        ("recall_add_10", "add", True),
        ("recall_add_20", "add20", True),
        ("auc_add", "auc", True),
        ("recall_projection", "2dp", True),
        ("recall_5cm_5deg", "5cm5deg", True),
        ("median_rotation", "rotation", False),
        ("median_translation", "translation", False),
        ("median_keypoints", "keypoints", False),
        ("mean_mask_iou", "iou", True),
        ("wrong_rate", "wrong", False),
        ("absent_rate", "absent", False),
    )
}
"""Figures of ``Summary`` that are compared and tested."""
SHARES_OF_ESTIMATES = ("wrong_rate", "absent_rate")
"""Those whose denominator is the model's own choice."""
AVERAGE_RECALL = Figure("ar", "BOP AR", True, 100, 1)
MEAN_AVERAGE_PRECISION = Figure("map", "mAP", True, 100, 1)
CALIBRATION_ERROR = Figure("ece", "ECE", False, 1, 3)
TIME = Figure("time", "ms per image", False, 1000, 0)
OTHERS = (AVERAGE_RECALL, MEAN_AVERAGE_PRECISION, CALIBRATION_ERROR, TIME)
"""Figures of whole reports, which are compared but not tested."""
FIGURES = {figure.key: figure for figure in (*MEASURES.values(), *OTHERS)}
"""Everything that two runs are compared by."""

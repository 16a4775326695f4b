"""From single matches to the figures of a report: per object and in total."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from casapose_ros.evaluation import metrics
from casapose_ros.evaluation.judgements import Judgements
from casapose_ros.evaluation.matching import Outcome

AUC_LIMIT = 0.1
"""Upper end of the ADD(-S) curve whose area is reported, metres (PoseCNN)."""
TOTAL = "all"
"""Name of the summary over all objects."""
RECALLS = {
    "recall_add_10": ("add_relative", 0.1),
    "recall_add_20": ("add_relative", 0.2),
    "recall_projection": ("projection", 5.0),
    "recall_5cm_5deg": ("five_five", 1.0),
}
"""Fields of :class:`Summary` that are recalls: of which error, below which threshold."""
MEDIANS = {
    "median_rotation": "rotation",
    "median_translation": "translation",
    "median_keypoints": "keypoints",
}
"""Fields that are medians, and of which error."""


@dataclass(frozen=True)
class Summary:
    """How one object, or all together, fared.

    Recalls are over the targets: true objects that show enough of themselves. Medians and means
    are over the targets that have an estimate, and NaN without any.

    Attributes:
        name: The object's name, or ``TOTAL``.
        targets: True objects asked for.
        found: Targets with an estimate, right or wrong.
        recall_add_10: Fraction with ADD(-S) below 10 % of the diameter.
        recall_add_20: Fraction with ADD(-S) below 20 % of the diameter.
        auc_add: Area under the ADD(-S) recall curve up to 0.1 m, 0..1.
        recall_projection: Fraction with a 2D projection error below 5 px.
        recall_5cm_5deg: Fraction with translation below 5 cm and rotation below 5 degrees.
        median_rotation: Degrees.
        median_translation: Metres.
        mean_keypoints: Px.
        median_keypoints: Px.
        mean_mask_iou: Over the targets, 0..1; NaN where masks are unknown.
        estimates: What the model said, whatever the visibility of the object.
        correct: Estimates with ADD(-S) below 10 % of the diameter.
        wrong: Estimates of an object that is in the image, with another pose.
        absent: Estimates of an object that is not in the image.
    """

    name: str
    targets: int
    found: int
    recall_add_10: float
    recall_add_20: float
    auc_add: float
    recall_projection: float
    recall_5cm_5deg: float
    median_rotation: float
    median_translation: float
    mean_keypoints: float
    median_keypoints: float
    mean_mask_iou: float
    estimates: int
    correct: int
    wrong: int
    absent: int

    @property
    def absent_rate(self) -> float:
        """Estimates of absent objects per estimate: the false positives of the project's bar.

        NaN without estimates.
        """
        return self.absent / self.estimates if self.estimates else float("nan")

    @property
    def wrong_rate(self) -> float:
        """Estimates with a wrong pose of a present object per estimate; NaN without estimates."""
        return self.wrong / self.estimates if self.estimates else float("nan")


def summarise(judgements: Judgements, names: Sequence[str], min_visibility: float) -> list[Summary]:
    """One summary per object in the order of ``names``, and the total at the end.

    Args:
        judgements: Of all frames.
        names: All objects of the model, also those that no image shows.
        min_visibility: Visible fraction from which a true object is a target.
    """
    return [_summarise(judgements, name, min_visibility) for name in (*names, TOTAL)]


def about(judgements: Judgements, table: np.ndarray, name: str) -> np.ndarray:
    """(N,) bool, which rows of matches or masks are about an object; all of them for ``TOTAL``."""
    if name == TOTAL:
        return np.full(len(table), True)
    return table["object"] == judgements.place(name)


def target_errors(
    judgements: Judgements, min_visibility: float, measure: str, name: str = TOTAL
) -> np.ndarray:
    """(N,) one error per target, infinite where it was missed.

    Args:
        judgements: Of all frames.
        min_visibility: Visible fraction from which a true object is a target.
        measure: A field of ``PoseErrors``, or ``five_five``, which is below 1 where the translation
            error is below 5 cm and the rotation error below 5 degrees.
        name: Of which object.
    """
    rows = judgements.rows
    targets = judgements.is_target(min_visibility) & about(judgements, rows, name)
    if measure == "five_five":
        return np.maximum(rows["translation"][targets] / 0.05, rows["rotation"][targets] / 5)
    return rows[measure][targets]


def _summarise(judgements: Judgements, name: str, min_visibility: float) -> Summary:
    def errors(measure: str) -> np.ndarray:
        return target_errors(judgements, min_visibility, measure, name)

    def count(which: np.ndarray) -> int:
        return int(np.count_nonzero(which & mine))

    mine = about(judgements, judgements.rows, name)
    targets, said = judgements.is_target(min_visibility), judgements.is_estimate
    masks = judgements.masks
    return Summary(
        name=name,
        targets=count(targets),
        found=count(targets & said),
        **{field: metrics.recall(errors(e), limit) for field, (e, limit) in RECALLS.items()},
        auc_add=metrics.recall_auc(errors("add"), AUC_LIMIT),
        **{field: _finite(np.median, errors(e)) for field, e in MEDIANS.items()},
        mean_keypoints=_finite(np.mean, errors("keypoints")),
        mean_mask_iou=_finite(np.mean, masks["iou"][about(judgements, masks, name)]),
        estimates=count(said),
        correct=count(judgements.has(Outcome.CORRECT)),
        wrong=count(judgements.has(Outcome.WRONG)),
        absent=count(judgements.has(Outcome.ABSENT)),
    )


def _finite(statistic, values: np.ndarray) -> float:
    values = values[np.isfinite(values)]
    return float(statistic(values)) if values.size else float("nan")

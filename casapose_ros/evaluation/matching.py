"""Which estimate answers for which true object, and what becomes of the others.

Within one image and object, estimates choose in order of their score: first those that are right
claim the true pose they fit, then the others the nearest one left, so that their errors count too.
An estimate that is no pose at all (NaN, or not a rotation) is wrong and answers for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from casapose_ros import geometry
from casapose_ros.errors import DatasetError
from casapose_ros.evaluation import metrics
from casapose_ros.evaluation.deviation import Deviation, deviation
from casapose_ros.evaluation.symmetries import nearest_equivalent, symmetry_transforms
from casapose_ros.types import CameraModel, ObjectModel, ObjectPose

CORRECT_BELOW = 0.1
"""A pose is correct if its ADD(-S) is below this fraction of the object's diameter."""
ABSENT_BELOW = 0.05
"""An object that shows less than this fraction of itself counts as not in the image."""


class Outcome(Enum):
    """What became of one estimate or of one true object without an estimate."""

    CORRECT = "correct"
    WRONG = "wrong"  # The object is in the image, but not there: false positive, wrong pose.
    ABSENT = "absent"  # The object is not in the image at all: false positive.
    MISSED = "missed"  # No estimate for this true object: false negative.


@dataclass(frozen=True)
class Reference:
    """One object as the metrics need it.

    Attributes:
        model: The object.
        points: (N, 3) float64 points of its surface, metres.
        transforms: (S, 4, 4) equivalent poses, from ``symmetry_transforms``.
    """

    model: ObjectModel
    points: np.ndarray
    transforms: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "transforms", symmetry_transforms(self.model.symmetries))


@dataclass(frozen=True)
class TrueObject:
    """One true object of an image.

    Attributes:
        name: The object's name.
        R_cam_obj: (3, 3) rotation.
        t_cam_obj: (3,) metres.
        visibility: Visible fraction of its silhouette, 0..1.

    Raises:
        DatasetError: The pose is none (see :func:`is_pose`), or the visibility is no number.
    """

    name: str
    R_cam_obj: np.ndarray
    t_cam_obj: np.ndarray
    visibility: float

    def __post_init__(self) -> None:
        if not is_pose(self.R_cam_obj, self.t_cam_obj) or not np.isfinite(self.visibility):
            raise DatasetError(
                f"the ground truth of {self.name} is no pose: "
                f"R = {np.asarray(self.R_cam_obj).tolist()}, "
                f"t = {np.asarray(self.t_cam_obj).tolist()}, visibility {self.visibility}"
            )


@dataclass(frozen=True)
class PoseErrors:
    """Errors of one estimate against the true pose it answers for; infinite where there is none.

    For symmetric objects all but ADD-S are against the nearest equivalent true pose.

    Attributes:
        add: ADD, or ADD-S for a symmetric object, in metres.
        add_relative: The same as a fraction of the object's diameter.
        projection: Mean distance of projected points, px.
        rotation: Degrees.
        translation: Metres.
        keypoints: Mean distance of the nine 2D keypoints, px.
    """

    add: float = np.inf
    add_relative: float = np.inf
    projection: float = np.inf
    rotation: float = np.inf
    translation: float = np.inf
    keypoints: float = np.inf


@dataclass(frozen=True)
class Match:
    """One estimate, or one true object that was missed.

    Attributes:
        frame: Name of the image, for example ``000002/000031``.
        name: The object's name.
        outcome: See :class:`Outcome`.
        score: The estimate's score; None for a missed object.
        visibility: Visible fraction of the true object; None for an estimate without one.
        errors: See :class:`PoseErrors`.
        truth: Which of the image's true objects it is, as an index; None for an estimate
            without one.
        candidates: ADD(-S) as a fraction of the diameter to every true object of this name in the
            image, by index; empty for a missed object.
        deviation: The errors in units of the estimate's covariances; None without a true object.
        pose: The estimate; None for a missed object, and where the figures alone were kept.
    """

    frame: str
    name: str
    outcome: Outcome
    score: float | None
    visibility: float | None
    errors: PoseErrors
    truth: int | None = None
    candidates: dict[int, float] = field(default_factory=dict)
    deviation: Deviation | None = None
    pose: ObjectPose | None = None

    @property
    def is_estimate(self) -> bool:
        """Whether the model said something here."""
        return self.outcome is not Outcome.MISSED

    def is_target(self, min_visibility: float) -> bool:
        """Whether a true object is behind this that shows enough of itself to be asked for."""
        return self.visibility is not None and self.visibility >= min_visibility


@dataclass(frozen=True)
class Judgement:
    """What became of one frame.

    Attributes:
        matches: Every estimate and every missed object.
        mask_ious: Intersection over union of the masks, by name, of the objects asked for.
    """

    matches: list[Match]
    mask_ious: dict[str, float]


def match_frame(
    frame: str,
    estimates: Sequence[ObjectPose],
    truths: Sequence[TrueObject],
    references: dict[str, Reference],
    camera: CameraModel,
) -> list[Match]:
    """Match the estimates of one image to its true objects.

    Args:
        frame: Name of the image.
        estimates: What the model found, in any order.
        truths: What is in the image, however little of it is visible.
        references: By name, every object that the model knows; others are not asked for.
        camera: The camera of the image.

    Returns:
        One match per estimate and per true object without an estimate.

    Raises:
        KeyError: An estimate's object is not among the references.
    """
    asked_for = {t.name for t in truths}.intersection(references)
    matches = []
    for name in sorted(asked_for.union(e.name for e in estimates)):
        mine = sorted((e for e in estimates if e.name == name), key=lambda e: rank(e.score))
        true = {i: t for i, t in enumerate(truths) if t.name == name}
        matches += _match_object(frame, mine, true, references[name], camera)
    return matches


def rank(score: float) -> float:
    """Sorts the best score first, and one that is no number last."""
    return np.inf if np.isnan(score) else -score


def is_pose(R_cam_obj: np.ndarray, t_cam_obj: np.ndarray) -> bool:
    """Whether these are a (3, 3) rotation and a (3,) translation, up to rounding."""
    R, t = np.asarray(R_cam_obj), np.asarray(t_cam_obj)
    return R.shape == (3, 3) and t.size == 3 and bool(geometry.are_poses(R, t.reshape(3)))


def _match_object(
    frame: str,
    estimates: list[ObjectPose],
    truths: dict[int, TrueObject],
    reference: Reference,
    camera: CameraModel,
) -> list[Match]:
    """Match the estimates of one object, best score first, to its true poses by index."""
    name = reference.model.name
    candidates = [
        {i: _add(e, t, reference) / reference.model.diameter for i, t in truths.items()}
        for e in estimates
    ]
    pairs = _pair(candidates, set(truths))
    present = any(t.visibility >= ABSENT_BELOW for t in truths.values())
    matches = []
    for index, estimate in enumerate(estimates):
        truth, errors, fit, visibility = pairs.get(index), PoseErrors(), None, None
        if truth is not None:
            errors, fit = _compare(estimate, truths[truth], reference, camera)
            visibility = truths[truth].visibility
        outcome = Outcome.WRONG if present else Outcome.ABSENT
        if errors.add_relative < CORRECT_BELOW:
            outcome = Outcome.CORRECT
        found = (errors, truth, candidates[index], fit, estimate)
        matches.append(Match(frame, name, outcome, estimate.score, visibility, *found))
    for index in sorted(set(truths) - set(pairs.values())):
        visibility = truths[index].visibility
        matches.append(Match(frame, name, Outcome.MISSED, None, visibility, PoseErrors(), index))
    return matches


def _pair(candidates: list[dict[int, float]], free: set[int]) -> dict[int, int]:
    """The true object for each estimate that has one; errors in diameters."""
    pairs: dict[int, int] = {}
    free = set(free)
    for limit in (CORRECT_BELOW, np.inf):
        for estimate, errors in enumerate(candidates):
            if estimate in pairs or not free:
                continue
            nearest = min(sorted(free), key=errors.__getitem__)
            if errors[nearest] < limit:
                pairs[estimate] = nearest
                free.remove(nearest)
    return pairs


def _compare(
    estimate: ObjectPose, truth: TrueObject, reference: Reference, camera: CameraModel
) -> tuple[PoseErrors, Deviation]:
    """All errors of one estimate against one true pose."""
    R_est, t_est = estimate.R_cam_obj, estimate.t_cam_obj
    add = _add(estimate, truth, reference)
    R_gt, t_gt = nearest_equivalent(R_est, truth.R_cam_obj, truth.t_cam_obj, reference.transforms)
    points, model = reference.points, reference.model
    keypoints_gt = geometry.project(model.keypoints, R_gt, t_gt, camera)
    errors = PoseErrors(
        add=add,
        add_relative=add / model.diameter,
        projection=metrics.projection_error(R_est, t_est, R_gt, t_gt, points, camera),
        rotation=metrics.rotation_error(R_est, R_gt),
        translation=metrics.translation_error(t_est, t_gt),
        keypoints=metrics.keypoint_error(estimate.keypoints, keypoints_gt),
    )
    return errors, deviation(estimate, R_gt, t_gt, keypoints_gt, model.symmetries)


def _add(estimate: ObjectPose, truth: TrueObject, reference: Reference) -> float:
    """ADD(-S) in metres; infinite for what is no pose."""
    R_est, t_est = estimate.R_cam_obj, estimate.t_cam_obj
    if not is_pose(R_est, t_est):
        return float("inf")
    error = metrics.adds_error if reference.model.symmetries.any else metrics.add_error
    return error(R_est, t_est, truth.R_cam_obj, truth.t_cam_obj, reference.points)

"""What the estimates really lie on: true objects against the names they were given.

A correct estimate lies on the true object it answers for. Any other lies on a true object if its
centre falls into the circle around that object's projected centre whose radius is half the object's
diameter as it appears there. Within an image the estimates choose by score, each true object is
taken once, one of the estimate's own name goes before others, and the nearest (in radii) before
those further away. So every target and every estimate is counted exactly once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from casapose_ros import geometry
from casapose_ros.evaluation.matching import (
    Match,
    Outcome,
    Reference,
    TrueObject,
    is_pose,
    rank,
)
from casapose_ros.types import CameraModel, ObjectPose

NONE = "none"
"""Row of the estimates that lie on no true object that the model knows."""
MISSED = "missed"
"""Column of the targets that no estimate lies on."""

JudgedFrame = tuple[Sequence[Match], Sequence[TrueObject], CameraModel]
"""The matches of an image, its true objects, and its camera."""


@dataclass(frozen=True)
class Confusion:
    """How often a true object (row) was called something (column).

    Attributes:
        names: The K objects.
        counts: (K + 1, K + 1) int; the last row is ``NONE``, the last column ``MISSED``. A row adds
            up to the object's targets, a column and what is ignored to its estimates.
        ignored: (K,) int, estimates that lie on a true object too hidden to be a target.
    """

    names: tuple[str, ...]
    counts: np.ndarray
    ignored: np.ndarray

    @property
    def rows(self) -> tuple[str, ...]:
        """What is true."""
        return (*self.names, NONE)

    @property
    def columns(self) -> tuple[str, ...]:
        """What was said."""
        return (*self.names, MISSED)

    def __add__(self, other: Confusion) -> Confusion:
        """Over the frames of both."""
        return Confusion(self.names, self.counts + other.counts, self.ignored + other.ignored)


def confusion(
    frames: Iterable[JudgedFrame],
    references: Mapping[str, Reference],
    names: Sequence[str],
    min_visibility: float,
) -> Confusion:
    """Count what the estimates of all frames lie on.

    Args:
        frames: Matches, true objects and camera of each image; the matches as
            :func:`~casapose_ros.evaluation.matching.match_frame` makes them.
        references: By name, all objects of the model.
        names: The same, in the order of the rows.
        min_visibility: Visible fraction from which a true object is a target.
    """
    place = {name: index for index, name in enumerate(names)}
    size = len(place)
    counts, ignored = np.zeros((size + 1, size + 1), dtype=int), np.zeros(size, dtype=int)
    for matches, truths, camera in frames:
        estimates = [match for match in matches if match.is_estimate]
        lies_on = _lies_on(estimates, truths, references, camera)
        for estimate, truth in zip(estimates, lies_on, strict=True):
            column = place[estimate.name]
            if truth is None:
                counts[size, column] += 1
            elif truths[truth].visibility < min_visibility:
                ignored[column] += 1
            else:
                counts[place[truths[truth].name], column] += 1
        for index, truth in enumerate(truths):
            asked_for = truth.name in place and truth.visibility >= min_visibility
            if asked_for and index not in lies_on:
                counts[place[truth.name], size] += 1
    return Confusion(tuple(names), counts, ignored)


def _lies_on(
    estimates: Sequence[Match],
    truths: Sequence[TrueObject],
    references: Mapping[str, Reference],
    camera: CameraModel,
) -> list[int | None]:
    """Index of the true object under each estimate."""
    result = [m.truth if m.outcome is Outcome.CORRECT else None for m in estimates]
    known = [i for i, truth in enumerate(truths) if truth.name in references]
    circles = {i: _circle(truths[i], references, camera) for i in known if i not in result}
    others = [i for i, m in enumerate(estimates) if m.outcome is not Outcome.CORRECT]
    for index in sorted(others, key=lambda i: rank(estimates[i].score)):
        name = estimates[index].name
        centre, _ = _circle(estimates[index].pose, references, camera)
        choices = []
        for truth, (true_centre, radius) in circles.items():
            distance = np.linalg.norm(centre - true_centre) / radius
            if distance < 1:  # and not NaN
                choices.append((truths[truth].name != name, distance, truth))
        if choices:
            result[index] = min(choices)[-1]
            del circles[result[index]]
    return result


def _circle(
    posed: TrueObject | ObjectPose, references: Mapping[str, Reference], camera: CameraModel
) -> tuple[np.ndarray, float]:
    """Projected centre (2,) px and radius in px; NaN for what the camera cannot see."""
    model, R, t = references[posed.name].model, posed.R_cam_obj, posed.t_cam_obj
    if not is_pose(R, t):
        return np.full(2, np.nan), np.nan
    centre = model.keypoints[:1]
    depth = geometry.transform(R, t, centre)[0, 2]
    if depth <= 0:
        return np.full(2, np.nan), np.nan
    focal_length = np.sqrt(camera.K[0, 0] * camera.K[1, 1])
    pixel = geometry.project(centre, R, t, camera)[0]
    return pixel, float(focal_length * model.diameter / 2 / depth)

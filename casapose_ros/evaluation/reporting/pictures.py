"""The frames that went worst, with truth and estimates drawn in (as in supplement Figs. 1-3)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import cv2
import numpy as np

from casapose_ros import geometry
from casapose_ros.evaluation.judgements import Judgements
from casapose_ros.evaluation.judging import Frame
from casapose_ros.evaluation.matching import ABSENT_BELOW, Judgement, Match, Outcome, Reference
from casapose_ros.types import CameraModel

TRUTH, RIGHT, WRONG = (40, 110, 255), (40, 220, 40), (255, 40, 40)
BOX_EDGES = [(a, b) for a, b in itertools.combinations(range(8), 2) if (a ^ b).bit_count() == 1]


@dataclass(frozen=True)
class Picture:
    """A frame to show.

    Attributes:
        frame: Its name.
        caption: What there is to see.
        image: (H, W, 3) uint8 RGB.
    """

    frame: str
    caption: str
    image: np.ndarray


def worst_frames(judgements: Judgements, min_visibility: float, count: int = 10) -> list[int]:
    """Places of the frames with most mistakes, worst first; fewer where fewer have any.

    Among frames with as many mistakes, those with the larger errors come first.
    """
    rows = judgements.rows
    missed = judgements.has(Outcome.MISSED) & judgements.is_target(min_visibility)
    mistakes = missed | (judgements.is_estimate & ~judgements.has(Outcome.CORRECT))
    frames, errors = rows["frame"][mistakes], rows["add_relative"][mistakes]
    counts = np.bincount(frames, minlength=len(judgements))
    sizes = np.bincount(frames, weights=np.minimum(errors, 1.0), minlength=len(judgements))
    # Of equal ones, the first in the run.
    order = np.lexsort((np.arange(len(judgements)), -sizes, -counts))[:count]
    return [int(index) for index in order if counts[index] > 0]


def draw_judgement(
    frame: Frame, judgement: Judgement, references: dict[str, Reference]
) -> np.ndarray:
    """Boxes on the (H, W, 3) uint8 RGB image: truth blue, correct estimates green, others red.

    Wrong estimates come last and carry their name, as does the truth that no estimate is for:
    they are what the picture is about.
    """
    picture = frame.image.copy()
    camera, named = frame.camera, []
    for truth in frame.truths:
        if truth.visibility >= ABSENT_BELOW:
            pixels = _corners(references[truth.name], truth.R_cam_obj, truth.t_cam_obj, camera)
            _draw_box(picture, pixels, TRUTH)
            if all(m.pose is None for m in judgement.matches if m.name == truth.name):
                named.append((truth.name, pixels, TRUTH))
    for match in sorted(judgement.matches, key=lambda match: match.outcome is not Outcome.CORRECT):
        if match.pose is not None:
            pose, right = match.pose, match.outcome is Outcome.CORRECT
            pixels = _corners(references[match.name], pose.R_cam_obj, pose.t_cam_obj, camera)
            _draw_box(picture, pixels, RIGHT if right else WRONG)
            if not right:
                named.append((match.name, pixels, WRONG))
    for name, pixels, colour in named:
        _write(picture, name, pixels, colour)
    return picture


def caption(judgement: Judgement, min_visibility: float) -> str:
    """What went wrong in a frame, in words."""
    mistakes = [m for m in judgement.matches if _is_mistake(m, min_visibility)]
    return ", ".join(_describe(match) for match in mistakes)


def _is_mistake(match: Match, min_visibility: float) -> bool:
    if match.outcome is Outcome.MISSED:
        return match.is_target(min_visibility)
    return match.outcome is not Outcome.CORRECT


def _describe(match: Match) -> str:
    if match.outcome is Outcome.WRONG:
        if match.visibility is None:
            return f"{match.name} once too often"
        return f"{match.name} off by {100 * match.errors.add_relative:.0f} % of its diameter"
    return f"{match.name} {match.outcome.value}"


def _box(reference: Reference) -> np.ndarray:
    """(8, 3) corners in the object frame, metres."""
    sides = zip(reference.model.box_min, reference.model.box_max, strict=True)
    return np.array(list(itertools.product(*sides)))


def _corners(
    reference: Reference, R_cam_obj: np.ndarray, t_cam_obj: np.ndarray, camera: CameraModel
) -> np.ndarray | None:
    """(8, 2) px of the box's corners; None if one is behind the camera or not a number."""
    corners = _box(reference)
    if not np.all(geometry.transform(R_cam_obj, t_cam_obj, corners)[:, 2] > 0):
        return None
    pixels = geometry.project(corners, R_cam_obj, t_cam_obj, camera)
    # Far outside the image nothing is seen, and OpenCV's integers would overflow.
    return np.clip(pixels, -10 * camera.width, 10 * camera.width)


def _draw_box(picture: np.ndarray, pixels: np.ndarray | None, colour: tuple[int, int, int]) -> None:
    if pixels is None:
        return
    for a, b in BOX_EDGES:
        ends = (tuple(map(int, pixels[index])) for index in (a, b))
        cv2.line(picture, *ends, colour, max(2, picture.shape[1] // 320), cv2.LINE_AA)


def _write(
    picture: np.ndarray, name: str, pixels: np.ndarray | None, colour: tuple[int, int, int]
) -> None:
    """Write a name above a box, or as near to that as the image allows."""
    if pixels is None:
        return
    height, width = picture.shape[:2]
    scale, thickness = width / 1100, max(1, width // 640)
    (w, h), below = cv2.getTextSize(name, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)
    x = int(np.clip(pixels[:, 0].min(), 0, max(width - w, 0)))
    y = int(np.clip(pixels[:, 1].min() - below, h, max(height - below, h)))
    cv2.rectangle(picture, (x, y - h - 2), (x + w, y + below), (255, 255, 255), cv2.FILLED)
    text = (cv2.FONT_HERSHEY_SIMPLEX, scale, colour, thickness, cv2.LINE_AA)
    cv2.putText(picture, name, (x, y), *text)

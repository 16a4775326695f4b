"""The frames that went worst, with truth and estimates drawn in (as in supplement Figs. 1-3)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import cv2
import numpy as np

from casapose_ros import geometry
from casapose_ros.evaluation.judging import Frame
from casapose_ros.evaluation.matching import ABSENT_BELOW, Judgement, Match, Outcome, Reference
from casapose_ros.types import CameraModel

TRUTH, RIGHT, WRONG = (40, 110, 255), (40, 220, 40), (255, 40, 40)
BOX_EDGES = [(a, b) for a, b in itertools.combinations(range(8), 2) if (a ^ b).bit_count() == 1]


def worst_frames(
    judgements: Sequence[Judgement], min_visibility: float, count: int = 10
) -> list[int]:
    """Indices of the frames with most mistakes, worst first; fewer where fewer have any.

    Among frames with as many mistakes, those with the larger errors come first.
    """
    costs = []
    for judgement in judgements:
        mistakes = [m for m in judgement.matches if _is_mistake(m, min_visibility)]
        size = sum(min(m.errors.add_relative, 1.0) for m in mistakes)
        costs.append((len(mistakes), size))
    order = sorted(range(len(costs)), key=lambda index: costs[index], reverse=True)
    return [index for index in order[:count] if costs[index][0] > 0]


def draw_judgement(
    frame: Frame, judgement: Judgement, references: dict[str, Reference]
) -> np.ndarray:
    """Boxes on the (H, W, 3) uint8 RGB image: truth blue, correct estimates green, others red."""
    picture = frame.image.copy()
    for truth in frame.truths:
        if truth.visibility >= ABSENT_BELOW:
            box = _box(references[truth.name])
            _draw_box(picture, box, truth.R_cam_obj, truth.t_cam_obj, frame.camera, TRUTH)
    for match in judgement.matches:
        if match.pose is not None:
            colour = RIGHT if match.outcome is Outcome.CORRECT else WRONG
            box, pose = _box(references[match.name]), match.pose
            _draw_box(picture, box, pose.R_cam_obj, pose.t_cam_obj, frame.camera, colour)
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


def _draw_box(
    picture: np.ndarray,
    corners: np.ndarray,
    R_cam_obj: np.ndarray,
    t_cam_obj: np.ndarray,
    camera: CameraModel,
    colour: tuple[int, int, int],
) -> None:
    depths = geometry.transform(R_cam_obj, t_cam_obj, corners)[:, 2]
    if not np.all(depths > 0):  # behind the camera, or not a number
        return
    pixels = geometry.project(corners, R_cam_obj, t_cam_obj, camera)
    # Far outside the image nothing is seen, and OpenCV's integers would overflow.
    pixels = np.clip(pixels, -10 * camera.width, 10 * camera.width)
    for a, b in BOX_EDGES:
        ends = (tuple(map(int, pixels[index])) for index in (a, b))
        cv2.line(picture, *ends, colour, max(2, camera.width // 320), cv2.LINE_AA)

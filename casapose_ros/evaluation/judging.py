"""One image with its ground truth, and the judgement of what a model said about it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from casapose_ros.evaluation import metrics
from casapose_ros.evaluation.matching import Judgement, Reference, TrueObject, match_frame
from casapose_ros.types import CameraModel, Estimate


@dataclass(frozen=True)
class Frame:
    """One image of a data set.

    Attributes:
        name: For example ``000002/000031``.
        image: (H, W, 3) uint8 RGB.
        camera: The camera.
        truths: All true objects that the model knows.
        masks: By object name, (H, W) bool visible pixels of all its instances; without an
            object if the data set has no masks of it.
    """

    name: str
    image: np.ndarray
    camera: CameraModel
    truths: tuple[TrueObject, ...]
    masks: dict[str, np.ndarray]


def judge(
    frame: Frame, estimate: Estimate, references: dict[str, Reference], min_visibility: float
) -> Judgement:
    """Hold a model's answer against the truth.

    Args:
        frame: The image and its truth.
        estimate: The answer; its fields cover the whole image at any resolution.
        references: By name, every object that the model knows.
        min_visibility: Visible fraction from which a true object is asked for.
    """
    matches = match_frame(frame.name, estimate.objects, frame.truths, references, frame.camera)
    labels = estimate.fields.labels
    asked_for = {t.name for t in frame.truths if t.visibility >= min_visibility}
    ious = {}
    for name in sorted(asked_for.intersection(frame.masks)):
        mask = frame.masks[name].astype(np.uint8)
        mask = cv2.resize(mask, labels.shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
        ious[name] = metrics.mask_iou(labels == references[name].model.class_id, mask)
    return Judgement(matches, ious)

"""One image with its ground truth, and the judgement of what a model said about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from casapose_ros.evaluation import metrics
from casapose_ros.evaluation.matching import Judgement, Reference, TrueObject, match_frame
from casapose_ros.evaluation.records import FrameRecord
from casapose_ros.types import CameraModel, Estimate, ObjectModel


@dataclass(frozen=True)
class Frame:
    """One image of a data set.

    Attributes:
        name: Unique in a run, for example ``000002/000031``.
        image: (H, W, 3) uint8 RGB.
        camera: The camera.
        truths: All true objects that the model knows.
        masks: By object name, (H, W) bool visible pixels of all its instances; without an
            object if the data set has no masks of it.
        source: Where it is from: the data set's name, or the bag's path.
        scene_id: BOP's number of the scene; None elsewhere.
        image_id: BOP's number of the image; None elsewhere.
        stamp: Nanoseconds; None where images have none.
    """

    name: str
    image: np.ndarray
    camera: CameraModel
    truths: tuple[TrueObject, ...]
    masks: dict[str, np.ndarray] = field(default_factory=dict)
    source: str = ""
    scene_id: int | None = None
    image_id: int | None = None
    stamp: int | None = None


def observe(frame: Frame, estimate: Estimate, objects: Sequence[ObjectModel]) -> FrameRecord:
    """Keep what counts of a model's answer to a frame.

    Args:
        frame: The image and its truth.
        estimate: The answer; its fields cover the whole image at any resolution.
        objects: Every object that the model knows, class ids 1..K in order.
    """
    labels = estimate.fields.labels
    ious = {}
    for obj in objects:
        if obj.name in frame.masks:
            mask = frame.masks[obj.name].astype(np.uint8)
            mask = cv2.resize(mask, labels.shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
            ious[obj.name] = metrics.mask_iou(labels == obj.class_id, mask)
    return FrameRecord(
        name=frame.name,
        source=frame.source,
        camera=frame.camera,
        poses=tuple(estimate.objects),
        truths=frame.truths,
        mask_ious=ious,
        times=estimate.times,
        network_size=labels.shape[::-1],
        scene_id=frame.scene_id,
        image_id=frame.image_id,
        stamp=frame.stamp,
    )


def judge(
    record: FrameRecord, references: dict[str, Reference], min_visibility: float
) -> Judgement:
    """Hold a model's answer against the truth.

    Args:
        record: The answer and the truth.
        references: By name, every object that the model knows.
        min_visibility: Visible fraction from which a true object is asked for.
    """
    matches = match_frame(record.name, record.poses, record.truths, references, record.camera)
    asked_for = {t.name for t in record.truths if t.visibility >= min_visibility}
    ious = {name: iou for name, iou in record.mask_ious.items() if name in asked_for}
    return Judgement(matches, ious)

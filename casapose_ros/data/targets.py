"""What training aims at: an image's keypoints, for every pose in which an object looks the same."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping, Sequence

import cv2
import numpy as np

from casapose_ros.data.bop import GroundTruth
from casapose_ros.errors import ConfigError, DatasetError
from casapose_ros.geometry import project, symmetry_transforms
from casapose_ros.types import NUM_KEYPOINTS, CameraModel, ObjectModel

MAX_OBJECTS = 127
MAX_NUMBER = 255
"""Of an instance in a label map, which is uint8."""
CONTINUOUS_STEPS = 16
"""Rotations about a continuous axis: a target lies at most 11 degrees from the nearest of them."""


def present_values(labels: np.ndarray) -> np.ndarray:
    """What is in an (H, W) uint8 label map, without background, in ascending order."""
    # OpenCV's histogram lets other threads run, NumPy's does not.
    counts = cv2.calcHist([labels], [0], None, [256], [0, 256])
    return np.flatnonzero(counts[1:]) + 1


def main_instances(truths: Sequence[GroundTruth]) -> dict[int, int]:
    """Of each object the instance of which most is visible.

    Where the data set does not say how much that is, the nearest in front of the camera.

    Returns:
        Indices into ``truths`` by BOP id.
    """
    chosen: dict[int, int] = {}
    for index, truth in enumerate(truths):
        best = chosen.get(truth.bop_id)
        if best is None or _prominence(truth) > _prominence(truths[best]):
            chosen[truth.bop_id] = index
    return chosen


def _prominence(truth: GroundTruth) -> tuple[float, float]:
    distance = truth.t_cam_obj[2]
    return truth.px_count_visib or 0, -distance if distance > 0 else -math.inf


def further_instances(truths: Sequence[GroundTruth], known: Container[int]) -> list[int]:
    """Instances of known objects beside the main ones, without those that nothing is visible of.

    Args:
        truths: The objects in an image.
        known: BOP ids of the known ones.

    Returns:
        Indices into ``truths``, in their order.
    """
    main = main_instances(truths)
    return [
        index
        for index, truth in enumerate(truths)
        if truth.bop_id in known and main[truth.bop_id] != index and truth.px_count_visib != 0
    ]


def instance_numbers(truths: Sequence[GroundTruth], classes: Mapping[int, int]) -> dict[int, int]:
    """What label maps call the instances of K known objects.

    The main instance of class k has number k, further ones of whatever class K+1, K+2, ...

    Args:
        truths: The objects in an image.
        classes: Class ids 1..K by BOP id.

    Returns:
        Numbers by index into ``truths``.
    """
    numbers = {
        index: classes[bop_id]
        for bop_id, index in main_instances(truths).items()
        if bop_id in classes
    }
    further = enumerate(further_instances(truths, classes), start=len(classes) + 1)
    return numbers | {index: number for number, index in further}


class KeypointTargets:
    """Projects the keypoints of all instances of objects 1..K.

    Args:
        objects: The objects.
        symmetric: Give the keypoints of every equivalent pose; otherwise only the pose's own.
        further: Most instances in an image beside the main ones, E.

    Raises:
        ConfigError: More objects than a network is trained on.
        DatasetError: More instances than labels can tell apart.

    Attributes:
        candidates: (K, S, 9, 3) metres, object frame; an object that has fewer than S equivalent
            poses repeats its first.
    """

    def __init__(self, objects: Sequence[ObjectModel], symmetric: bool, further: int = 0):
        if len(objects) > MAX_OBJECTS:
            raise ConfigError(
                f"{len(objects)} objects: a network is trained on {MAX_OBJECTS} at most"
            )
        if len(objects) + further > MAX_NUMBER:
            raise DatasetError(
                f"an image shows {further} instances beside the first of each of {len(objects)} "
                f"objects: {MAX_NUMBER - len(objects)} at most can be told apart"
            )
        self.further = further
        parts = [_candidates(model, symmetric) for model in objects]
        count = max(len(part) for part in parts)
        self.candidates = np.stack([_padded(part, count) for part in parts])
        self._classes = {model.bop_id: row for row, model in enumerate(objects, start=1)}

    def project(
        self, truths: Sequence[GroundTruth], camera: CameraModel
    ) -> tuple[np.ndarray, np.ndarray]:
        """Keypoints and classes of the instances in an image.

        Returns:
            (K+E, S, 9, 2) float32 px, x then y, and (K+E,) uint8 class ids, in rows 0, 1, ... of
            instances 1, 2, ... as :func:`instance_numbers` calls them. Keypoints are NaN of what
            is not there, classes 1..K in the first K rows whatever is there, and else 0.
        """
        count, poses = self.candidates.shape[:2]
        rows = count + self.further
        found = np.full((rows, poses, NUM_KEYPOINTS, 2), np.nan, np.float32)
        classes = np.zeros(rows, np.uint8)
        classes[:count] = np.arange(1, count + 1)
        for index, number in instance_numbers(truths, self._classes).items():
            truth = truths[index]
            class_id = self._classes[truth.bop_id]
            points = self.candidates[class_id - 1].reshape(-1, 3)
            pixels = project(points, truth.R_cam_obj, truth.t_cam_obj, camera)
            found[number - 1] = pixels.reshape(found.shape[1:])
            classes[number - 1] = class_id
        return found, classes


def _candidates(model: ObjectModel, symmetric: bool) -> np.ndarray:
    """(S, 9, 3) keypoints of one object in its equivalent poses."""
    if not symmetric:
        return model.keypoints[None]
    transforms = symmetry_transforms(model.symmetries, CONTINUOUS_STEPS)
    return model.keypoints @ transforms[:, :3, :3].swapaxes(1, 2) + transforms[:, None, :3, 3]


def _padded(candidates: np.ndarray, count: int) -> np.ndarray:
    repeated = np.broadcast_to(candidates[:1], (count - len(candidates), NUM_KEYPOINTS, 3))
    return np.concatenate([candidates, repeated])

"""What training aims at: an image's keypoints, for every pose in which an object looks the same."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from casapose_ros.data.bop import GroundTruth
from casapose_ros.errors import ConfigError
from casapose_ros.geometry import project, symmetry_transforms
from casapose_ros.types import NUM_KEYPOINTS, CameraModel, ObjectModel

OTHER_INSTANCE = 128
"""Added to the class of pixels of an object's further instances. Their masks are learned like any
other, but the keypoints to learn are those of the instance of which most is visible."""
CONTINUOUS_STEPS = 16
"""Rotations about a continuous axis: a target lies at most 11 degrees from the nearest of them."""


def present_classes(labels: np.ndarray) -> np.ndarray:
    """Class ids in an (H, W) uint8 label map, without background, in ascending order."""
    # OpenCV's histogram lets other threads run, NumPy's does not.
    counts = cv2.calcHist([labels], [0], None, [256], [0, 256])
    return np.flatnonzero(counts[1:]) + 1


def main_instances(truths: Sequence[GroundTruth]) -> dict[int, int]:
    """Which instance of each object has the keypoints to learn: the one of which most is visible.

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


class KeypointTargets:
    """Projects the keypoints of objects 1..K.

    Args:
        objects: The objects.
        symmetric: Give the keypoints of every equivalent pose; otherwise only the pose's own.

    Raises:
        ConfigError: More objects than labels can tell apart.

    Attributes:
        candidates: (K, S, 9, 3) metres, object frame; an object that has fewer than S equivalent
            poses repeats its first.
    """

    def __init__(self, objects: Sequence[ObjectModel], symmetric: bool):
        if len(objects) >= OTHER_INSTANCE:
            raise ConfigError(
                f"{len(objects)} objects: a network is trained on {OTHER_INSTANCE - 1} at most"
            )
        parts = [_candidates(model, symmetric) for model in objects]
        count = max(len(part) for part in parts)
        self.candidates = np.stack([_padded(part, count) for part in parts])
        self._row = {model.bop_id: row for row, model in enumerate(objects)}

    def project(self, truths: Sequence[GroundTruth], camera: CameraModel) -> np.ndarray:
        """(K, S, 9, 2) float32 px, x then y, of the main instances; NaN for absent objects."""
        found = np.full((*self.candidates.shape[:3], 2), np.nan, np.float32)
        for bop_id, index in main_instances(truths).items():
            row, truth = self._row.get(bop_id), truths[index]
            if row is not None:
                points = self.candidates[row].reshape(-1, 3)
                pixels = project(points, truth.R_cam_obj, truth.t_cam_obj, camera)
                found[row] = pixels.reshape(found.shape[1:])
        return found


def _candidates(model: ObjectModel, symmetric: bool) -> np.ndarray:
    """(S, 9, 3) keypoints of one object in its equivalent poses."""
    if not symmetric:
        return model.keypoints[None]
    transforms = symmetry_transforms(model.symmetries, CONTINUOUS_STEPS)
    return model.keypoints @ transforms[:, :3, :3].swapaxes(1, 2) + transforms[:, None, :3, 3]


def _padded(candidates: np.ndarray, count: int) -> np.ndarray:
    repeated = np.broadcast_to(candidates[:1], (count - len(candidates), NUM_KEYPOINTS, 3))
    return np.concatenate([candidates, repeated])

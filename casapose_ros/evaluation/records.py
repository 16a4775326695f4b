"""What is known about a frame once a model has seen it, and its form in a file."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from casapose_ros.evaluation.matching import TrueObject
from casapose_ros.types import CameraModel, ObjectPose

SHAPES = {
    "K": (3, 3),
    "distortion": (-1,),
    "R_cam_obj": (3, 3),
    "t_cam_obj": (3,),
    "covariance": (6, 6),
    "keypoints": (-1, 2),
    "keypoint_covariances": (-1, 2, 2),
}
"""Arrays in a record; they are lists in the file, with null for what is not a number."""


@dataclass(frozen=True)
class FrameRecord:
    """One frame: what is in it, and what the model said about it.

    Attributes:
        name: Unique in the run, for example ``000002/000031``.
        source: Where it is from: the data set's name, or the bag's path.
        camera: The camera.
        poses: The estimates, best score first.
        truths: All true objects that the model knows, however little of them is visible.
        mask_ious: Overlap of the masks by object name; without what has no true mask.
        times: Seconds per stage.
        network_size: (width, height) px of the network's view of the image; None where estimates
            were read from a file.
        scene_id: BOP's number of the scene; None elsewhere.
        image_id: BOP's number of the image; None elsewhere.
        stamp: Nanoseconds; None where images have none.
    """

    name: str
    source: str
    camera: CameraModel
    poses: tuple[ObjectPose, ...]
    truths: tuple[TrueObject, ...]
    mask_ious: dict[str, float]
    times: dict[str, float]
    network_size: tuple[int, int] | None
    scene_id: int | None = None
    image_id: int | None = None
    stamp: int | None = None


def to_json(value: Any) -> Any:
    """Plain values; null for what is not finite, which JSON cannot hold."""
    if dataclasses.is_dataclass(value):
        fields = dataclasses.fields(value)
        return {f.name: to_json(getattr(value, f.name)) for f in fields}
    if isinstance(value, dict):
        return {key: to_json(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return to_json(value.ravel().tolist())
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    if isinstance(value, np.generic):
        return to_json(value.item())
    return None if isinstance(value, float) and not np.isfinite(value) else value


def record_from_json(values: dict[str, Any]) -> FrameRecord:
    """The inverse of :func:`to_json` for a record."""
    return FrameRecord(
        **values
        | {
            "camera": CameraModel(**_arrays(values["camera"])),
            "poses": tuple(pose_from_json(pose) for pose in values["poses"]),
            "truths": tuple(TrueObject(**_arrays(truth)) for truth in values["truths"]),
            "network_size": values["network_size"] and tuple(values["network_size"]),
        }
    )


def pose_from_json(values: dict[str, Any]) -> ObjectPose:
    """The inverse of :func:`to_json` for a pose."""
    values = _arrays(values)
    values["box"] = tuple(_number(value) for value in values["box"])
    for name in ("score", "reprojection_error"):
        values[name] = _number(values[name])
    return ObjectPose(**values)


def _arrays(values: dict[str, Any]) -> dict[str, Any]:
    """The same with arrays in place of lists."""
    return {
        key: np.array(value, dtype=np.float64).reshape(SHAPES[key]) if key in SHAPES else value
        for key, value in values.items()
    }


def _number(value: float | None) -> float:
    return float("nan") if value is None else value

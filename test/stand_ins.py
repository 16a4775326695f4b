"""A model and sources of frames that other processes can load, too."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

import numpy as np

from casapose_ros.errors import DatasetError
from casapose_ros.evaluation.judging import Frame
from casapose_ros.types import CameraModel, Estimate, Fields, ObjectModel, ObjectPose

CAMERA = CameraModel(np.array([[20.0, 0, 8], [0, 20, 8], [0, 0, 1]]), 16, 16)
OBJECT = ObjectModel("cube", 1, 1, np.zeros((9, 3)), 0.1, -np.ones(3) / 20, np.ones(3) / 20)


@dataclass(frozen=True)
class NumberedSource:
    """Frames whose pixels are the numbers of the source and of the frame.

    Attributes:
        number: Of the source.
        count: Frames.
        fails_at: Frame that cannot be read; None if all can.
        kills_at: Frame at which the process ends; None if it does not.
    """

    number: int
    count: int
    fails_at: int | None = None
    kills_at: int | None = None
    problems: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"source {self.number}"

    def __len__(self) -> int:
        return self.count

    def frames(self, done: Collection[str]) -> Iterator[Frame]:
        for index in range(self.count):
            name = f"{self.name}/{index}"
            if name in done:
                continue
            if index == self.fails_at:
                raise DatasetError(f"{name}: broken")
            if index == self.kills_at:
                os._exit(3)
            image = np.full((16, 16, 3), (self.number, index, 0), dtype=np.uint8)
            yield Frame(name, image, CAMERA, (), {}, self.name)
        self.problems.append(f"{self.name}: one problem")

    def find(self, names: Collection[str]) -> dict[str, Frame]:
        return {frame.name: frame for frame in self.frames(()) if frame.name in names}


class NumberedModel:
    """Finds one cube whose distance says which frame it saw."""

    objects = (OBJECT,)

    def run(self, image: np.ndarray, camera: CameraModel) -> Estimate:
        source, index, _ = image[0, 0].tolist()
        pose = ObjectPose(
            name="cube",
            class_id=1,
            instance_id=0,
            score=1 / 3,
            R_cam_obj=np.eye(3),
            t_cam_obj=np.array([source, index, 1 + index / 7]),
            covariance=np.eye(6) / 3,
            keypoints=np.full((9, 2), np.nan),
            keypoint_covariances=np.full((9, 2, 2), np.nan),
            box=(0.0, 0.0, 1.0, 1.0),
            visible_pixels=1,
            reprojection_error=0.1,
        )
        labels = np.zeros((16, 16), np.uint8)
        fields = Fields(np.zeros((16, 16, 2)), np.zeros((16, 16, 9, 2)), labels, labels)
        return Estimate([pose], fields, {"network": 0.1})


def load_numbered_model() -> NumberedModel:
    return NumberedModel()

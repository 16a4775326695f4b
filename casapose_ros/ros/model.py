"""The model that the node runs; kept apart because importing Keras takes seconds."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from casapose_ros.errors import BundleError
from casapose_ros.types import CameraModel, ObjectModel

if TYPE_CHECKING:
    from casapose_ros.estimator import PoseEstimator

WARM_UP = CameraModel(np.array([[600.0, 0, 320], [0, 600, 240], [0, 0, 1]]), 640, 480)


@dataclass(frozen=True)
class LoadedModel:
    """A model ready to run.

    Attributes:
        estimator: The model with the settings of its bundle.
        device: What it runs on, for example ``tensorflow gpu:0``.
    """

    estimator: PoseEstimator
    device: str

    @property
    def objects(self) -> dict[str, ObjectModel]:
        """The known objects by name."""
        return {obj.name: obj for obj in self.estimator.objects}


def load_model(path: str, device: str) -> LoadedModel:
    """Load a bundle onto a device.

    Args:
        path: The bundle's folder.
        device: ``auto``, or ``cpu`` to leave GPUs alone.

    Raises:
        BundleError: No folder is given, or the bundle cannot be used.
    """
    if not path:
        raise BundleError("no bundle is given: set the parameter model_path to a bundle's folder")
    if device == "cpu":
        # Only before Keras is imported for the first time: its backend looks at this once.
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    import keras

    from casapose_ros.estimator import PoseEstimator

    estimator = PoseEstimator.load(path)
    # The first image takes seconds, in which the network is compiled. Better now than later.
    estimator.run(np.zeros((WARM_UP.height, WARM_UP.width, 3), np.uint8), WARM_UP)
    devices = ", ".join(keras.distribution.list_devices())
    return LoadedModel(estimator, f"{keras.backend.backend()} {devices}")

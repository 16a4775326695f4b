"""The model that the node runs; kept apart because importing Keras takes seconds."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from casapose_ros.errors import BundleError
from casapose_ros.types import ObjectModel

if TYPE_CHECKING:
    from casapose_ros.estimator import PoseEstimator


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

    devices = ", ".join(keras.distribution.list_devices())
    return LoadedModel(PoseEstimator.load(path), f"{keras.backend.backend()} {devices}")

"""The parameters of ``casapose_node``."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass

from casapose_ros.errors import ConfigError
from casapose_ros.keypoints.components import COMPONENTS
from casapose_ros.ros.parameters import check_fields, parameter
from casapose_ros.settings import (
    KEYPOINT_METHODS,
    MAX_INSTANCES,
    PNP_METHODS,
    REFINEMENTS,
    EstimatorConfig,
)
from casapose_ros.types import NUM_KEYPOINTS

TF_PREFIX = re.compile(r"(?!/)[A-Za-z0-9_./-]*")


@dataclass(frozen=True)
class ModelParameters:
    """Which model runs where; fixed once the node has started."""

    model_path: str = parameter("", "Folder of the model bundle.", read_only=True)
    device: str = parameter(
        "auto",
        "Where the network runs; auto takes a GPU if there is one.",
        choices=("auto", "cpu"),
        read_only=True,
    )

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class NodeParameters:
    """What may be changed while the node runs.

    Those that the estimator has too start with the values in the model's bundle.
    """

    objects: tuple[str, ...] = parameter(
        (), "Names of the objects to report; [''] reports all that the model knows."
    )
    score_threshold: float = parameter(
        EstimatorConfig.score_threshold,
        "Poses with a lower score are not reported.",
        low=0.0,
        high=1.0,
    )
    min_pixels: int = parameter(
        EstimatorConfig.min_pixels,
        "Objects that show fewer pixels, scaled to a 640x480 image, are not reported.",
        low=1,
        high=640 * 480,
    )
    component: str = parameter(
        EstimatorConfig.component,
        "Which connected pixels speak for an object.",
        choices=tuple(COMPONENTS),
    )
    max_instances: int = parameter(
        EstimatorConfig.max_instances,
        "Largest number of instances of one object that are told apart.",
        low=1,
        high=MAX_INSTANCES,
    )
    keypoint_method: str = parameter(
        EstimatorConfig.keypoint_method,
        "Keypoints by regression (dkr) or voting (ransac).",
        choices=KEYPOINT_METHODS,
    )
    pnp: str = parameter(
        EstimatorConfig.pnp,
        "Poses from keypoints weighted by their covariances, or from all alike (iterative).",
        choices=PNP_METHODS,
    )
    refinement: str = parameter(
        EstimatorConfig.refinement,
        "What makes a pose better afterwards: its outline, which has to fit the mask, or nothing.",
        choices=REFINEMENTS,
    )
    max_image_age: float = parameter(
        2.0,
        "Images whose stamp is further from the present are dropped, in seconds; 0 takes all.",
        low=0.0,
        high=3600.0,
    )
    rectified: str = parameter(
        "auto",
        "Whether images are rectified, so that P counts instead of K and D; auto goes by the "
        "topic's name (rect, image_rect, rectified).",
        choices=("auto", "true", "false"),
    )
    publish_tf: bool = parameter(True, "Whether to send a transform per object to /tf.")
    tf_prefix: str = parameter("", "Put before an object's name to make its frame.")
    debug_keypoint: int = parameter(
        0,
        "Keypoint shown on ~/debug/vector_field and ~/debug/confidence.",
        low=0,
        high=NUM_KEYPOINTS - 1,
    )

    def __post_init__(self) -> None:
        check_fields(self)
        if not TF_PREFIX.fullmatch(self.tf_prefix):
            raise ConfigError(
                "tf_prefix may hold letters, digits and _ . / -, and no / in front; got "
                f"{self.tf_prefix!r}"
            )

    @classmethod
    def with_estimator(cls, config: EstimatorConfig) -> NodeParameters:
        """The defaults for a model with these settings."""
        return cls(**{name: getattr(config, name) for name in _ESTIMATOR_NAMES})

    def estimator(self, config: EstimatorConfig) -> EstimatorConfig:
        """A model's settings with these in place of its own."""
        own = {name: getattr(self, name) for name in _ESTIMATOR_NAMES}
        return dataclasses.replace(config, **own)


_ESTIMATOR_NAMES = (
    "objects",
    "score_threshold",
    "min_pixels",
    "component",
    "max_instances",
    "keypoint_method",
    "pnp",
    "refinement",
)
"""Fields that :class:`NodeParameters` shares with :class:`EstimatorConfig`."""

"""What a user may set about the estimation: stored in bundles, read from YAML or ROS parameters."""

from __future__ import annotations

from dataclasses import dataclass

from casapose_ros.errors import ConfigError
from casapose_ros.framing import parse_network_size
from casapose_ros.keypoints.components import COMPONENTS

KEYPOINT_METHODS = ("dkr", "ransac")
PNP_METHODS = ("weighted", "iterative")
REFINEMENTS = ("none", "outline")
MAX_INSTANCES = 100


@dataclass(frozen=True)
class EstimatorConfig:
    """Settings of :class:`~casapose_ros.estimator.PoseEstimator`.

    Counts and distances in pixels are meant at 640x480 and follow the image's size, so that one
    setting means the same fraction of the view at any resolution.

    Attributes:
        min_pixels: Objects with fewer mask pixels are left out (paper section 4).
        min_component_pixels: Smaller connected components are no components.
        component: Mask pixels that are used: of the ``largest`` connected component (with outlines,
            of that or the second, where the score is higher), of the ``second`` largest, or
            ``all``.
        max_instances: Largest number of instances of one object that are told apart. With 1, all
            pixels of an object are taken for one.
        keypoint_method: ``dkr`` (keypoint regression) or ``ransac`` (voting).
        pnp: How the pose is fitted to the keypoints: ``weighted`` by their covariances, or
            ``iterative``, which takes them all alike (paper section 4).
        refinement: What makes the pose better after that: ``outline``, which has to fit the
            object's mask as well, for models that have surfaces, or ``none`` (paper).
        outline_weight: How much a pixel inside the outline counts against the keypoints, in units
            of the logarithm of a probability; more where keypoints are worse than they say.
        max_reprojection_error: Inlier threshold of the pose's RANSAC, px of the camera image.
        score_threshold: Poses with a lower score are left out, 0..1.
        objects: Names of the objects to report; empty means all.
        covariance_scale: Factor on the keypoints' covariances, from which those of the poses
            follow. Pixels of one object err alike, so that the covariances of independent pixels
            are too small; training measures by how much.
        network_size: Overrides the bundle's input size: ``WxH``, or ``native`` for the image's
            own; None keeps it.
    """

    min_pixels: int = 200
    min_component_pixels: int = 50
    component: str = "largest"
    max_instances: int = 1
    keypoint_method: str = "dkr"
    pnp: str = "weighted"
    refinement: str = "none"
    outline_weight: float = 0.05
    max_reprojection_error: float = 12.0
    score_threshold: float = 0.0
    objects: tuple[str, ...] = ()
    covariance_scale: float = 1.0
    network_size: str | None = None

    def __post_init__(self) -> None:
        if self.min_pixels < 1 or self.min_component_pixels < 1:
            raise ConfigError(
                "min_pixels and min_component_pixels must be at least 1, got "
                f"{self.min_pixels} and {self.min_component_pixels}"
            )
        if self.component not in COMPONENTS:
            raise ConfigError(
                f"unknown component {self.component!r}; known: {', '.join(COMPONENTS)}"
            )
        if not 1 <= self.max_instances <= MAX_INSTANCES:
            raise ConfigError(
                f"max_instances must be 1 to {MAX_INSTANCES}, got {self.max_instances}"
            )
        if self.keypoint_method not in KEYPOINT_METHODS:
            raise ConfigError(
                f"unknown keypoint_method {self.keypoint_method!r}; "
                f"known: {', '.join(KEYPOINT_METHODS)}"
            )
        if self.pnp not in PNP_METHODS:
            raise ConfigError(f"unknown pnp {self.pnp!r}; known: {', '.join(PNP_METHODS)}")
        if self.refinement not in REFINEMENTS:
            raise ConfigError(
                f"unknown refinement {self.refinement!r}; known: {', '.join(REFINEMENTS)}"
            )
        if not 0 < self.outline_weight < float("inf"):
            raise ConfigError(f"outline_weight must be positive, got {self.outline_weight}")
        if not 0 < self.max_reprojection_error < float("inf"):
            raise ConfigError(
                f"max_reprojection_error must be positive px, got {self.max_reprojection_error}"
            )
        if not 0 <= self.score_threshold <= 1:
            raise ConfigError(f"score_threshold must be in 0..1, got {self.score_threshold}")
        if not 0 < self.covariance_scale < float("inf"):
            raise ConfigError(f"covariance_scale must be positive, got {self.covariance_scale}")
        if self.network_size is not None:
            parse_network_size(self.network_size)

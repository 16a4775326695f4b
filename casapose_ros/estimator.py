"""From one image to the poses of all known objects. Read this file first.

    image -> network -> fields -> regions -> keypoints -> poses

1. ``framing`` scales and pads the camera's image to what the network takes.
2. ``network`` gives, for each pixel, which object it shows (``labels``), in which direction that
   object's nine keypoints lie (``vectors``) and how far to trust each direction (``confidence``).
3. ``keypoints.components`` chooses the pixels that speak for each object, ``keypoints.instances``
   those of each of several instances.
4. ``keypoints.regression`` (or ``keypoints.voting``) intersects their directions: nine 2D points
   per object, each with a covariance.
5. ``pnp`` finds the pose that projects the object's 3D keypoints onto them.
6. ``outlines`` finds the pose that fits the object's pixels as well, if the model has surfaces.
7. ``score`` says how far to trust that pose, and which of two components an object is.

:meth:`PoseEstimator.run` below is these steps in this order.
"""

from __future__ import annotations

import difflib
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import numpy as np

from casapose_ros.bundle import bundle_surfaces, load_bundle, load_network
from casapose_ros.errors import CameraError, ConfigError, ImageError
from casapose_ros.framing import REFERENCE_AREA, Framing, parse_network_size
from casapose_ros.geometry import resize_camera
from casapose_ros.keypoints.components import Regions, find_regions
from casapose_ros.keypoints.instances import find_instances
from casapose_ros.keypoints.regression import regress_keypoints
from casapose_ros.keypoints.voting import vote_keypoints
from casapose_ros.network.inference import FieldPredictor
from casapose_ros.outlines import Pose, fit_outline
from casapose_ros.pnp import PnPSolution, solve_pnp
from casapose_ros.score import ScoreCalibration, raw_score
from casapose_ros.settings import EstimatorConfig
from casapose_ros.types import CameraModel, Estimate, Fields, Keypoints, ObjectModel, ObjectPose

VOTING_SEED = 0
"""Every image starts the voting's draws anew: the same image always gives the same poses."""

RUNNER_UP = 0.5
"""With outlines to judge them by, an object's second largest component is looked at as well, from
this share of the pixels of the largest on. The object is where the score is higher."""


class PoseEstimator:
    """RGB image and camera in, object poses out.

    Args:
        predictor: Maps an (H, W, 3) uint8 RGB image, H and W multiples of 8, to
            :class:`~casapose_ros.types.Fields` of the same size.
        objects: The known objects, class ids 1..K in order.
        input_size: (width, height) in px that the network was trained for.
        config: Settings; the defaults if None.
        calibration: Turns raw scores into probabilities; leaves them as they are if None.
        name: The model's name.
        surfaces: (N, 3) points of each object, in diameters from its centre; needed for
            ``config.refinement`` ``outline``.
        clock: Seconds, for the times per stage.

    Raises:
        ConfigError: ``config.objects`` names an object that is not among ``objects``, or one is
            called as another one's further instances are, or poses are to be refined without
            surfaces.
    """

    def __init__(
        self,
        predictor: Callable[[np.ndarray], Fields],
        objects: Sequence[ObjectModel],
        input_size: tuple[int, int],
        config: EstimatorConfig | None = None,
        calibration: ScoreCalibration | None = None,
        name: str = "",
        surfaces: Sequence[np.ndarray] | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ):
        self.predictor = predictor
        self.objects = tuple(objects)
        self.input_size = input_size
        self.config = config or EstimatorConfig()
        self.calibration = calibration or ScoreCalibration()
        self.name = name
        self.surfaces = surfaces
        self.clock = clock
        if self.config.refinement == "outline" and surfaces is None:
            raise ConfigError(
                f"refinement: outline needs the objects' surfaces, and the model {name!r} has "
                "none; add them with 'casapose outlines BUNDLE --objects OBJECTS', or set "
                "refinement: none"
            )
        _check_names(self.config.objects, [obj.name for obj in self.objects])
        if self.config.max_instances > 1:
            _check_instance_names([obj.name for obj in self.objects])

    @classmethod
    def load(cls, path: str | Path, config: EstimatorConfig | None = None) -> PoseEstimator:
        """Read a model bundle.

        Args:
            path: The bundle's folder.
            config: Settings; by default those in the bundle.

        Raises:
            BundleError: The bundle cannot be used; see :mod:`casapose_ros.bundle`.
        """
        bundle = load_bundle(path)
        return cls(
            FieldPredictor(load_network(bundle)),
            bundle.objects,
            bundle.input_size,
            config or bundle.estimator,
            bundle.score,
            bundle.name,
            bundle_surfaces(bundle),
        )

    def with_config(self, config: EstimatorConfig) -> PoseEstimator:
        """The same model with other settings; shares the network."""
        return PoseEstimator(
            self.predictor,
            self.objects,
            self.input_size,
            config,
            self.calibration,
            self.name,
            self.surfaces,
            self.clock,
        )

    def estimate(self, image: np.ndarray, camera: CameraModel) -> list[ObjectPose]:
        """Poses of the objects in an image, best score first; see :meth:`run`."""
        return self.run(image, camera).objects

    def run(self, image: np.ndarray, camera: CameraModel) -> Estimate:
        """Estimate poses and keep the network's fields and the time of each stage.

        Args:
            image: (H, W, 3) uint8 RGB, any size.
            camera: The camera that took it, at the same size.

        Raises:
            ImageError: The image is not (H, W, 3) uint8 or has no pixels.
            CameraError: The camera is calibrated for another image size.
        """
        _check_input(image, camera)
        times = [self.clock()]
        framing = Framing.fit((camera.width, camera.height), self._network_size())
        network_image = framing.to_network(image)
        times.append(self.clock())
        fields = framing.crop(self.predictor(network_image))
        times.append(self.clock())
        regions = self._find_regions(fields)
        keypoints = [framing.to_image(found) for found in self._find_keypoints(fields, regions)]
        times.append(self.clock())
        small = resize_camera(camera, *framing.content_size)
        poses = []
        for found, pixels in zip(keypoints, regions.slices(), strict=True):
            obj = self.objects[found.class_id - 1]
            if self.config.objects and obj.name not in self.config.objects:
                continue
            solution, cover = self._solve_pnp(obj, found, camera), 1.0
            if solution is not None and self.config.refinement == "outline":
                own = regions.rows[pixels], regions.cols[pixels]
                solution, cover = self._lay_outline(obj, solution, fields.labels, small, own)
            if solution is not None:
                poses.append(self._describe(obj, found, solution, cover, camera))
        objects = [pose for pose in _best(poses) if pose.score >= self.config.score_threshold]
        objects = _numbered(sorted(objects, key=lambda pose: -pose.score))
        times.append(self.clock())
        stages = ("preprocess", "network", "keypoints", "pnp")
        return Estimate(objects, fields, dict(zip(stages, np.diff(times).tolist(), strict=True)))

    def _network_size(self) -> tuple[int, int] | None:
        size = self.config.network_size
        return self.input_size if size is None else parse_network_size(size)

    def _find_regions(self, fields: Fields) -> Regions:
        """The pixels of every object with enough of them."""
        area = fields.labels.size / REFERENCE_AREA
        config = self.config
        least = config.min_component_pixels * area, config.min_pixels * area
        if config.max_instances == 1:
            judged = config.refinement == "outline" and config.component == "largest"
            runner_up = RUNNER_UP if judged else None
            return find_regions(fields.labels, config.component, *least, runner_up)
        rng = np.random.default_rng(VOTING_SEED)
        return find_instances(fields, config.max_instances, rng, config.component, *least)

    def _find_keypoints(self, fields: Fields, regions: Regions) -> list[Keypoints]:
        """Keypoints of every region, in px of the fields."""
        if self.config.keypoint_method == "ransac":
            found = vote_keypoints(fields, regions, np.random.default_rng(VOTING_SEED))
        else:
            found = regress_keypoints(fields, regions)
        return [replace(k, covariances=self.config.covariance_scale * k.covariances) for k in found]

    def _solve_pnp(
        self, obj: ObjectModel, keypoints: Keypoints, camera: CameraModel
    ) -> PnPSolution | None:
        """The pose that explains an object's keypoints, both in px of the camera's image."""
        image_scale = np.sqrt(camera.width * camera.height / REFERENCE_AREA)
        max_error = self.config.max_reprojection_error * image_scale
        return solve_pnp(obj.keypoints, keypoints, camera, max_error, self.config.pnp == "weighted")

    def _lay_outline(
        self,
        obj: ObjectModel,
        solution: PnPSolution,
        labels: np.ndarray,
        camera: CameraModel,
        own: tuple[np.ndarray, np.ndarray],
    ) -> tuple[PnPSolution, float]:
        """The pose corrected by where the object's outline fits; as it is where it fits nowhere.

        Returns:
            The solution, and what the outline covers of its area.
        """
        pose = Pose(solution.R_cam_obj, solution.t_cam_obj, solution.covariance)
        surface = self.surfaces[obj.class_id - 1]
        weight = self.config.outline_weight
        own = own if self.config.max_instances > 1 else None
        fitted = fit_outline(pose, surface, obj, labels, camera, weight, own)
        if fitted is None:
            return solution, 0.0
        return replace(solution, **vars(fitted.pose)), fitted.cover

    def _describe(
        self,
        obj: ObjectModel,
        keypoints: Keypoints,
        solution: PnPSolution,
        cover: float,
        camera: CameraModel,
    ) -> ObjectPose:
        """A pose with how far to trust it; keypoints in px of the camera's image."""
        focal_length = np.sqrt(camera.K[0, 0] * camera.K[1, 1])
        apparent_size = focal_length * obj.diameter / solution.t_cam_obj[2]
        pixels = keypoints.pixels * REFERENCE_AREA / (camera.width * camera.height)
        score = raw_score(
            keypoints.mask_probability, solution.reprojection_error / apparent_size, cover, pixels
        )
        valid = keypoints.valid
        return ObjectPose(
            name=obj.name,
            class_id=obj.class_id,
            instance_id=keypoints.instance_id,
            score=self.calibration(score),
            R_cam_obj=solution.R_cam_obj,
            t_cam_obj=solution.t_cam_obj,
            covariance=solution.covariance,
            keypoints=np.where(valid[:, None], keypoints.points, np.nan),
            keypoint_covariances=np.where(valid[:, None, None], keypoints.covariances, np.nan),
            box=keypoints.box,
            visible_pixels=keypoints.pixels,
            reprojection_error=solution.reprojection_error,
        )


def _best(poses: Sequence[ObjectPose]) -> list[ObjectPose]:
    """Of several poses of the same instance, which follow each other, the one of the best score."""
    same = groupby(poses, key=lambda pose: (pose.class_id, pose.instance_id))
    return [max(rivals, key=lambda pose: pose.score) for _, rivals in same]


def _numbered(poses: Sequence[ObjectPose]) -> list[ObjectPose]:
    """The poses with instances counted from 0 in each class, in this order."""
    counts: Counter[int] = Counter()
    numbered = []
    for pose in poses:
        numbered.append(replace(pose, instance_id=counts[pose.class_id]))
        counts[pose.class_id] += 1
    return numbered


def _check_input(image: np.ndarray, camera: CameraModel) -> None:
    if not isinstance(image, np.ndarray) or image.ndim != 3 or image.shape[2] != 3:
        got = image.shape if isinstance(image, np.ndarray) else type(image).__name__
        raise ImageError(f"expected an (H, W, 3) RGB image, got {got}")
    if image.dtype != np.uint8:
        raise ImageError(f"expected a uint8 image with values 0..255, got {image.dtype}")
    if image.size == 0:
        raise ImageError(f"the image has no pixels: shape {image.shape}")
    height, width = image.shape[:2]
    if (width, height) != (camera.width, camera.height):
        raise CameraError(
            f"the camera is calibrated for {camera.width}x{camera.height} images, got one of "
            f"{width}x{height}; calibrate at this size, or convert the calibration with "
            "geometry.resize_camera if the image was only resized"
        )


def _check_names(wanted: Sequence[str], known: Sequence[str]) -> None:
    for name in wanted:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
            raise ConfigError(f"the model has no object {name!r}; {hint}")


def _check_instance_names(known: Sequence[str]) -> None:
    """Further instances of ``cup`` are called ``cup_1``, ``cup_2`` on /tf."""
    for name in known:
        stem = re.fullmatch(r"(.+)_[0-9]+", name)
        if stem and stem[1] in known:
            raise ConfigError(
                f"max_instances above 1 needs other names: the object {name!r} is called like an "
                f"instance of {stem[1]!r}"
            )

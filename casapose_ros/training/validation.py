"""How good the poses are while a network is still learning: the product's own path, measured.

The training loop wraps its network once,

    estimator = PoseEstimator(FieldPredictor(network), objects, input_size)

and calls :func:`validate` now and then. Nothing here knows the network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from casapose_ros.estimator import PoseEstimator
from casapose_ros.evaluation.judgements import Collector
from casapose_ros.evaluation.judging import Frame, judge, observe
from casapose_ros.evaluation.matching import Reference
from casapose_ros.evaluation.statistics.calibration import fit_calibration
from casapose_ros.evaluation.statistics.coverage import covariance_scale
from casapose_ros.evaluation.summary import Summary, summarise
from casapose_ros.score import ScoreCalibration
from casapose_ros.types import CameraModel, Estimate

MIN_VISIBILITY = 0.4
"""Visible fraction from which an object is asked for."""

OUTLINE_WEIGHTS = (0.05, 0.1, 0.2)
"""Values of ``outline_weight`` that are tried: keypoints of a model that has learned little deserve
less trust than they ask for."""


class Estimator(Protocol):
    """What is validated; :class:`~casapose_ros.estimator.PoseEstimator` is one."""

    def run(self, image: np.ndarray, camera: CameraModel) -> Estimate:
        """Poses and fields of an (H, W, 3) uint8 RGB image."""


@dataclass(frozen=True)
class ValidationResult:
    """Figures over all objects that are visible enough; NaN where there was nothing to measure.

    Attributes:
        keypoint_error: Mean over the poses found, px of the image.
        median_keypoint_error: The same as a median, which a few lost poses do not move.
        mask_iou: Mean, 0..1.
        recall_add_10: Fraction with ADD(-S) below 10 % of the diameter.
        recall_add_20: Fraction with ADD(-S) below 20 % of the diameter.
        absent_rate: Estimates of objects not in the image, per estimate.
        calibration: Makes the estimator's score the probability of a correct pose, provided
            that the estimator had no calibration yet; goes into the bundle.
        covariance_scale: What the estimator's has to be multiplied by for the keypoints'
            covariances to fit their errors; so multiplied it goes into the bundle.
        per_object: All figures for each object.
    """

    keypoint_error: float
    median_keypoint_error: float
    mask_iou: float
    recall_add_10: float
    recall_add_20: float
    absent_rate: float
    calibration: ScoreCalibration
    covariance_scale: float
    per_object: tuple[Summary, ...]


def validate(
    estimator: Estimator, frames: Iterable[Frame], references: dict[str, Reference]
) -> ValidationResult:
    """Estimate the poses in held-out images and measure them.

    Args:
        estimator: The model as it is now.
        frames: Images with their truth, for example from ``evaluation.datasets.read_frame``.
        references: By name, every object that the model knows, for example from
            ``evaluation.datasets.load_references``.
    """
    objects = [reference.model for reference in references.values()]
    collector = Collector()
    for frame in frames:
        record = observe(frame, estimator.run(frame.image, frame.camera), objects)
        collector.add(record.name, judge(record, references, MIN_VISIBILITY))
    judgements = collector.result()
    *per_object, total = summarise(judgements, list(references), MIN_VISIBILITY)
    return ValidationResult(
        keypoint_error=total.mean_keypoints,
        median_keypoint_error=total.median_keypoints,
        mask_iou=total.mean_mask_iou,
        recall_add_10=total.recall_add_10,
        recall_add_20=total.recall_add_20,
        absent_rate=total.absent_rate,
        calibration=fit_calibration(judgements),
        covariance_scale=covariance_scale(judgements, MIN_VISIBILITY),
        per_object=tuple(per_object),
    )


def weigh_outlines(
    estimator: PoseEstimator, measure: Callable[[PoseEstimator], ValidationResult]
) -> dict[float, ValidationResult]:
    """Try how far the outline should count against the keypoints.

    Args:
        estimator: The model, whose poses are refined by outlines.
        measure: :func:`validate` on some frames.

    Returns:
        What was measured with each ``outline_weight``, the best one (ADD(-S) below 10 %) first.
    """
    results = {}
    for weight in OUTLINE_WEIGHTS:
        config = replace(estimator.config, outline_weight=weight)
        results[weight] = measure(estimator.with_config(config))
    best = max(results, key=lambda weight: results[weight].recall_add_10)
    return {best: results[best], **results}

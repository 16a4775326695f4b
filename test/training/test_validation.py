"""Validation measures what the product's own path makes of a network's fields."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from bop_folder import BopFolder
from exact_fields import CAMERA, Scene, box_object, random_pose

from casapose_ros.data.bop import BopDataset
from casapose_ros.estimator import PoseEstimator
from casapose_ros.evaluation.datasets import load_references, read_frame
from casapose_ros.settings import EstimatorConfig
from casapose_ros.training.validation import validate, weigh_outlines

OBJECTS = (box_object(1), box_object(2, (0.1, 0.1, 0.1)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    rng = np.random.default_rng(3)
    images = [[(OBJECTS[i % 2], *random_pose(rng))] for i in range(12)]
    return BopFolder(tmp_path_factory.mktemp("data") / "boxes", OBJECTS, images)


def run(folder, predict):
    estimator = PoseEstimator(predict, OBJECTS, (640, 480))
    frames = (read_frame(frame, OBJECTS) for frame in BopDataset(folder.path, "test"))
    return validate(estimator, frames, load_references(folder.path, OBJECTS, {11, 12}))


def test_a_perfect_network(folder):
    result = run(folder, folder.predict)
    assert result.recall_add_10 == result.recall_add_20 == result.mask_iou == 1
    assert result.keypoint_error < 0.01 and result.median_keypoint_error < 0.01
    assert result.absent_rate == 0
    assert [(s.name, s.targets) for s in result.per_object] == [("box1", 6), ("box2", 6)]
    assert result.calibration(0.9) > 0.9


def test_the_covariances_scale_is_what_makes_them_right(folder):
    """Noise on the vectors that is the same all over an object is more than pixels tell of."""
    rng = np.random.default_rng(0)

    def predict(image):
        fields = folder.predict(image)
        vectors = fields.vectors + 0.02 * rng.normal(size=(1, 1, 9, 2)).astype(np.float32)
        return type(fields)(fields.logits, vectors, fields.confidence, fields.labels)

    scale = run(folder, predict).covariance_scale
    assert scale > 10
    estimator = PoseEstimator(predict, OBJECTS, (640, 480), EstimatorConfig(covariance_scale=scale))
    frames = (read_frame(frame, OBJECTS) for frame in BopDataset(folder.path, "test"))
    again = validate(estimator, frames, load_references(folder.path, OBJECTS, {11, 12}))
    assert 0.6 < again.covariance_scale < 1.6


def test_outlines_are_weighed_by_what_comes_of_them():
    estimator = PoseEstimator(None, OBJECTS, (640, 480))
    recalls = {0.05: 0.2, 0.1: 0.4, 0.2: 0.3}
    measured = weigh_outlines(
        estimator, lambda each: SimpleNamespace(recall_add_10=recalls[each.config.outline_weight])
    )
    assert list(measured) == [0.1, 0.05, 0.2]
    assert {weight: result.recall_add_10 for weight, result in measured.items()} == recalls


def test_a_network_that_confuses_the_objects(folder):
    def predict(image):
        """All labels swapped: every mask is right about the place, wrong about the object."""
        fields = folder.predict(image)
        swapped = np.array([0, 2, 1], dtype=np.uint8)[fields.labels]
        logits = fields.logits[..., [0, 2, 1]]
        return type(fields)(logits, fields.vectors, fields.confidence, swapped)

    result = run(folder, predict)
    assert result.recall_add_20 == 0 and result.mask_iou == 0
    assert result.absent_rate == 1
    assert result.calibration(0.9) < 0.1


def test_a_network_that_sees_nothing(folder):
    result = run(folder, Scene(CAMERA, 2).predict)
    assert result.recall_add_10 == 0 and result.mask_iou == 0 and math.isnan(result.absent_rate)
    assert math.isnan(result.keypoint_error)
    assert result.calibration(0.3) == pytest.approx(0.3)
    assert result.covariance_scale == 1

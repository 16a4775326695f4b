"""A model's answer to one image."""

import numpy as np
import pytest
from exact_fields import CAMERA, Scene, box_object, random_pose, silhouette

from casapose_ros.estimator import PoseEstimator
from casapose_ros.evaluation.judging import Frame, judge, observe
from casapose_ros.evaluation.matching import Outcome, Reference, TrueObject

BOX = box_object()
REFERENCES = {"box1": Reference(BOX, BOX.keypoints)}


@pytest.fixture
def scene_and_frame():
    R, t = random_pose(np.random.default_rng(0))
    scene = Scene(CAMERA)
    scene.place(BOX, R, t)
    mask = silhouette(BOX, R, t, CAMERA)
    truth = TrueObject("box1", R, t, 1.0)
    image = np.zeros((480, 640, 3), np.uint8)
    return scene, Frame("000000/000000", image, CAMERA, (truth,), {"box1": mask})


def run(predict, frame, min_visibility=0.4):
    estimate = PoseEstimator(predict, (BOX,), (640, 480)).run(frame.image, frame.camera)
    return judge(observe(frame, estimate, [BOX]), REFERENCES, min_visibility)


def test_a_perfect_answer(scene_and_frame):
    scene, frame = scene_and_frame
    judgement = run(scene.predict, frame)
    assert [m.outcome for m in judgement.matches] == [Outcome.CORRECT]
    assert judgement.mask_ious == {"box1": 1.0}


def test_no_answer(scene_and_frame):
    _, frame = scene_and_frame
    judgement = run(Scene(CAMERA).predict, frame)
    assert [m.outcome for m in judgement.matches] == [Outcome.MISSED]
    assert judgement.mask_ious == {"box1": 0.0}


def test_masks_are_compared_at_the_fields_resolution(scene_and_frame):
    scene, frame = scene_and_frame

    def predict_quarter(image):
        """The network at 320x240 as seen through every second pixel."""
        full = scene.fields
        return type(full)(*(np.ascontiguousarray(a[::2, ::2]) for a in vars(full).values()))

    estimate = PoseEstimator(predict_quarter, (BOX,), (320, 240)).run(frame.image, frame.camera)
    iou = judge(observe(frame, estimate, [BOX]), REFERENCES, 0.4).mask_ious["box1"]
    assert 0.9 < iou <= 1


def test_an_object_that_is_not_asked_for_has_no_mask_figure(scene_and_frame):
    scene, frame = scene_and_frame
    assert run(scene.predict, frame, min_visibility=1.1).mask_ious == {}

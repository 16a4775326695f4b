"""Keypoint targets: projected poses, one set for each way in which an object looks the same."""

from dataclasses import replace

import numpy as np
import pytest
from exact_fields import CAMERA, box_object, random_pose

from casapose_ros.data.bop import GroundTruth
from casapose_ros.data.targets import (
    CONTINUOUS_STEPS,
    KeypointTargets,
    further_instances,
    instance_numbers,
    main_instances,
    present_values,
)
from casapose_ros.errors import ConfigError, DatasetError
from casapose_ros.geometry import project
from casapose_ros.types import Symmetries

HALF_TURN = np.diag([-1.0, -1, 1, 1])
HALF_TURN[:3, 3] = (0.02, -0.04, 0)  # about the box's own axis, which is not the frame's
AXIS = (np.array([0.0, 0, 1]), np.array([0.01, -0.02, 0]))


def test_without_symmetry_there_is_one_candidate():
    rng = np.random.default_rng(0)
    boxes = (box_object(1), replace(box_object(2), symmetries=Symmetries(HALF_TURN[None])))
    R, t = random_pose(rng)
    found, classes = KeypointTargets(boxes, False).project([GroundTruth(12, R, t)], CAMERA)
    assert classes.tolist() == [1, 2] and classes.dtype == np.uint8
    assert found.shape == (2, 1, 9, 2) and found.dtype == np.float32
    assert np.isnan(found[0]).all()
    np.testing.assert_allclose(found[1, 0], project(boxes[1].keypoints, R, t, CAMERA), atol=1e-3)


def test_every_equivalent_pose_is_a_candidate():
    rng = np.random.default_rng(1)
    box = replace(box_object(1), symmetries=Symmetries(HALF_TURN[None]))
    R, t = random_pose(rng)
    (found,), _ = KeypointTargets([box], True).project([GroundTruth(11, R, t)], CAMERA)
    turned = R @ HALF_TURN[:3, :3], R @ HALF_TURN[:3, 3] + t
    for candidate, pose in zip(found, [(R, t), turned], strict=True):
        np.testing.assert_allclose(candidate, project(box.keypoints, *pose, CAMERA), atol=1e-3)
    # A half turn of a box puts its corners upon each other and its centre upon itself.
    np.testing.assert_allclose(found[1, 0], found[0, 0], atol=1e-3)
    np.testing.assert_allclose(np.sort(found[1], axis=0), np.sort(found[0], axis=0), atol=1e-3)


def test_an_object_with_fewer_symmetries_repeats_its_first():
    objects = (
        box_object(1),
        replace(box_object(2), symmetries=Symmetries(continuous=(AXIS,))),
        replace(box_object(3), symmetries=Symmetries(HALF_TURN[None])),
    )
    candidates = KeypointTargets(objects, symmetric=True).candidates
    assert candidates.shape == (3, CONTINUOUS_STEPS, 9, 3)
    assert np.all(candidates[0] == objects[0].keypoints)
    assert np.all(candidates[2, 2:] == objects[2].keypoints)
    # Distances from the axis stay as they are.
    radii = np.linalg.norm(candidates[1, :, :, :2] - AXIS[1][:2], axis=-1)
    np.testing.assert_allclose(radii, np.broadcast_to(radii[:1], radii.shape), atol=1e-12)


def test_more_objects_than_labels_can_tell_apart():
    box = box_object(1)
    assert KeypointTargets([box] * 127, symmetric=False).candidates.shape == (127, 1, 9, 3)
    with pytest.raises(ConfigError, match="128 objects: a network is trained on 127 at most"):
        KeypointTargets([box] * 128, symmetric=False)
    assert KeypointTargets([box] * 127, symmetric=False, further=128).further == 128
    with pytest.raises(DatasetError, match="shows 129 instances beside .* 128 at most can be told"):
        KeypointTargets([box] * 127, symmetric=False, further=129)


def test_present_values():
    assert present_values(np.uint8([[0, 3], [1, 3]])).tolist() == [1, 3]
    assert present_values(np.zeros((2, 2), np.uint8)).tolist() == []


def test_without_visibilities_the_nearest_in_front_of_the_camera_is_the_main_instance():
    def truth(z, px=None):
        return GroundTruth(7, np.eye(3), np.array([0, 0, z]), px_count_visib=px)

    assert main_instances([truth(0.9), truth(0.5), truth(-0.2)]) == {7: 1}
    assert main_instances([truth(0.9, 50), truth(0.5, 10)]) == {7: 0}


def test_further_instances_are_numbered_after_the_classes():
    """Two boxes, of which the second is there three times, and one that nobody knows."""
    boxes, rng = (box_object(1), box_object(2)), np.random.default_rng(2)
    poses = [random_pose(rng) for _ in range(6)]
    visible = [(12, 70), (13, 90), (12, 80), (12, 0), (11, 60), (12, 10)]
    truths = [
        GroundTruth(bop_id, R, t, px_count_visib=px)
        for (bop_id, px), (R, t) in zip(visible, poses, strict=True)
    ]
    assert further_instances(truths, {11, 12}) == [0, 5]
    assert instance_numbers(truths, {11: 1, 12: 2}) == {2: 2, 4: 1, 0: 3, 5: 4}
    found, classes = KeypointTargets(boxes, symmetric=False, further=3).project(truths, CAMERA)
    assert found.shape == (5, 1, 9, 2) and classes.tolist() == [1, 2, 2, 2, 0]
    for row, index in enumerate((4, 2, 0, 5)):
        expected = project(boxes[classes[row] - 1].keypoints, *poses[index], CAMERA)
        np.testing.assert_allclose(found[row, 0], expected, atol=1e-3)
    assert np.isnan(found[4]).all()

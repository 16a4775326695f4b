"""Mahalanobis distances of the truth from an estimate."""

import dataclasses

import numpy as np
import pytest

from casapose_ros import geometry
from casapose_ros.evaluation.deviation import deviation, mahalanobis
from casapose_ros.geometry import pose_difference, rotation_from_vector
from casapose_ros.pnp import projection_jacobian
from casapose_ros.types import Symmetries

AXIS = (np.array([0.0, 0, 1]), np.array([0.03, 0.01, 0.2]))


def test_distances_by_hand():
    assert mahalanobis(np.array([3.0, 0]), np.diag([4.0, 1.0])) == pytest.approx(9 / 4)
    covariance = np.array([[2.0, 1], [1, 2]])
    assert mahalanobis(np.array([1.0, 1]), covariance) == pytest.approx(2 / 3)


def test_a_free_direction_takes_its_part_of_the_error():
    free = np.array([[1.0], [0]])
    assert mahalanobis(np.array([100.0, 2]), np.eye(2), free) == pytest.approx(4)
    # With correlated errors, sliding along x explains some of the error in y as well.
    covariance = np.array([[1.0, 0.6], [0.6, 1]])
    best = min(mahalanobis(np.array([x, 2.0]), covariance) for x in np.linspace(-5, 5, 2001))
    assert mahalanobis(np.array([7.0, 2]), covariance, free) == pytest.approx(best, abs=1e-4)


def test_units_of_metres_and_radians_do_not_matter():
    scale = np.diag([1e-7, 1e-7, 1e3])
    covariance = scale @ (np.eye(3) + 0.3) @ scale
    error = scale @ np.array([1.0, 2, 3])
    expected = mahalanobis(np.array([1.0, 2, 3]), np.eye(3) + 0.3)
    assert mahalanobis(error, covariance) == pytest.approx(expected)


NO_COVARIANCES = {
    "zero": np.zeros((2, 2)),
    "NaN": np.full((2, 2), np.nan),
    "infinite": np.diag([np.inf, 1]),
    "negative": np.diag([1.0, -1]),
    "flat": np.ones((2, 2)),
    "indefinite": np.array([[1.0, 2], [2, 1]]),
    "not symmetric": np.array([[1.0, 0.5], [0, 1]]),
}


@pytest.mark.parametrize("covariance", NO_COVARIANCES.values(), ids=NO_COVARIANCES.keys())
def test_what_is_no_covariance_gives_no_distance(covariance):
    assert np.isnan(mahalanobis(np.ones(2), covariance))


def test_an_unknown_error_gives_no_distance():
    assert np.isnan(mahalanobis(np.array([np.nan, 0]), np.eye(2)))


def test_the_pose_difference_moves_pixels_as_the_solver_thinks(true_object, references, camera):
    """The covariance comes from that Jacobian, so errors must be measured along its columns."""
    truth, model = true_object(), references["cube"].model
    motion = 1e-4 * np.array([1.0, -2, 3, 2, -1, 0.5])
    R = rotation_from_vector(motion[3:]) @ truth.R_cam_obj
    t = truth.t_cam_obj + motion[:3]
    difference = pose_difference(truth.R_cam_obj, truth.t_cam_obj, R, t)
    np.testing.assert_allclose(difference, motion, atol=1e-10)
    jacobian = projection_jacobian(model.keypoints, truth.R_cam_obj, truth.t_cam_obj, camera.K)
    moved = geometry.project(model.keypoints, R, t, camera) - geometry.project(
        model.keypoints, truth.R_cam_obj, truth.t_cam_obj, camera
    )
    np.testing.assert_allclose(jacobian @ difference, moved.ravel(), atol=2e-3 * abs(moved).max())


@pytest.fixture
def spinning(true_object, estimate_of, references, camera):
    """An estimate of a truth and its deviation with or without an axis of symmetry."""

    def run(symmetries, angle):
        truth = true_object(rotation=(0.4, -0.9, 0.3))
        axis, offset = AXIS
        turn = rotation_from_vector(angle * axis)
        shift = truth.R_cam_obj @ (offset - turn @ offset)
        covariance = np.diag([1e-6] * 3 + [1e-4] * 3)
        pose = dataclasses.replace(estimate_of(truth, shift, turn), covariance=covariance)
        keypoints = geometry.project(
            references["cube"].model.keypoints, truth.R_cam_obj, truth.t_cam_obj, camera
        )
        return deviation(pose, truth.R_cam_obj, truth.t_cam_obj, keypoints, symmetries)

    return run


def test_a_turn_about_an_axis_of_symmetry_is_no_error(spinning):
    solid, round_ = spinning(Symmetries(), 0.01), spinning(Symmetries(continuous=(AXIS,)), 0.01)
    assert solid.pose_dof == 6 and solid.pose > 1
    assert round_.pose_dof == 5 and round_.pose == pytest.approx(0, abs=1e-3)


def test_keypoints_have_their_own_covariances(true_object, estimate_of, references, camera):
    truth, model = true_object(), references["cube"].model
    pose = estimate_of(truth)
    keypoints, covariances = pose.keypoints.copy(), np.tile(np.eye(2), (9, 1, 1))
    keypoints[1] += (3, 4)
    keypoints[2] += (3, 4)
    covariances[2] *= 25
    keypoints[3], covariances[3] = np.nan, np.nan
    pose = dataclasses.replace(pose, keypoints=keypoints, keypoint_covariances=covariances)
    true_keypoints = geometry.project(model.keypoints, truth.R_cam_obj, truth.t_cam_obj, camera)
    result = deviation(pose, truth.R_cam_obj, truth.t_cam_obj, true_keypoints, model.symmetries)
    np.testing.assert_allclose(result.keypoints, [0, 25, 1, np.nan, 0, 0, 0, 0, 0], atol=1e-9)

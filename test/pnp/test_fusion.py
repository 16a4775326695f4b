"""A pose and a measured position: what comes out is the best of both."""

import numpy as np
import pytest
from exact_fields import CAMERA, box_object, random_pose

from casapose_ros import geometry
from casapose_ros.pnp import fuse_position, solve_pnp
from casapose_ros.types import Keypoints

BOX = box_object()
POINT = BOX.keypoints[0]


@pytest.fixture
def truth():
    return random_pose(np.random.default_rng(1), 0.5, 0.6)


@pytest.fixture
def solution(truth):
    """From keypoints with errors of about a pixel."""
    rng = np.random.default_rng(2)
    pixels = geometry.project(BOX.keypoints, *truth, CAMERA) + rng.normal(size=(9, 2))
    covariances = np.tile(np.eye(2), (9, 1, 1))
    found = Keypoints(1, 0, pixels, covariances, np.ones(9, bool), 900, 1.0, (0, 0, 9, 9))
    return solve_pnp(BOX.keypoints, found, CAMERA)


def position_of(pose):
    return geometry.transform(pose.R_cam_obj, pose.t_cam_obj, POINT[None])[0]


def test_it_is_the_least_squares_of_both(solution):
    covariance = np.diag([1e-6, 4e-6, 9e-6])
    measured = position_of(solution) + [0.002, -0.001, 0.004]
    fused = fuse_position(solution, POINT, measured, covariance)
    turned = solution.R_cam_obj @ POINT
    turns = np.array([np.cross(axis, turned) for axis in np.eye(3)]).T
    moves = np.hstack([np.eye(3), turns])
    information = np.linalg.inv(solution.covariance) + moves.T @ np.linalg.inv(covariance) @ moves
    step = np.linalg.solve(
        information, moves.T @ np.linalg.inv(covariance) @ (measured - position_of(solution))
    )
    np.testing.assert_allclose(fused.t_cam_obj - solution.t_cam_obj, step[:3], atol=1e-9)
    R = geometry.rotation_from_vector(step[3:]) @ solution.R_cam_obj
    np.testing.assert_allclose(fused.R_cam_obj, R, atol=1e-9)
    np.testing.assert_allclose(fused.covariance, np.linalg.inv(information), rtol=1e-6)


def test_a_certain_position_is_taken_and_an_uncertain_one_ignored(solution):
    measured = position_of(solution) + [0.001, 0.001, 0.01]
    taken = fuse_position(solution, POINT, measured, 1e-12 * np.eye(3))
    # The rotation is corrected too, which moves the point to second order.
    np.testing.assert_allclose(position_of(taken), measured, atol=1e-4)
    ignored = fuse_position(solution, POINT, measured, 1e6 * np.eye(3))
    np.testing.assert_allclose(position_of(ignored), position_of(solution), atol=1e-9)
    assert ignored.reprojection_error == solution.reprojection_error


def test_a_right_position_makes_the_pose_better(solution, truth):
    R, t = truth
    fused = fuse_position(solution, POINT, R @ POINT + t, 1e-8 * np.eye(3))
    before = np.linalg.norm(solution.t_cam_obj - t)
    assert np.linalg.norm(fused.t_cam_obj - t) < before / 3
    assert np.trace(fused.covariance[:3, :3]) < np.trace(solution.covariance[:3, :3])


def test_a_pose_stays_in_front_of_the_camera(solution):
    behind = position_of(solution) * -1
    assert fuse_position(solution, POINT, behind, 1e-8 * np.eye(3)) is solution

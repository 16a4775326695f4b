"""RANSAC voting: right where DKR is right, and still right among wrong vectors."""

import numpy as np
import pytest
from exact_fields import CAMERA, Scene, box_object, random_pose

from casapose_ros.errors import ConfigError
from casapose_ros.keypoints.components import find_regions
from casapose_ros.keypoints.regression import regress_keypoints
from casapose_ros.keypoints.voting import VotingConfig, consensus, vote_keypoints
from casapose_ros.types import CameraModel

SMALL = CameraModel(np.diag([60.0, 60.0, 1.0]), 60, 50)


def vote(fields, seed=0, config=None):
    regions = find_regions(fields.labels)
    return vote_keypoints(fields, regions, np.random.default_rng(seed), config or VotingConfig())


@pytest.fixture
def scene():
    scene = Scene(CAMERA)
    scene.expected = scene.place(box_object(), *random_pose(np.random.default_rng(8)))
    return scene


def test_exact_vectors_give_the_points_back(scene):
    (found,) = vote(scene.fields)
    assert np.abs(found.points - scene.expected).max() < 1e-3
    assert found.valid.all()
    (by_regression,) = regress_keypoints(scene.fields, find_regions(scene.fields.labels))
    assert (found.pixels, found.box) == (by_regression.pixels, by_regression.box)


def test_a_third_of_wrong_vectors_does_no_harm(scene):
    rng = np.random.default_rng(9)
    wrong = (rng.random(scene.fields.labels.shape) < 0.33) & (scene.fields.labels == 1)
    scene.fields.vectors[wrong] = rng.normal(size=(np.count_nonzero(wrong), 9, 2))
    (found,) = vote(scene.fields)
    (by_regression,) = regress_keypoints(scene.fields, find_regions(scene.fields.labels))
    error = np.linalg.norm(found.points - scene.expected, axis=1)
    assert error.max() < 0.5
    assert error.max() < np.linalg.norm(by_regression.points - scene.expected, axis=1).max() / 4
    assert found.valid.all()


def test_the_generator_decides(scene):
    scene.fields.vectors[...] += np.random.default_rng(1).normal(0, 0.1, (480, 640, 9, 2))
    (one,), (same,), (other,) = vote(scene.fields, 1), vote(scene.fields, 1), vote(scene.fields, 2)
    assert np.array_equal(one.points, same.points)
    assert not np.array_equal(one.points, other.points)


def test_only_so_many_pixels_take_part(scene):
    (found,) = vote(scene.fields, config=VotingConfig(max_pixels=100))
    assert np.abs(found.points - scene.expected).max() < 1e-3
    assert found.pixels == np.count_nonzero(scene.fields.labels)


def test_inliers_are_the_pixels_within_the_angle():
    """Nine pixels of a row point at one place, three of them off by 3, 5 and 25 degrees."""
    target = np.array([30.0, 20.0])
    centres = np.stack([np.arange(0.0, 54.0, 6.0), np.full(9, 40.0)])
    angles = np.arctan2(*(target[:, None] - centres)[::-1])
    angles[[1, 3, 6]] += np.deg2rad([3, 5, 25])
    directions = np.stack([np.cos(angles), np.sin(angles)])
    voters = consensus(centres, directions, np.random.default_rng(0), VotingConfig())
    # acos(0.99) is 8.1 degrees: all but the last can agree on one point.
    assert voters.tolist() == [k != 6 for k in range(9)]


def test_pixels_that_point_away_do_not_vote():
    centres = np.stack([np.arange(10.0), np.zeros(10)])
    directions = np.array([5.0, 10.0])[:, None] - centres
    directions /= np.linalg.norm(directions, axis=0)
    directions[:, :3] *= -1
    voters = consensus(centres, directions, np.random.default_rng(0), VotingConfig())
    assert voters.tolist() == [False] * 3 + [True] * 7


@pytest.mark.parametrize("vector", [(0, 0), (0, 1)])
def test_vectors_without_an_intersection_are_not_valid(vector):
    fields = Scene(SMALL).fields
    fields.labels[10:30, 20:40] = 1
    fields.vectors[10:30, 20:40] = vector
    (found,) = vote(fields)
    assert not found.valid.any() and np.isfinite(found.points).all()


def test_not_a_number_does_not_vote(scene):
    rows, cols = np.nonzero(scene.fields.labels)
    scene.fields.vectors[rows[::9], cols[::9]] = np.nan
    (found,) = vote(scene.fields)
    assert found.valid.all() and np.abs(found.points - scene.expected).max() < 1e-2


def test_no_objects_no_keypoints():
    assert vote(Scene(SMALL).fields) == []


@pytest.mark.parametrize(
    "wrong",
    [{"hypotheses": 0}, {"max_rounds": 0}, {"max_pixels": 1}, {"min_cosine": 1}, {"confidence": 0}],
)
def test_settings_are_checked(wrong):
    with pytest.raises(ConfigError):
        VotingConfig(**wrong)

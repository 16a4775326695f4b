"""Ellipsoids that hold the truth as often as they say, and others."""

import dataclasses

import numpy as np
import pytest
from judged_frames import judged_matches
from scipy.stats import chi2

from casapose_ros import geometry
from casapose_ros.evaluation.deviation import Deviation
from casapose_ros.evaluation.matching import Reference, match_frame
from casapose_ros.evaluation.statistics.coverage import LEVELS, coverage
from casapose_ros.geometry import rotation_from_vector
from casapose_ros.types import Symmetries


@pytest.fixture
def simulate(references, true_object, estimate_of, camera):
    """Matches of estimates whose errors are drawn from a covariance, stated times a factor."""

    def run(count=600, factor=1.0, symmetries=None, seed=0):
        rng = np.random.default_rng(seed)
        reference = references["cube"]
        model = dataclasses.replace(reference.model, symmetries=symmetries or Symmetries())
        known, matches = {"cube": Reference(model, reference.points)}, []
        scale = np.diag([0.0005, 0.001, 0.002, 0.005, 0.01, 0.007])
        pose_covariance = scale @ (np.eye(6) + 0.4) @ scale
        point_covariance = np.array([[4.0, 1], [1, 2]])
        for i in range(count):
            truth = true_object(rotation=rng.normal(size=3))
            error = rng.multivariate_normal(np.zeros(6), pose_covariance)
            true_keypoints = geometry.project(
                model.keypoints, truth.R_cam_obj, truth.t_cam_obj, camera
            )
            noise = rng.multivariate_normal(np.zeros(2), point_covariance, size=9)
            estimate = dataclasses.replace(
                estimate_of(truth),
                R_cam_obj=rotation_from_vector(error[3:]) @ truth.R_cam_obj,
                t_cam_obj=truth.t_cam_obj + error[:3],
                covariance=factor * pose_covariance,
                keypoints=true_keypoints + noise,
                keypoint_covariances=np.tile(factor * point_covariance, (9, 1, 1)),
            )
            matches += match_frame(f"{i}", [estimate], [truth], known, camera)
        return matches

    return run


def rows_of(matches):
    return {(row.what, row.of): row for row in coverage(judged_matches(matches), 0.4).rows}


def test_right_covariances_cover_as_they_say(simulate):
    rows = rows_of(simulate())
    assert rows["poses", "correct"].count == 600 and rows["keypoints", "correct"].count == 5400
    for row in rows.values():
        spread = 4 * np.sqrt(np.array(LEVELS) * (1 - np.array(LEVELS)) / row.count)
        assert np.all(np.abs(row.inside - LEVELS) < spread), row
        assert row.factor == pytest.approx(1, abs=0.1) and row.unstated == 0


@pytest.mark.parametrize("factor", [0.25, 4.0])
def test_a_wrong_scale_is_seen_and_measured(simulate, factor):
    for row in rows_of(simulate(factor=factor)).values():
        dof = 2 if row.what == "keypoints" else 6
        expected = chi2.cdf(factor * chi2.ppf(LEVELS, dof), dof)
        np.testing.assert_allclose(row.inside, expected, atol=0.08)
        assert row.factor == pytest.approx(1 / factor, rel=0.1)


def test_a_turn_about_an_axis_of_symmetry_has_no_say(simulate):
    """With it as an error against the nearest step, six degrees of freedom would cover too much."""
    axis = (np.array([0.0, 0, 1]), np.array([0.0, 0, 0]))
    row = rows_of(simulate(count=200, symmetries=Symmetries(continuous=(axis,))))["poses", "all"]
    np.testing.assert_allclose(row.inside, LEVELS, atol=0.12)
    assert row.factor == pytest.approx(1, abs=0.2)


@pytest.fixture
def deviating(estimate):
    def make(pose, relative=0.0, visibility=1.0):
        keypoints = np.broadcast_to(pose, 9).astype(float)
        fit = Deviation(float(np.ravel(pose)[0]), 6, keypoints)
        match = estimate(relative=relative, visibility=visibility)
        return dataclasses.replace(match, deviation=fit)

    return make


def test_wrong_poses_count_only_among_all(deviating, missed, absent):
    matches = [deviating(0.1), deviating(0.1), deviating(1e4, relative=0.5), missed(), absent()]
    rows = rows_of(matches)
    np.testing.assert_array_equal(rows["poses", "correct"].inside, [1, 1, 1])
    np.testing.assert_allclose(rows["poses", "all"].inside, [2 / 3] * 3)
    assert rows["keypoints", "all"].count == 27


def test_hidden_objects_do_not_count(deviating):
    rows = rows_of([deviating(0.1), deviating(1e4, visibility=0.2)])
    assert rows["poses", "all"].count == 1 and rows["poses", "all"].inside[0] == 1


def test_a_pose_without_covariance_is_left_out_and_said(deviating):
    matches = [deviating(0.1), deviating(np.nan), deviating([0.1] * 4 + [np.nan] * 5)]
    rows = rows_of(matches)
    assert (rows["poses", "all"].count, rows["poses", "all"].unstated) == (2, 1)
    assert (rows["keypoints", "all"].count, rows["keypoints", "all"].unstated) == (13, 1)
    assert rows["poses", "all"].inside[0] == 1


def test_without_any_pose_nothing_is_known(missed):
    for matches in ([], [missed()]):
        for row in rows_of(matches).values():
            assert row.count == 0 and np.isnan(row.inside).all() and np.isnan(row.factor)

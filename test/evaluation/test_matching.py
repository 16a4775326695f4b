"""Who answers for whom, and what is false about the rest."""

import dataclasses

import numpy as np
import pytest

from casapose_ros.errors import DatasetError
from casapose_ros.evaluation.matching import Outcome, match_frame
from casapose_ros.geometry import rotation_from_vector


@pytest.fixture
def match(references, camera):
    def run(estimates, truths):
        return match_frame("000000/000001", estimates, truths, references, camera)

    return run


def test_a_perfect_estimate_is_correct_with_no_error(match, true_object, estimate_of):
    truth = true_object(visibility=0.7)
    (result,) = match([estimate_of(truth)], [truth])
    assert result.outcome is Outcome.CORRECT
    assert result.visibility == 0.7 and result.score == 0.9
    assert max(dataclasses.astuple(result.errors)) == pytest.approx(0, abs=1e-9)
    assert result.is_target(0.4) and not result.is_target(0.8)


def test_the_errors_of_a_shifted_estimate(match, true_object, estimate_of, references):
    truth = true_object(rotation=(0, 0, 0))
    (result,) = match([estimate_of(truth, shift=(0.01, 0, 0))], [truth])
    assert result.outcome is Outcome.CORRECT
    assert result.errors.add == pytest.approx(0.01)
    assert result.errors.add_relative == pytest.approx(0.01 / references["cube"].model.diameter)
    assert result.errors.translation == pytest.approx(0.01)
    assert result.errors.rotation == pytest.approx(0, abs=1e-9)
    assert result.errors.projection == pytest.approx(0.01 * 500 / 0.6, rel=0.02)
    assert result.errors.keypoints == pytest.approx(0.01 * 500 / 0.6, rel=0.02)


def test_a_pose_two_diameters_away_is_wrong_but_still_answers(match, true_object, estimate_of):
    truth = true_object()
    (result,) = match([estimate_of(truth, shift=(0.35, 0, 0))], [truth])
    assert result.outcome is Outcome.WRONG
    assert result.is_target(0.4) and result.errors.add == pytest.approx(0.35)


def test_a_true_object_without_estimate_is_missed(match, true_object):
    (result,) = match([], [true_object()])
    assert result.outcome is Outcome.MISSED and not result.is_estimate
    assert result.score is None and result.is_target(0.4)
    assert result.errors.add_relative == np.inf


def test_an_estimate_of_an_object_that_is_not_there_is_absent(match, true_object, estimate_of):
    cube = true_object("cube")
    by_name = {m.name: m for m in match([estimate_of(cube, name="bar")], [cube])}
    assert by_name["bar"].outcome is Outcome.ABSENT
    assert by_name["bar"].visibility is None and not by_name["bar"].is_target(0)
    assert by_name["cube"].outcome is Outcome.MISSED


@pytest.mark.parametrize(("visibility", "outcome"), [(0.04, Outcome.ABSENT), (0.06, Outcome.WRONG)])
def test_an_object_hidden_to_95_percent_is_not_in_the_image(
    match, true_object, estimate_of, visibility, outcome
):
    truth = true_object(visibility=visibility)
    (result,) = match([estimate_of(truth, shift=(0.35, 0, 0))], [truth])
    assert result.outcome is outcome


def test_a_right_pose_of_a_hidden_object_is_right(match, true_object, estimate_of):
    truth = true_object(visibility=0.01)
    (result,) = match([estimate_of(truth)], [truth])
    assert result.outcome is Outcome.CORRECT


def test_objects_the_model_does_not_know_are_not_asked_for(match, true_object):
    assert match([], [dataclasses.replace(true_object(), name="teapot")]) == []


def test_an_estimate_without_reference_is_a_mistake_of_the_caller(match, true_object, estimate_of):
    stranger = dataclasses.replace(estimate_of(true_object()), name="teapot")
    with pytest.raises(KeyError, match="teapot"):
        match([stranger], [])


def test_symmetric_objects_are_judged_by_add_s_and_the_nearest_symmetric_pose(
    match, true_object, estimate_of
):
    half_turn = rotation_from_vector([0, 0, np.pi])
    for name, outcome in (("cube", Outcome.WRONG), ("bar", Outcome.CORRECT)):
        truth = true_object(name)
        (result,) = match([estimate_of(truth, turn=half_turn)], [truth])
        assert result.outcome is outcome, name
    assert result.errors.rotation == pytest.approx(0, abs=1e-6)
    assert result.errors.projection == pytest.approx(0, abs=1e-6)
    assert result.errors.keypoints == pytest.approx(0, abs=1e-6)


def test_two_instances_are_told_apart_whatever_the_order(match, true_object, estimate_of):
    left, right = true_object(x=-0.15), true_object(x=0.15)
    results = match([estimate_of(right, score=0.8), estimate_of(left, score=0.6)], [left, right])
    assert [r.outcome for r in results] == [Outcome.CORRECT] * 2
    assert [r.score for r in results] == [0.8, 0.6]


def test_a_confident_wrong_pose_does_not_take_the_true_object_of_a_right_one(
    match, true_object, estimate_of
):
    left, right = true_object(x=-0.15), true_object(x=0.15)
    astray = estimate_of(left, shift=(0.05, 0, 0), score=0.99)
    results = match([astray, estimate_of(left, score=0.5)], [left, right])
    assert [r.outcome for r in results] == [Outcome.WRONG, Outcome.CORRECT]
    assert results[0].errors.add == pytest.approx(0.25)


def test_a_second_estimate_of_one_object_is_wrong_and_no_target(match, true_object, estimate_of):
    truth = true_object()
    results = match([estimate_of(truth, score=0.9), estimate_of(truth, score=0.5)], [truth])
    assert [r.outcome for r in results] == [Outcome.CORRECT, Outcome.WRONG]
    assert [r.is_target(0.4) for r in results] == [True, False]


NO_POSES = {
    "translation NaN": {"t_cam_obj": np.full(3, np.nan)},
    "translation infinite": {"t_cam_obj": np.array([0, 0, np.inf])},
    "rotation NaN": {"R_cam_obj": np.full((3, 3), np.nan)},
    "rotation zero": {"R_cam_obj": np.zeros((3, 3))},
    "rotation scaled": {"R_cam_obj": 1.1 * np.eye(3)},
    "mirrored": {"R_cam_obj": np.diag([1.0, 1, -1])},
}


@pytest.mark.parametrize("name", ["cube", "bar"])
@pytest.mark.parametrize("broken", NO_POSES.values(), ids=NO_POSES.keys())
def test_what_is_no_pose_is_wrong_and_answers_for_nothing(
    match, true_object, estimate_of, name, broken
):
    truth = true_object(name)
    astray = estimate_of(truth, shift=(0.3, 0, 0), score=0.2)
    no_pose = dataclasses.replace(estimate_of(truth, score=0.9), **broken)
    wrong, real = match([no_pose, astray], [truth])
    assert wrong.outcome is Outcome.WRONG and wrong.errors.add == np.inf
    assert wrong.truth is None and wrong.deviation is None and wrong.candidates == {0: np.inf}
    assert real.truth == 0 and real.errors.translation == pytest.approx(0.3)
    outcomes = [m.outcome for m in match([no_pose], [truth])]
    assert outcomes == [Outcome.WRONG, Outcome.MISSED]


def test_a_rotation_printed_with_three_digits_is_one(match, true_object, estimate_of):
    truth = true_object()
    rounded = dataclasses.replace(estimate_of(truth), R_cam_obj=truth.R_cam_obj.round(3))
    (result,) = match([rounded], [truth])
    assert result.outcome is Outcome.CORRECT


def test_a_score_that_is_no_number_comes_last(match, true_object, estimate_of):
    truth = true_object()
    estimates = [estimate_of(truth, score=float("nan")), estimate_of(truth, score=0.1)]
    first, last = match(estimates, [truth])
    assert first.outcome is Outcome.CORRECT and first.score == 0.1
    assert last.outcome is Outcome.WRONG and np.isnan(last.score)


@pytest.mark.parametrize(
    "broken",
    [{"t_cam_obj": np.full(3, np.nan)}, {"R_cam_obj": 2 * np.eye(3)}, {"visibility": np.nan}],
)
def test_a_truth_that_is_no_pose_is_refused(true_object, broken):
    with pytest.raises(DatasetError, match="the ground truth of cube is no pose"):
        dataclasses.replace(true_object(), **broken)


def test_matches_name_the_true_object_by_its_place_in_the_image(match, true_object, estimate_of):
    stranger = dataclasses.replace(true_object(), name="teapot")
    bar, left, right = true_object("bar"), true_object(x=-0.15), true_object(x=0.15)
    truths = [stranger, bar, right, left]
    found = match([estimate_of(left)], truths)
    assert {(m.name, m.outcome, m.truth) for m in found} == {
        ("bar", Outcome.MISSED, 1),
        ("cube", Outcome.MISSED, 2),
        ("cube", Outcome.CORRECT, 3),
    }
    (correct,) = (m for m in found if m.is_estimate)
    diameter = 0.1 * np.sqrt(3)
    assert correct.candidates == {3: 0, 2: pytest.approx(0.3 / diameter)}


def test_the_deviation_of_an_estimate_is_in_units_of_its_covariance(
    match, true_object, estimate_of
):
    truth = true_object()
    close = dataclasses.replace(
        estimate_of(truth, shift=(0.002, 0, 0)), covariance=np.diag([0.001**2] * 3 + [0.01**2] * 3)
    )
    (result,) = match([close], [truth])
    assert result.deviation.pose == pytest.approx(4) and result.deviation.pose_dof == 6
    (missed,) = match([], [truth])
    assert missed.deviation is None


def test_nothing_in_nothing_out(match):
    assert match([], []) == []

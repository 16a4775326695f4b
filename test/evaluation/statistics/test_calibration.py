"""Scores against outcomes."""

import math

import numpy as np
import pytest
from judged_frames import judged_matches

from casapose_ros.evaluation.statistics.calibration import fit_calibration, reliability
from casapose_ros.score import ScoreCalibration


def test_a_calibrated_score_has_no_calibration_error(estimate):
    matches = [estimate(score=0.75) for _ in range(3)] + [estimate(relative=0.5, score=0.75)]
    result = reliability(judged_matches(matches))
    assert result.error == pytest.approx(0)
    assert result.counts.tolist() == [0, 0, 0, 0, 0, 0, 0, 4, 0, 0]
    assert result.accuracy[7] == 0.75 and np.isnan(result.accuracy[0])


def test_calibration_error_is_the_weighted_gap(estimate, missed, absent):
    matches = [estimate(score=1.0)] * 3 + [absent(score=0.4), missed()]
    assert reliability(judged_matches(matches)).error == pytest.approx((3 * 0 + 1 * 0.4) / 4)


def test_calibration_of_nothing_is_unknown(missed):
    result = reliability(judged_matches([missed()]))
    assert math.isnan(result.error) and result.counts.sum() == 0


@pytest.mark.parametrize("score", [1.5, -0.1, math.nan])
def test_scores_that_are_no_probabilities_have_no_calibration(estimate, score):
    result = reliability(judged_matches([estimate(score=0.9), estimate(score=score)]))
    assert math.isnan(result.error) and result.counts.sum() == 0


def test_a_fitted_calibration_recovers_the_true_probability(estimate):
    """Poses are right with probability sigmoid(2 logit(score) - 1)."""
    rng = np.random.default_rng(0)
    truth = ScoreCalibration(slope=2.0, offset=-1.0)
    matches = []
    for score in rng.uniform(0.05, 0.95, 4000):
        relative = 0.0 if rng.uniform() < truth(score) else 0.5
        matches.append(estimate(relative=relative, score=score))
    fitted = fit_calibration(judged_matches(matches))
    assert fitted.slope == pytest.approx(2, abs=0.2)
    assert fitted.offset == pytest.approx(-1, abs=0.2)


@pytest.mark.parametrize("relative", [0.0, 0.5])
def test_a_calibration_fitted_to_one_outcome_only_stays_finite(estimate, relative):
    matches = [estimate(relative=relative, score=s) for s in np.linspace(0.1, 1.0, 50)]
    fitted = fit_calibration(judged_matches(matches))
    assert (fitted(0.5) > 0.9) == (relative == 0.0)


def test_without_estimates_the_score_stays_as_it_is(missed):
    assert fit_calibration(judged_matches([missed()] * 20)) == ScoreCalibration()


def test_a_few_estimates_change_little(estimate):
    fitted = fit_calibration(judged_matches([estimate(relative=0.5, score=0.6)]))
    assert 0.1 < fitted(0.6) < 0.6

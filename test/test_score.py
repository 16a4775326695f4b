"""The score's formula and its calibration."""

import numpy as np
import pytest

from casapose_ros.errors import ConfigError
from casapose_ros.score import FEW, UNCOVERED, ScoreCalibration, raw_score

MANY = 1e12


def test_raw_score_by_hand():
    assert raw_score(0.8, 0.0, 1.0, MANY) == pytest.approx(0.8)
    assert raw_score(1.0, 0.1, 1.0, MANY) == pytest.approx(np.exp(-0.5))  # 10 % of the size
    assert raw_score(1.0, 0.2, 1.0, MANY) == pytest.approx(np.exp(-2))
    assert raw_score(1.0, 0.0, 0.7, MANY) == pytest.approx(0.7)
    assert raw_score(1.0, 0.0, 1.0, FEW) == pytest.approx(0.5)
    assert raw_score(0.5, 1e9, 1.0, MANY) == 0


def test_an_outline_that_fits_nowhere_leaves_little_and_none_more_than_all():
    for cover in (0.0, -0.8):
        assert raw_score(1.0, 0.0, cover, MANY) == pytest.approx(UNCOVERED)
    assert raw_score(1.0, 0.0, 1.02, MANY) == pytest.approx(1)


def test_identity_is_the_default():
    for raw in (0.0, 0.01, 0.5, 0.99, 1.0):
        assert ScoreCalibration()(raw) == pytest.approx(raw, abs=1e-8)


def test_calibration_is_logistic_and_monotonic():
    calibration = ScoreCalibration(slope=2.0, offset=-1.0)
    assert calibration(0.5) == pytest.approx(1 / (1 + np.e))
    values = [calibration(raw) for raw in np.linspace(0, 1, 50)]
    assert np.all(np.diff(values) > 0) and min(values) >= 0 and max(values) <= 1


@pytest.mark.parametrize(("slope", "offset"), [(0, 0), (-1, 0), (np.nan, 0), (1, np.inf)])
def test_useless_calibrations_are_refused(slope, offset):
    with pytest.raises(ConfigError):
        ScoreCalibration(slope, offset)

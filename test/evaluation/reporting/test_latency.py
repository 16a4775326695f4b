"""The spread of times."""

import numpy as np
import pytest

from casapose_ros.evaluation.reporting.latency import spread


def test_spread_of_known_times():
    result = spread(np.arange(101) / 100)
    assert (result.count, result.largest) == (101, 1.0)
    assert [result.mean, result.median, result.p95] == pytest.approx([0.5, 0.5, 0.95])


def test_unknown_times_do_not_count():
    result = spread(np.array([np.nan, 0.2, np.nan]))
    assert (result.count, result.mean, result.median, result.p95) == (1, 0.2, 0.2, 0.2)
    nothing = spread(np.array([np.nan]))
    assert nothing.count == 0
    assert np.isnan([nothing.mean, nothing.median, nothing.p95, nothing.largest]).all()

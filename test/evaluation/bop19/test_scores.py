"""Matching at one threshold, and recalls."""

import numpy as np
import pytest

from casapose_ros.evaluation.bop19.comparing import TargetErrors
from casapose_ros.evaluation.bop19.errors import STEPS
from casapose_ros.evaluation.bop19.scores import NOTHING, count_found, count_hits, recall

BOTH = np.array([True, True])


def target(mssd, mspd=None, vsd=None, valid=None) -> TargetErrors:
    mssd = np.array(mssd, dtype=float)
    return TargetErrors(
        frame="000000/000001",
        name="cube",
        estimates=tuple(range(len(mssd))),
        valid=np.ones(mssd.shape[1], dtype=bool) if valid is None else np.array(valid),
        vsd=None if vsd is None else np.array(vsd, dtype=float),
        mssd=mssd,
        mspd=100 * mssd if mspd is None else np.array(mspd, dtype=float),
    )


def test_an_error_must_be_below_the_threshold():
    one = np.array([True])
    assert count_found(np.array([[0.5]]), one, 0.5) == 0
    assert count_found(np.array([[np.nextafter(0.5, 0)]]), one, 0.5) == 1


def test_each_instance_is_found_once():
    assert count_found(np.array([[0.1, 0.9], [0.2, 0.9]]), BOTH, 0.5) == 1
    assert count_found(np.array([[0.1, 0.9], [0.2, 0.3]]), BOTH, 0.5) == 2


def test_the_first_estimate_takes_what_it_fits_best():
    # The first could have had the other one; nobody asks what would be best for all.
    assert count_found(np.array([[0.1, 0.2], [0.3, 0.9]]), BOTH, 0.5) == 1
    assert count_found(np.array([[0.2, 0.1], [0.3, 0.9]]), BOTH, 0.5) == 2


def test_of_equal_errors_the_first_instance_is_taken():
    assert count_found(np.array([[0.1, 0.1], [0.9, 0.3]]), BOTH, 0.5) == 2
    assert count_found(np.array([[0.1, 0.1], [0.3, 0.9]]), BOTH, 0.5) == 1


def test_only_valid_instances_count():
    assert count_found(np.array([[0.1, 0.2]]), np.array([False, True]), 0.15) == 0
    assert count_found(np.array([[0.1, 0.2]]), np.array([False, True]), 0.25) == 1


def test_nothing_is_found_by_nobody_and_nowhere():
    assert count_found(np.zeros((0, 2)), BOTH, 0.5) == 0
    assert count_found(np.zeros((2, 0)), np.zeros(0, dtype=bool), 0.5) == 0
    assert count_found(np.array([[np.inf, np.nan]]), BOTH, 0.5) == 0


def test_hits_at_every_threshold():
    hits = count_hits(target([[0.22]], mspd=[[12.0]]))
    assert hits.asked == 1 and hits.vsd is None
    np.testing.assert_array_equal(hits.mssd, STEPS > 0.22)
    np.testing.assert_array_equal(hits.mspd, [0, 0, 1, 1, 1, 1, 1, 1, 1, 1])


def test_three_of_twenty_pixels_wrong_are_below_the_third_threshold_as_in_the_benchmark():
    hits = count_hits(target([[0.0]], vsd=np.full((1, 1, 10), 3 / 20)))
    np.testing.assert_array_equal(hits.vsd, np.tile([0, 0, 1, 1, 1, 1, 1, 1, 1, 1], (10, 1)))


def test_every_tau_is_matched_by_itself():
    vsd = np.ones((1, 1, 10))
    vsd[0, 0, 4:] = 0
    hits = count_hits(target([[0.0]], vsd=vsd))
    np.testing.assert_array_equal(hits.vsd.sum(axis=1), [0] * 4 + [10] * 6)


def test_recalls_are_pooled():
    # One of one and none of three: a quarter, not the mean of the two recalls.
    total = NOTHING + count_hits(target([[0.01]])) + count_hits(target([[9, 9, 9]]))
    assert recall(total.mssd, total.asked) == pytest.approx(np.full(10, 0.25))


def test_one_target_without_depth_leaves_no_vsd():
    total = count_hits(target([[0.0]], vsd=np.zeros((1, 1, 10)))) + count_hits(target([[0.0]]))
    assert total.vsd is None


def test_without_targets_no_recall_is_known():
    assert np.isnan(recall(NOTHING.mssd, NOTHING.asked)).all()

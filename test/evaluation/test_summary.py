"""Figures of a report from matches that can be counted by hand."""

import math

import numpy as np
import pytest
from judged_frames import judged, judged_matches

from casapose_ros.evaluation.matching import Judgement
from casapose_ros.evaluation.summary import TOTAL, summarise, target_errors


def total_of(matches):
    return summarise(judged([Judgement(matches, {})]), ["cube"], 0.4)[-1]


def test_recalls_count_missed_targets(estimate, missed):
    matches = [estimate(relative=r) for r in (0.01, 0.05, 0.15, 0.5)] + [missed()]
    total = total_of(matches)
    assert (total.targets, total.found) == (5, 4)
    assert total.recall_add_10 == pytest.approx(2 / 5)
    assert total.recall_add_20 == pytest.approx(3 / 5)
    assert total.auc_add == pytest.approx((0.98 + 0.9 + 0.7 + 0 + 0) / 5)


def test_summaries_are_per_object_and_in_total(estimate, missed):
    judgements = [
        Judgement([estimate("cube"), missed("bar")], {"cube": 0.8, "bar": 0.6}),
        Judgement([estimate("bar")], {"bar": 1.0}),
    ]
    cube, bar, total = summarise(judged(judgements), ["cube", "bar"], 0.4)
    assert [s.name for s in (cube, bar, total)] == ["cube", "bar", TOTAL]
    assert [s.recall_add_10 for s in (cube, bar, total)] == pytest.approx([1, 0.5, 2 / 3])
    assert [s.mean_mask_iou for s in (cube, bar, total)] == pytest.approx([0.8] * 3)


def test_an_object_hidden_too_much_is_no_target_but_its_estimates_count(estimate, missed):
    matches = [estimate(visibility=0.39), estimate(visibility=0.4), missed(visibility=0.1)]
    total = total_of(matches)
    assert (total.targets, total.found, total.estimates) == (1, 1, 2)


def test_false_positives_of_both_kinds_are_shares_of_all_estimates(estimate, missed, absent):
    matches = [estimate(), estimate(relative=0.5), absent(), estimate(), missed()]
    total = total_of(matches)
    assert (total.estimates, total.correct, total.wrong, total.absent) == (4, 2, 1, 1)
    assert total.absent_rate == 0.25 and total.wrong_rate == 0.25


def test_5cm_5deg_wants_both(estimate, missed):
    matches = [
        estimate(translation=0.049, rotation=4.9),
        estimate(translation=0.051, rotation=0.0),
        estimate(translation=0.0, rotation=5.1),
        missed(),
    ]
    assert total_of(matches).recall_5cm_5deg == 0.25


def test_medians_are_over_the_targets_with_an_estimate(estimate, missed):
    matches = [estimate(rotation=r, keypoints=2 * r) for r in (1.0, 2.0, 9.0)] + [missed()]
    total = total_of(matches)
    assert total.median_rotation == 2
    assert total.median_keypoints == 4 and total.mean_keypoints == 8


def test_without_targets_and_estimates_all_is_unknown():
    total = total_of([])
    assert total.targets == 0 and math.isnan(total.recall_add_10)
    assert math.isnan(total.median_rotation) and math.isnan(total.mean_mask_iou)
    assert math.isnan(total.absent_rate) and math.isnan(total.wrong_rate)


def test_target_errors_are_infinite_where_missed(estimate, missed, absent):
    matches = [estimate(relative=0.3), missed(), absent()]
    errors = target_errors(judged_matches(matches), 0.4, "add_relative")
    np.testing.assert_array_equal(errors, [0.3, np.inf])

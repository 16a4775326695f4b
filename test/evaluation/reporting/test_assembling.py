"""From records to a report, whatever the number of frames."""

import gc
import tracemalloc

import numpy as np
import pytest
from made_reports import made_report

from casapose_ros.evaluation.reporting import assembling


def test_a_report_says_which_frames_it_is_about():
    report = made_report(objects=3, frames=2)
    assert report.judgements.frames == ("000000/000000", "000000/000001")
    assert report.frames == 2 and len(report.judgements.rows) == 8


def test_bags_are_summed_up_one_by_one():
    report = made_report(objects=2, frames=5, bags=2)
    first, second = report.sources
    assert (first.name, first.targets, second.name, second.targets) == ("bag 0", 6, "bag 1", 4)
    assert first.recall_add_10 == second.recall_add_10 == report.total.recall_add_10 == 0.5
    assert first.mean_mask_iou == pytest.approx(0.8)


def test_a_stage_that_comes_late_is_unknown_before():
    collected = assembling._Times()
    for seconds in ({"network": 0.1}, {"pnp": 0.2, "network": 0.3}, {}):
        collected.add(seconds)
    times = collected.stages()
    assert list(times) == ["network", "pnp"]
    np.testing.assert_array_equal(times["network"], [0.1, 0.3, np.nan])
    np.testing.assert_array_equal(times["pnp"], [np.nan, 0.2, np.nan])


def test_a_report_holds_a_few_hundred_bytes_per_frame():
    """With three matches per frame; records and matches are some 10 KB."""
    made_report(frames=2)  # what is imported and cached once
    held = []
    for frames in (20, 220):  # far apart: lists grow in leaps, and other threads allocate as well
        tracemalloc.start()
        report = made_report(frames=frames)
        gc.collect()
        held.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
        assert report.frames == frames
    assert (held[1] - held[0]) / 200 < 1500

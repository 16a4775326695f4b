"""What a report holds together."""

import dataclasses

import numpy as np
import pytest
from made_reports import made_origin, made_report

from casapose_ros.evaluation.reporting.report import OPTIONAL


@pytest.mark.parametrize("part", OPTIONAL)
def test_what_was_not_measured_needs_a_reason(part):
    report = made_report()
    reasons = {"bop": "x"} | {part: ""}
    with pytest.raises(ValueError, match=f"no {part}"):
        dataclasses.replace(report, **{part: None}, not_measured=reasons)
    assert dataclasses.replace(report, **{part: None}, not_measured={"bop": "x", part: "y"})


def test_the_total_comes_last_and_is_no_object():
    report = made_report(objects=3)
    assert report.total.name == "all" and report.total.targets == 12
    assert report.names == ["object_00", "object_01", "object_02"]


def test_times_of_a_frame_add_up_where_all_are_known():
    report = made_report(frames=2)
    assert report.time_per_image == pytest.approx([0.102, 0.112])
    times = report.times | {"pnp": np.array([np.nan, 0.01])}
    total = dataclasses.replace(report, times=times).time_per_image
    assert np.isnan(total[0]) and total[1] == pytest.approx(0.12)
    assert dataclasses.replace(report, times={}).time_per_image.size == 0


def test_the_title_names_a_single_part():
    origin = made_origin()
    assert origin.title == "demo <8> on held_out/test"
    bags = dataclasses.replace(origin, data="2 bags", parts=("a.mcap", "b.mcap"))
    assert bags.title == "demo <8> on 2 bags"

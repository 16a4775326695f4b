"""The report's tables as text."""

import dataclasses

import numpy as np
import pytest
from made_reports import full_report, made_delivery, made_report

from casapose_ros.evaluation.bop19 import AverageRecalls
from casapose_ros.evaluation.reporting import quality_tables, tables
from casapose_ros.evaluation.statistics.confusion import Confusion


def texts(grid: tables.Grid) -> list[list[str]]:
    return [[cell.text for cell in row] for row in grid.rows]


def column(grid: tables.Grid, title: str) -> list[tables.Cell]:
    (index,) = (i for i, head in enumerate(grid.heads) if head.title == title)
    return [row[index] for row in grid.rows]


def test_numbers_and_what_is_unknown():
    assert tables.number(1.25, 1) == "1.2" and tables.number(float("nan")) == "–"
    assert tables.percent(0.5) == "50.0" and tables.percent(float("nan")) == "–"


def test_every_table_has_a_cell_per_heading():
    report = full_report(objects=3)
    grids = [
        tables.object_table(report),
        tables.latency_table(report),
        tables.delivery_table(report.delivery),
        tables.drops_table(report.delivery),
        tables.origin_table(report),
        quality_tables.bop_table(report.bop),
        quality_tables.detection_table(report.detection),
        quality_tables.coverage_table(report.coverage),
        quality_tables.confusion_table(report.confusion),
    ]
    for grid in grids:
        assert {len(row) for row in grid.rows} == {len(grid.heads)}, grid.name
    assert len({grid.name for grid in grids}) == len(grids)


def test_figures_per_object_are_in_the_units_of_their_headings():
    grid = tables.object_table(made_report())
    assert [cell.text for cell in column(grid, "object")] == ["object_00", "object_01", "all"]
    assert [cell.text for cell in column(grid, "ADD 10 %")] == ["0.0", "100.0", "50.0"]
    assert [cell.text for cell in column(grid, "trans mm")] == ["50.0", "1.0", "25.5"]
    assert [cell.text for cell in column(grid, "wrong %")] == ["100.0", "50.0", "66.7"]
    assert [cell.text for cell in column(grid, "mask IoU")] == ["0.80"] * 3


def test_intervals_stand_below_the_figures_or_the_caption_says_why_not():
    report = made_report()
    grid = tables.object_table(report)
    assert "95 % confidence" in grid.caption
    # Four frames that are all alike: (0.025) ** (1 / 4).
    assert column(grid, "ADD 10 %")[1].note == "39.8–100.0"
    assert column(grid, "targets")[0].note == ""
    without = dataclasses.replace(
        report, intervals=None, not_measured=report.not_measured | {"intervals": "one frame only"}
    )
    grid = tables.object_table(without)
    assert "one frame only" in grid.caption
    assert not any(cell.note for row in grid.rows for cell in row)


def test_several_bags_have_a_row_each():
    report = made_report(objects=3, frames=5, bags=2)
    grid = tables.source_table(report)
    assert [row[0].text for row in grid.rows] == ["bag 0", "bag 1"]
    assert [row[1].text for row in grid.rows] == ["9", "6"]  # targets: three frames, and two
    assert sum(s.targets for s in report.sources) == report.total.targets
    assert made_report(frames=5).sources == ()


def test_times_are_in_milliseconds():
    report = dataclasses.replace(made_report(), times={"network": np.array([0.1, 0.3])})
    grid = tables.latency_table(report)
    assert texts(grid) == [
        ["network", "2", "200.0", "200.0", "290.0", "300.0"],
        ["all", "2", "200.0", "200.0", "290.0", "300.0"],
    ]


def test_images_of_a_replay_are_all_accounted_for():
    rows = texts(tables.drops_table(made_delivery()))
    counts = [int(count) for _, count in rows]
    assert sum(counts[:-1]) == counts[-1] == 4
    assert counts[:2] == [3, 1]
    age = texts(tables.delivery_table(made_delivery()))[1]
    assert age[1:4] == ["3", "70.0", "70.0"]


def test_what_is_not_known_of_the_origin_is_left_out():
    report = made_report()
    facts = dict(texts(tables.origin_table(report)))
    assert facts["weights (SHA-256)"] == "abc123" and facts["CPU"] == "abacus"
    assert facts["data"] == "held_out, test" and "40 %" in facts["targets"]
    origin = dataclasses.replace(report.origin, weights_sha256="", network_size=None)
    facts = dict(texts(tables.origin_table(dataclasses.replace(report, origin=origin))))
    assert not {"weights (SHA-256)", "network input"} & set(facts)


def test_scores_of_the_benchmark_say_what_they_leave_out():
    bop = full_report().bop
    grid = quality_tables.bop_table(bop)
    assert [cell.text for cell in column(grid, "AR VSD")] == ["–"] * 3
    assert "without VSD: the data set has no depth" in quality_tables.bop_remarks(bop)[0]
    scores = AverageRecalls("all", 5, 0.5, 0.25, 0.5, 0.75)
    complete = dataclasses.replace(bop, total=scores, without_vsd="", targets_from_truth=False)
    assert quality_tables.bop_remarks(complete) == []
    row = texts(quality_tables.bop_table(complete))[-1]
    assert row == ["all", "5", "50.0", "25.0", "50.0", "75.0"]
    partial = dataclasses.replace(complete, unknown={9: 4}, absent_images=2)
    remarks = " ".join(quality_tables.bop_remarks(partial))
    assert "9 (4)" in remarks and "2 images" in remarks


def test_precision_and_recall_are_those_at_the_usual_threshold():
    grid = quality_tables.detection_table(made_report().detection)
    assert [cell.text for cell in column(grid, "precision")] == ["0.0", "50.0", "33.3"]
    assert [cell.text for cell in column(grid, "recall")] == ["0.0", "100.0", "50.0"]


def test_confusion_is_shaded_by_its_share_of_the_row():
    counts = np.array([[8, 2, 0], [0, 0, 4], [1, 0, 0]])
    confusion = Confusion(("cube", "bar"), counts, ignored=np.array([0, 3]))
    assert "3 on objects that are too hidden" in quality_tables.confusion_remark(confusion)
    grid = quality_tables.confusion_table(confusion)
    assert texts(grid) == [
        ["cube", "8", "2", "·"],
        ["bar", "·", "·", "4"],
        ["none", "1", "·", ""],
    ]
    right, mistaken = grid.rows[0][1], grid.rows[0][2]
    assert right.good and not mistaken.good
    assert right.shade > mistaken.shade > 0 == grid.rows[0][3].shade
    assert grid.rows[1][3].shade == pytest.approx(quality_tables.MOST_SHADE)
    assert not grid.rows[1][3].good and not grid.rows[2][1].good

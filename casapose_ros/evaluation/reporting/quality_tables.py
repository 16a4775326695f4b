"""The tables of the statistics beyond the summaries: detection, covariances, confusion, BOP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from casapose_ros.evaluation.reporting.tables import Cell, Grid, Head, number, percent

if TYPE_CHECKING:
    from casapose_ros.evaluation.bop19 import AverageRecalls, BopScores
    from casapose_ros.evaluation.statistics.confusion import Confusion
    from casapose_ros.evaluation.statistics.coverage import Coverage, CoverageRow
    from casapose_ros.evaluation.statistics.detection import Detection, ObjectDetection

LEAST_SHADE, MOST_SHADE = 0.12, 0.55
"""Tint of a cell with a single one of many, and of one with all of them; text stays readable."""


def bop_table(bop: BopScores) -> Grid:
    """Average recalls per object."""
    heads = (
        Head("object"),
        Head("targets", "true instances that the benchmark asks for"),
        Head("AR", "average recall: the mean of those to the right"),
        Head("AR VSD", "of the visible surface discrepancy"),
        Head("AR MSSD", "of the maximum symmetry-aware surface distance"),
        Head("AR MSPD", "of the maximum symmetry-aware projection distance"),
    )
    rows = tuple(_bop_row(scores) for scores in (*bop.objects, bop.total))
    caption = "Average recall by the rules of the BOP challenge since 2019, %"
    return Grid("bop", caption, heads, rows, total=True)


def bop_remarks(bop: BopScores) -> list[str]:
    """What one must know to compare these scores with others, a sentence each."""
    remarks = []
    if bop.without_vsd:
        remarks.append(f"AR is the mean of MSSD and MSPD alone, without VSD: {bop.without_vsd}.")
    if bop.targets_from_truth:
        remarks.append(
            "There is no list of targets: every object with visible instances is asked for."
        )
    if bop.unknown:
        ids = ", ".join(f"{bop_id} ({count})" for bop_id, count in sorted(bop.unknown.items()))
        remarks.append(f"Not counted, as the model does not know them: BOP ids (targets) {ids}.")
    if bop.absent_images:
        remarks.append(f"Not counted: {bop.absent_images} images with targets that were left out.")
    return remarks


def detection_table(detection: Detection) -> Grid:
    """Precision, recall and average precision per object."""
    least, most = (percent(detection.thresholds[i], 0) for i in (0, -1))
    heads = (
        Head("object"),
        Head("targets", "true objects that are visible enough"),
        Head("estimates", "those that count"),
        Head("ignored", "estimates of objects that are too hidden to be targets"),
        Head("precision", "share of the estimates with ADD(-S) below 10 % of the diameter"),
        Head("recall", "share of the targets with such an estimate"),
        Head("AP 10 %", "average precision: the area under precision over recall, at 10 %"),
        Head("mAP", f"mean over thresholds of {least} to {most} % of the diameter"),
    )
    rows = tuple(_detection_row(obj) for obj in detection.objects)
    caption = "Precision and recall of the estimates, %"
    return Grid("detection", caption, heads, rows, total=True)


def coverage_table(coverage: Coverage) -> Grid:
    """How often the truth is inside the ellipsoids that the covariances span."""
    levels = tuple(
        Head(f"in {percent(level, 0)} %", f"share inside the {percent(level, 0)} % ellipsoid")
        for level in coverage.levels
    )
    heads = (
        Head("of", "keypoints (2 degrees of freedom) or poses (6) of correct or of all estimates"),
        Head("measured", "how many were looked at"),
        Head("unstated", "how many more have no covariance"),
        *levels,
        Head("factor", "what to multiply covariances by for half of the truths inside of 50 %"),
    )
    rows = tuple(_coverage_row(row) for row in coverage.rows)
    caption = "Share of true values inside the ellipsoids of the covariances, %"
    return Grid("coverage", caption, heads, rows)


def confusion_table(confusion: Confusion) -> Grid:
    """What was estimated where which object truly is; rows are the truth, columns the estimates."""
    heads = (Head("true object"), *map(Head, confusion.columns))
    rows = []
    for row, name in enumerate(confusion.rows):
        counts = confusion.counts[row].tolist()
        cells = [
            _count_cell(count, sum(counts), column == row) for column, count in enumerate(counts)
        ]
        if row == len(confusion.names):  # nothing there and nothing said: that is everywhere
            cells[-1] = Cell("")
        rows.append((Cell(name), *cells))
    caption = "Rows: truth. Columns: estimate."
    return Grid("confusion", caption, heads, tuple(rows))


def confusion_remark(confusion: Confusion) -> str:
    """How to read the table."""
    words = (
        "Each estimate counts in the row of the true object that it lies on and in the column of "
        "the object that it says it is."
    )
    ignored = int(confusion.ignored.sum())
    if ignored:
        words += f" Not counted: {ignored} on objects that are too hidden to be targets."
    return words


def _bop_row(scores: AverageRecalls) -> tuple[Cell, ...]:
    vsd = float("nan") if scores.vsd is None else scores.vsd
    shares = (scores.average_recall, vsd, scores.mssd, scores.mspd)
    return (Cell(scores.name), Cell(str(scores.targets)), *(Cell(percent(s)) for s in shares))


def _detection_row(obj: ObjectDetection) -> tuple[Cell, ...]:
    counts = (obj.targets, obj.estimates, obj.ignored)
    shares = (obj.precision, obj.recall, obj.average_precision, obj.mean_average_precision)
    return (Cell(obj.name), *(Cell(str(n)) for n in counts), *(Cell(percent(s)) for s in shares))


def _coverage_row(row: CoverageRow) -> tuple[Cell, ...]:
    inside = (Cell(percent(share)) for share in row.inside)
    counts = (Cell(str(row.count)), Cell(str(row.unstated)))
    return (Cell(f"{row.what}, {row.of}"), *counts, *inside, Cell(number(row.factor, 2)))


def _count_cell(count: int, of: int, right: bool) -> Cell:
    if count == 0:
        return Cell("·")
    shade = LEAST_SHADE + (MOST_SHADE - LEAST_SHADE) * count / of
    return Cell(str(count), shade=shade, good=right)

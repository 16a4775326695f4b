"""The report's tables as plain text cells; ``html`` and ``terminal`` lay them out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from casapose_ros.evaluation.delivery import Delivery
from casapose_ros.evaluation.reporting.latency import Spread, spread
from casapose_ros.evaluation.reporting.report import Report
from casapose_ros.evaluation.summary import Summary

if TYPE_CHECKING:
    from casapose_ros.evaluation.statistics.bootstrap import Interval


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        text: What it says.
        note: Something smaller below, for example a confidence interval.
        shade: How strongly its background is tinted, 0..1.
        good: Whether the tint means something good.
    """

    text: str
    note: str = ""
    shade: float = 0.0
    good: bool = True


@dataclass(frozen=True)
class Head:
    """The heading of a column, and what it stands for where that is not plain."""

    title: str
    meaning: str = ""


@dataclass(frozen=True)
class Grid:
    """A table.

    Attributes:
        name: Its name in the page, without spaces.
        caption: What it is about.
        heads: One per column; the first column names the rows.
        rows: As many cells per row as there are heads.
        total: Whether the last row sums up the others.
    """

    name: str
    caption: str
    heads: tuple[Head, ...]
    rows: tuple[tuple[Cell, ...], ...]
    total: bool = False


@dataclass(frozen=True)
class Column:
    """One figure of a summary as a column.

    Attributes:
        title: Its heading.
        meaning: What the heading stands for.
        measure: The field of ``Summary``.
        factor: From the field's unit to the one shown.
        digits: After the decimal point.
        brief: Whether it is also shown where there is little room.
    """

    title: str
    meaning: str
    measure: str
    factor: float = 1.0
    digits: int = 1
    brief: bool = True

    def text(self, summary: Summary) -> str:
        """The figure as text."""
        return number(self.factor * getattr(summary, self.measure), self.digits)


COLUMNS = (
    Column("targets", "true objects that are visible enough", "targets", digits=0),
    Column("found", "targets with an estimate", "found", digits=0, brief=False),
    Column("ADD 10 %", "share with ADD(-S) below 10 % of the diameter", "recall_add_10", 100),
    Column("ADD 20 %", "share with ADD(-S) below 20 %", "recall_add_20", 100),
    Column(
        "AUC",
        "area under recall over ADD(-S) up to 10 cm",
        "auc_add",
        100,
        brief=False,
    ),
    Column("2DP 5 px", "share with less projection error", "recall_projection", 100),
    Column("5cm 5°", "share below both", "recall_5cm_5deg", 100),
    Column("rot °", "median rotation error", "median_rotation"),
    Column("trans mm", "median translation error", "median_translation", 1000),
    Column("kpts px", "median keypoint error", "median_keypoints"),
    Column("mask IoU", "mean overlap of the masks", "mean_mask_iou", digits=2, brief=False),
    Column("poses", "all estimates that the model gave", "estimates", digits=0),
    Column("wrong", "estimates with a wrong pose", "wrong", digits=0),
    Column("wrong %", "their share of all estimates", "wrong_rate", 100, brief=False),
    Column("absent", "estimates of objects that are not there", "absent", digits=0),
    Column("absent %", "their share of all estimates", "absent_rate", 100, brief=False),
)
SPREAD_HEADS = (
    Head("measured", "how often"),
    Head("mean"),
    Head("median"),
    Head("p95", "95 % are shorter"),
    Head("longest"),
)


def number(value: float, digits: int = 1) -> str:
    """A number as text; a dash where it is unknown."""
    return "–" if math.isnan(value) else f"{value:.{digits}f}"


def percent(value: float, digits: int = 1) -> str:
    """A fraction as text in percent, without the sign; a dash where it is unknown."""
    return number(100 * value, digits)


def object_table(report: Report) -> Grid:
    """The summaries, one row per object, with the confidence intervals where they are known."""
    if report.intervals is None:
        words = f"no confidence intervals: {report.not_measured['intervals']}"
    else:
        words = f"small: {percent(report.intervals.level, 0)} % confidence intervals"
    heads = (Head("object"), *(Head(column.title, column.meaning) for column in COLUMNS))
    rows = tuple(
        (Cell(s.name), *(Cell(c.text(s), _interval(report, s.name, c)) for c in COLUMNS))
        for s in report.summaries
    )
    return Grid("objects", f"Figures per object, shares in %; {words}", heads, rows, total=True)


def source_table(report: Report) -> Grid:
    """All objects together, one row per scene or bag."""
    heads = (Head("source"), *(Head(column.title, column.meaning) for column in COLUMNS))
    rows = tuple((Cell(s.name), *(Cell(c.text(s)) for c in COLUMNS)) for s in report.sources)
    return Grid("sources", "Figures per scene or bag, all objects, shares in %", heads, rows)


def latency_table(report: Report) -> Grid:
    """The times of each stage and of all together."""
    stages = report.times | {"all": report.time_per_image}
    rows = tuple(_spread_row(stage, spread(times)) for stage, times in stages.items())
    heads = (Head("stage"), *SPREAD_HEADS)
    return Grid("latency", "Processing time per image, ms", heads, rows, total=True)


def delivery_table(delivery: Delivery) -> Grid:
    """How long a live replay waited for its poses."""
    rows = (
        ("latency", "from the publication of an image to the arrival of its poses"),
        ("age", "from the time stamp of an image to the publication of its poses"),
        ("lateness", "of the images themselves: how far the replay was behind the recording"),
    )
    times = (delivery.latencies, delivery.ages, delivery.lateness)
    cells = tuple(
        _spread_row(f"{name}: {words}", spread(seconds))
        for (name, words), seconds in zip(rows, times, strict=True)
    )
    return Grid("delivery", "Times of the live replay, ms", (Head("time"), *SPREAD_HEADS), cells)


def drops_table(delivery: Delivery) -> Grid:
    """What became of the images of a live replay."""
    drops = delivery.drops
    fates = {
        "answered": delivery.answered,
        "gave way to a newer image, as the node was busy": drops.busy,
        "refused by the node": drops.rejected,
        "lost on the way to the node, or overtaken in its queue of one": drops.lost,
        "answered, but the poses were lost on the way back": drops.answers_lost,
        "not answered, nothing says why": drops.unknown,
        "sent": delivery.sent,
    }
    rows = tuple((Cell(fate), Cell(str(count))) for fate, count in fates.items())
    caption = "What became of the images of the live replay"
    return Grid("drops", caption, (Head("fate"), Head("images")), rows, total=True)


def origin_table(report: Report) -> Grid:
    """What was measured, on what, with what."""
    origin = report.origin
    size = origin.network_size
    facts = {
        "model": origin.model,
        "weights (SHA-256)": origin.weights_sha256,
        "data": ", ".join((origin.data, *origin.parts)),
        "frames": str(report.frames),
        "network input": f"{size[0]}x{size[1]} px" if size else "",
        "settings": ", ".join(f"{name} {value}" for name, value in origin.settings.items()),
        "targets": f"true objects of which at least {100 * report.min_visibility:.0f} % is visible",
        "created": origin.created,
        **origin.machine,
        "software": ", ".join(f"{name} {text}" for name, text in origin.software.items()),
    }
    rows = tuple((Cell(name), Cell(text)) for name, text in facts.items() if text)
    return Grid("origin", "Data, model, machine and software", (Head("what"), Head("value")), rows)


def _interval_text(interval: Interval, factor: float, digits: int) -> str:
    """Both ends of an interval; nothing where it is unknown."""
    if math.isnan(interval.low):
        return ""
    return f"{number(factor * interval.low, digits)}–{number(factor * interval.high, digits)}"


def _interval(report: Report, name: str, column: Column) -> str:
    if report.intervals is None:
        return ""
    interval = report.intervals.of(name, column.measure)
    return _interval_text(interval, column.factor, column.digits)


def _spread_row(name: str, times: Spread) -> tuple[Cell, ...]:
    figures = (times.mean, times.median, times.p95, times.largest)
    return (Cell(name), Cell(str(times.count)), *(Cell(number(1000 * t)) for t in figures))

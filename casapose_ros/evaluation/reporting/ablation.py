"""Tables that put several runs on one data set below each other."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import rich.table
from rich.box import SIMPLE_HEAD
from rich.markup import escape

from casapose_ros.evaluation.reporting.latency import spread
from casapose_ros.evaluation.reporting.report import Report
from casapose_ros.evaluation.reporting.tables import number, percent
from casapose_ros.files import make_folder, replacing

Column = Callable[[Report], str]


def _interval(report: Report, measure: str) -> str:
    """A recall of all objects with its confidence interval, percent."""
    interval = report.intervals.of(report.total.name, measure)
    value = percent(getattr(report.total, measure))
    return f"{value} ({percent(interval.low)} to {percent(interval.high)})"


COLUMNS: dict[str, Column] = {
    "2DP < 5 px, %": lambda r: _interval(r, "recall_projection"),
    "ADD(-S) < 10 %, %": lambda r: _interval(r, "recall_add_10"),
    "keypoints px": lambda r: number(r.total.median_keypoints),
    "mask IoU": lambda r: number(r.total.mean_mask_iou, 3),
    "poses": lambda r: str(r.total.estimates),
    "wrong": lambda r: str(r.total.wrong),
    "absent": lambda r: str(r.total.absent),
    "network ms": lambda r: _milliseconds(r, "network"),
    "keypoints ms": lambda r: _milliseconds(r, "keypoints"),
}
"""The paper's two columns first; medians over targets and times over images."""


@dataclass(frozen=True)
class Table:
    """Several runs, one per row.

    Attributes:
        title: What is compared.
        settings: What all rows have in common.
        reports: The runs by the name of the variant.
        meanings: What a variant is, by name.
    """

    title: str
    settings: str
    reports: Mapping[str, Report]
    meanings: Mapping[str, str]

    def rows(self) -> dict[str, list[str]]:
        """Texts of the columns by variant."""
        return {
            name: [column(report) for column in COLUMNS.values()]
            for name, report in self.reports.items()
        }

    @property
    def caption(self) -> str:
        """On what it was measured."""
        report = next(iter(self.reports.values()))
        data = "/".join((report.origin.data, *report.origin.parts))
        return (
            f"{self.settings}; {data}: {report.frames} images, {report.total.targets} objects "
            f"visible by {100 * report.min_visibility:.0f} % or more"
        )

    def rich(self) -> rich.table.Table:
        """For the terminal."""
        table = rich.table.Table(
            title=self.title, caption=escape(self.caption), box=SIMPLE_HEAD, padding=0
        )
        table.add_column("variant")
        for name in COLUMNS:
            table.add_column(name.replace(" ", "\n", 1), justify="right")
        for name, row in self.rows().items():
            # Intervals are for documents: a terminal is not wide enough for them.
            table.add_row(name, *(text.split(" ")[0] for text in row))
        return table

    def markdown(self) -> str:
        """For documents."""
        lines = [f"### {self.title}", "", f"{self.caption}; in brackets 95 % confidence.", ""]
        lines.append("| variant | what it is | " + " | ".join(COLUMNS) + " |")
        lines.append("|---|---|" + "---:|" * len(COLUMNS))
        lines += [
            f"| `{name}` | {self.meanings[name]} | " + " | ".join(row) + " |"
            for name, row in self.rows().items()
        ]
        return "\n".join(lines) + "\n"


def write_tables(tables: Sequence[Table], folder: Path) -> None:
    """Write ``tables.md`` and ``tables.json``.

    Raises:
        OutputError: A file cannot be written.
    """
    make_folder(folder)
    with replacing(folder / "tables.md") as part:
        part.write_text("\n".join(table.markdown() for table in tables))
    values = [
        {
            "title": table.title,
            "settings": table.caption,
            "rows": {n: dict(zip(COLUMNS, r, strict=True)) for n, r in table.rows().items()},
        }
        for table in tables
    ]
    with replacing(folder / "tables.json") as part:
        part.write_text(json.dumps(values, indent=1) + "\n")


def _milliseconds(report: Report, stage: str) -> str:
    return number(1000 * spread(report.times[stage]).median) if stage in report.times else "–"

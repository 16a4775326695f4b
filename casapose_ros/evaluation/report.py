"""The result of an evaluation: as a table, as JSON and as CSV; ``html`` makes a page of it."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from casapose_ros.config import to_dict
from casapose_ros.evaluation.calibration import Reliability
from casapose_ros.evaluation.matching import Match, PoseErrors
from casapose_ros.evaluation.summary import TOTAL, Summary


@dataclass(frozen=True)
class Report:
    """Everything that is said about one run.

    Attributes:
        model: Name of the model bundle.
        dataset: Name of the data set folder.
        split: Its part that was used.
        frames: Images evaluated.
        network_size: (width, height) px of the network's input.
        min_visibility: Visible fraction from which a true object is a target.
        created: When, as ISO 8601 text.
        versions: Versions of the software that matter, by name.
        ignored: True objects per BOP id that the model does not know.
        times: Mean seconds per image and stage.
        summaries: Per object, the total last.
        reliability: Of the score.
        matches: Every estimate and every missed object.
    """

    model: str
    dataset: str
    split: str
    frames: int
    network_size: tuple[int, int]
    min_visibility: float
    created: str
    versions: dict[str, str]
    ignored: dict[int, int]
    times: dict[str, float]
    summaries: list[Summary]
    reliability: Reliability
    matches: list[Match]

    @property
    def total(self) -> Summary:
        """The summary over all objects."""
        return self.summaries[-1]

    @property
    def time_per_image(self) -> float:
        """Mean seconds per image, all stages."""
        return sum(self.times.values())


@dataclass(frozen=True)
class Column:
    """One column of the table.

    Attributes:
        title: Its heading.
        meaning: What the heading stands for.
        text: How a summary fills it.
        brief: Whether it is also shown where there is little room.
    """

    title: str
    meaning: str
    text: Callable[[Summary], str]
    brief: bool = True


def number(value: float, digits: int = 1) -> str:
    """A number as text; a dash where it is unknown."""
    return "–" if math.isnan(value) else f"{value:.{digits}f}"


def percent(value: float) -> str:
    """A fraction as text in percent, without the sign; a dash where it is unknown."""
    return number(100 * value)


COLUMNS = (
    Column("object", "name", lambda s: s.name),
    Column("targets", "true objects that are visible enough", lambda s: str(s.targets)),
    Column("found", "targets with an estimate", lambda s: str(s.found), brief=False),
    Column(
        "ADD 10 %", "% with ADD(-S) below 10 % of the diameter", lambda s: percent(s.recall_add_10)
    ),
    Column("ADD 20 %", "% with ADD(-S) below 20 %", lambda s: percent(s.recall_add_20)),
    Column(
        "AUC",
        "% of the area under the ADD(-S) curve to 10 cm",
        lambda s: percent(s.auc_add),
        brief=False,
    ),
    Column("2DP 5 px", "% with less projection error", lambda s: percent(s.recall_projection)),
    Column("5cm 5°", "% below both", lambda s: percent(s.recall_5cm_5deg)),
    Column("rot °", "median rotation error", lambda s: number(s.median_rotation)),
    Column("trans mm", "median translation error", lambda s: number(1000 * s.median_translation)),
    Column("kpts px", "median keypoint error", lambda s: number(s.median_keypoints)),
    Column("mask IoU", "mean overlap", lambda s: number(s.mean_mask_iou, 2), brief=False),
    Column("poses", "all estimates that the model gave", lambda s: str(s.estimates)),
    Column("wrong", "estimates with a wrong pose", lambda s: str(s.wrong)),
    Column("absent", "estimates of objects that are not there", lambda s: str(s.absent)),
)


def table(report: Report) -> Table:
    """The summaries as a table for the terminal."""
    title = f"{report.model} on {report.dataset}/{report.split}"
    result = Table(title=title, box=SIMPLE_HEAD, padding=0)
    columns = [column for column in COLUMNS if column.brief]
    for column in columns:
        justify = "left" if column is COLUMNS[0] else "right"
        result.add_column(column.title.replace(" ", "\n", 1), justify=justify)
    for summary in report.summaries:
        style = "bold" if summary.name == TOTAL else None
        result.add_row(*(column.text(summary) for column in columns), style=style)
    return result


def headlines(report: Report) -> list[str]:
    """The figures that the project is measured by, one sentence each."""
    total, (width, height) = report.total, report.network_size
    stages = ", ".join(f"{stage} {1000 * time:.0f}" for stage, time in report.times.items())
    absent = f"{total.absent} of {total.estimates} estimates ({percent(total.absent_rate)} %)"
    wrong = f"{total.wrong} ({percent(total.wrong_rate)} %)"
    visible = f"{100 * report.min_visibility:.0f} %"
    lines = [
        f"{report.frames} frames, {total.targets} targets that are at least {visible} visible",
        f"recall {percent(total.recall_add_10)} % (ADD(-S) below 10 % of the diameter)",
        f"{absent} are of objects not in the image, {wrong} have a wrong pose",
        f"{1000 * report.time_per_image:.0f} ms per image at {width}x{height}: {stages}",
    ]
    if report.ignored:
        ids = ", ".join(f"{bop_id} ({count})" for bop_id, count in report.ignored.items())
        lines.append(f"not asked for, as the model does not know them: BOP ids (times) {ids}")
    return lines


def write_json(report: Report, path: Path) -> None:
    """Write all but the matches; unknown numbers become null."""
    fields = {f.name: getattr(report, f.name) for f in dataclasses.fields(report)}
    del fields["matches"]
    values = to_dict(fields)
    for plain, summary in zip(values["summaries"], report.summaries, strict=True):
        plain |= {"absent_rate": summary.absent_rate, "wrong_rate": summary.wrong_rate}
    path.write_text(json.dumps(_finite(values), indent=1, allow_nan=False) + "\n")


def write_summary_csv(summaries: Sequence[Summary], path: Path) -> None:
    """Write one line per object and the total; metres, degrees, fractions."""
    header = [f.name for f in dataclasses.fields(Summary)]
    _write_csv(path, header, [dataclasses.astuple(summary) for summary in summaries])


def write_matches_csv(matches: Sequence[Match], path: Path) -> None:
    """Write one line per estimate or missed object; errors are empty where there is none."""
    header = ["frame", "name", "outcome", "score", "visibility"]
    measures = [f.name for f in dataclasses.fields(PoseErrors)]
    rows = [
        [m.frame, m.name, m.outcome.value, m.score, m.visibility, *dataclasses.astuple(m.errors)]
        for m in matches
    ]
    _write_csv(path, header + measures, rows)


def _write_csv(path: Path, header: list[str], rows: Iterable[Sequence[Any]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(_finite(row) for row in rows)


def _finite(value: Any) -> Any:
    """Plain values for JSON and CSV, None in place of what is not finite."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, np.ndarray):
        return _finite(value.tolist())
    if isinstance(value, np.generic):
        return _finite(value.item())
    return None if isinstance(value, float) and not math.isfinite(value) else value

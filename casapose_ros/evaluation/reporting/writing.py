"""The files of a report: for reading, for other programs, and as pictures."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from casapose_ros.config import to_dict
from casapose_ros.evaluation.delivery import Delivery
from casapose_ros.evaluation.judgements import MEASURES, Judgements
from casapose_ros.evaluation.reporting.charts import Chart, draw_charts
from casapose_ros.evaluation.reporting.html import page
from casapose_ros.evaluation.reporting.latency import spread
from casapose_ros.evaluation.reporting.pictures import Picture
from casapose_ros.evaluation.reporting.report import Report
from casapose_ros.evaluation.summary import Summary
from casapose_ros.files import make_folder, replacing

FORMAT_VERSION = 1
PICTURES = "pictures"
CHART_PREFIX, FRAME_PREFIX = "chart-", "worst-"


def write_report(report: Report, worst: Sequence[Picture], folder: Path) -> None:
    """Write all files of a report; those of an earlier one are replaced.

    Args:
        report: The figures.
        worst: The frames that went worst, worst first.
        folder: Gets ``report.html``, ``report.json``, ``objects.csv``, ``matches.csv`` and a
            folder ``pictures`` with every chart and frame as a PNG file.

    Raises:
        OutputError: A file cannot be written.
    """
    make_folder(folder)
    write_summary_csv(report.summaries, folder / "objects.csv")
    write_matches_csv(report.judgements, folder / "matches.csv")
    charts = draw_charts(report)
    write_pictures(charts, worst, folder / PICTURES)
    with replacing(folder / "report.html") as part:
        part.write_text(page(report, charts, worst), encoding="utf-8")
    # Last: it says of which records all of this is, and stands for a report that is complete.
    write_json(report, folder / "report.json")


def write_json(report: Report, path: Path) -> None:
    """Write all but the judgements; times as their spread; unknown numbers become null."""
    fields = {f.name: getattr(report, f.name) for f in dataclasses.fields(report)}
    del fields["judgements"]
    stages = report.times | ({"all": report.time_per_image} if report.times else {})
    fields["times"] = {stage: spread(seconds) for stage, seconds in stages.items()}
    if report.delivery is not None:
        fields["delivery"] = _delivery(report.delivery)
    values = {"format": FORMAT_VERSION} | to_dict(fields)
    for plain, summary in zip(values["summaries"], report.summaries, strict=True):
        plain |= {"absent_rate": summary.absent_rate, "wrong_rate": summary.wrong_rate}
    with replacing(path) as part, part.open("w") as file:
        # Arrays one by one, when it is their turn: some have a number for every estimate.
        json.dump(_finite(values), file, indent=1, allow_nan=False, default=_listed)
        file.write("\n")


def _delivery(delivery: Delivery) -> dict[str, Any]:
    """A replay without its single images."""
    names = ("sent", "answered", "dropped", "rate", "speed", "reliable", "warm_up", "drops")
    spreads = {name: spread(getattr(delivery, name)) for name in ("latencies", "ages", "lateness")}
    return {name: getattr(delivery, name) for name in names} | spreads


def write_summary_csv(summaries: Sequence[Summary], path: Path) -> None:
    """Write one line per object and the total; metres, degrees, fractions."""
    header = [f.name for f in dataclasses.fields(Summary)]
    _write_csv(path, header, [dataclasses.astuple(summary) for summary in summaries])


def write_matches_csv(judgements: Judgements, path: Path) -> None:
    """Write one line per estimate or missed object; errors are empty where there is none."""
    header = ["frame", "name", "outcome", "score", "visibility", "truth"]
    rows = (
        [m.frame, m.name, m.outcome.value, m.score, m.visibility, m.truth]
        + [getattr(m.errors, measure) for measure in MEASURES]
        for m in judgements.matches()
    )
    _write_csv(path, [*header, *MEASURES], rows)


def write_pictures(charts: dict[str, Chart], worst: Sequence[Picture], folder: Path) -> None:
    """Write charts and frames as PNG files, and delete those that an earlier report left."""
    make_folder(folder)
    contents = {
        f"{CHART_PREFIX}{chart.name}.png": chart.png
        for chart in charts.values()
        if chart.png is not None
    }
    for rank, picture in enumerate(worst, start=1):
        bgr = cv2.cvtColor(picture.image, cv2.COLOR_RGB2BGR)
        name = re.sub(r"[^A-Za-z0-9.-]+", "-", picture.frame).strip("-.")[-80:]
        contents[f"{FRAME_PREFIX}{rank:02d}-{name}.png"] = cv2.imencode(".png", bgr)[1].tobytes()
    for old in folder.glob("*.png"):
        if old.name.startswith((CHART_PREFIX, FRAME_PREFIX)) and old.name not in contents:
            old.unlink(missing_ok=True)
    for name, content in contents.items():
        with replacing(folder / name) as part:
            part.write_bytes(content)


def _write_csv(path: Path, header: list[str], rows: Iterable[Sequence[Any]]) -> None:
    with replacing(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(_finite(row) for row in rows)


def _finite(value: Any) -> Any:
    """Plain values for JSON and CSV, None in place of what is not finite; arrays stay."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, np.generic):
        return _finite(value.item())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _listed(array: np.ndarray) -> list[Any]:
    return _finite(array.tolist())

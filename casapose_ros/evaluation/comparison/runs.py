"""An evaluation read back from the folder that it was written to."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from casapose_ros.errors import DatasetError
from casapose_ros.evaluation.comparison.figures import (
    AVERAGE_RECALL,
    CALIBRATION_ERROR,
    MEAN_AVERAGE_PRECISION,
    TIME,
    Figure,
)
from casapose_ros.evaluation.fingerprints import records_sha256
from casapose_ros.evaluation.matching import Judgement, Match, Outcome, PoseErrors, TrueObject
from casapose_ros.evaluation.record_log import LOG_FILE, read_log
from casapose_ros.evaluation.records import FrameRecord
from casapose_ros.evaluation.summary import TOTAL

FORMAT = 1
"""Of the reports that can be read here."""
REPORT, MATCHES = "report.json", "matches.csv"
MEASURES = tuple(field.name for field in fields(PoseErrors))


@dataclass(frozen=True)
class EvaluatedFrame:
    """One frame of a run.

    Attributes:
        truths: All true objects that the model knows.
        judgement: What became of the frame; its matches hold figures alone, no poses.
    """

    truths: tuple[TrueObject, ...]
    judgement: Judgement


@dataclass(frozen=True)
class EvaluatedRun:
    """What a folder says about a run.

    Attributes:
        folder: Where it was read.
        model: The model's name.
        data: Name of the data set or bag and of its parts.
        min_visibility: Visible fraction from which a true object is a target.
        names: The objects that the model knows.
        frames: By name, in the run's order.
        figures: Those of the whole report, without what it does not know.
        without_vsd: Whether its AR, if there is one, is without VSD.
    """

    folder: Path
    model: str
    data: tuple[str, ...]
    min_visibility: float
    names: tuple[str, ...]
    frames: dict[str, EvaluatedFrame]
    figures: dict[Figure, float]
    without_vsd: bool

    @property
    def title(self) -> str:
        """The model and the folder, which tells two runs of one model apart."""
        return f"{self.model} ({self.folder})"


def read_run(folder: Path) -> EvaluatedRun:
    """Read a folder that ``casapose evaluate`` or ``casapose bag evaluate`` wrote.

    Raises:
        DatasetError: A file is missing or damaged, or they are not of one run.
    """
    report = _read_report(folder / REPORT)
    records = read_log(folder / LOG_FILE)[1]
    matches = _read_matches(folder / MATCHES)
    try:
        if report["format"] != FORMAT:
            raise ValueError(f"its format is {report['format']}, not {FORMAT}")
        origin, min_visibility = report["origin"], float(report["min_visibility"])
        run = EvaluatedRun(
            folder=folder,
            model=origin["model"],
            data=(origin["data"], *origin["parts"]),
            min_visibility=min_visibility,
            names=tuple(s["name"] for s in report["summaries"] if s["name"] != TOTAL),
            frames={
                record.name: _frame(record, matches.get(record.name, []), min_visibility)
                for record in records
            },
            figures=_figures(report),
            without_vsd=bool((report["bop"] or {}).get("without_vsd")),
        )
        records_of_report = origin["records_sha256"]
        frames, estimates = report["frames"], report["summaries"][-1]["estimates"]
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise DatasetError(
            f"{folder / REPORT}: not a report of this version ({error!r}); evaluate again"
        ) from error
    if (
        # A report that was made of records in memory alone does not name its log.
        (records_of_report and records_of_report != records_sha256(folder / LOG_FILE))
        or len(run.frames) != frames
        or sum(m.is_estimate for mine in matches.values() for m in mine) != estimates
        or not matches.keys() <= run.frames.keys()
        or not all(_fits(frame, run.names) for frame in run.frames.values())
    ):
        raise DatasetError(
            f"{folder}: {REPORT}, {MATCHES} and {LOG_FILE} are not of one run, as after a second "
            "one that was stopped; evaluate again"
        )
    return run


def _frame(record: FrameRecord, matches: list[Match], min_visibility: float) -> EvaluatedFrame:
    """The same as :func:`~casapose_ros.evaluation.judging.judge` made of the record."""
    asked_for = {t.name for t in record.truths if t.visibility >= min_visibility}
    ious = {name: iou for name, iou in record.mask_ious.items() if name in asked_for}
    return EvaluatedFrame(record.truths, Judgement(matches, ious))


def _figures(report: dict[str, Any]) -> dict[Figure, float]:
    """The figures of a whole report that it knows."""
    values: dict[Figure, float | None] = {}
    if report["bop"]:
        values[AVERAGE_RECALL] = report["bop"]["total"]["average_recall"]
    if report["detection"]:
        precisions = report["detection"]["objects"][-1]["average_precisions"]
        values[MEAN_AVERAGE_PRECISION] = None if None in precisions else np.mean(precisions)
    values[CALIBRATION_ERROR] = report["reliability"]["error"]
    if report["times"]:
        values[TIME] = report["times"]["all"]["mean"]
    return {figure: float(value) for figure, value in values.items() if value is not None}


def _fits(frame: EvaluatedFrame, names: Sequence[str]) -> bool:
    """Whether the matches answer for each true object once."""
    answered = [m.truth for m in frame.judgement.matches if m.truth is not None]
    asked = [i for i, truth in enumerate(frame.truths) if truth.name in names]
    return sorted(answered) == asked


def _read_report(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise DatasetError(
            f"{path}: no such file; compare wants the folder that casapose evaluate wrote (--out)"
        ) from error
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: cannot be read: {error}") from error
    if not isinstance(values, dict):
        raise DatasetError(f"{path}: not a report")
    return values


def _read_matches(path: Path) -> dict[str, list[Match]]:
    """The matches by frame."""
    matches: dict[str, list[Match]] = {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            lines = file.readlines()
            if not lines or not lines[-1].endswith("\n"):
                raise DatasetError(f"{path}: is cut short; evaluate again")
            rows = csv.DictReader(lines)
            for row in rows:
                try:
                    match = _match(row)
                except (KeyError, TypeError, ValueError) as error:
                    raise DatasetError(
                        f"{path}: line {rows.line_num} is not a match of this version ({error!r}); "
                        "evaluate again"
                    ) from error
                matches.setdefault(match.frame, []).append(match)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path}: cannot be read: {error}") from error
    return matches


def _match(row: Mapping[str, str]) -> Match:
    return Match(
        frame=row["frame"],
        name=row["name"],
        outcome=Outcome(row["outcome"]),
        score=_number(row["score"], None),
        visibility=_number(row["visibility"], None),
        errors=PoseErrors(**{measure: _number(row[measure], np.inf) for measure in MEASURES}),
        truth=int(row["truth"]) if row["truth"] else None,
    )


def _number(text: str | None, unknown: float | None) -> float | None:
    if text is None:
        raise ValueError("the line is too short")
    return float(text) if text else unknown

"""From records to a report: every figure that follows from what was said about each frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from casapose_ros.evaluation.bop19 import BopScores
from casapose_ros.evaluation.fingerprints import records_sha256
from casapose_ros.evaluation.judging import judge
from casapose_ros.evaluation.matching import Judgement, Reference
from casapose_ros.evaluation.records import LOG_FILE, FrameRecord
from casapose_ros.evaluation.reporting.pictures import (
    Picture,
    caption,
    draw_judgement,
    worst_frames,
)
from casapose_ros.evaluation.reporting.report import Delivery, Origin, Report
from casapose_ros.evaluation.reporting.writing import write_report
from casapose_ros.evaluation.running import FrameSource
from casapose_ros.evaluation.statistics import confusion, coverage, detection
from casapose_ros.evaluation.statistics.bootstrap import intervals
from casapose_ros.evaluation.statistics.calibration import reliability
from casapose_ros.evaluation.summary import Summary, all_matches, summarise

SEED = 0
"""Of the bootstrap: the same records give the same intervals."""


def report_on(
    records: Sequence[FrameRecord],
    sources: Sequence[FrameSource],
    references: dict[str, Reference],
    origin: Origin,
    min_visibility: float,
    out: Path,
    **parts,
) -> Report:
    """Measure everything, draw the frames that went worst, and write it all into a folder.

    Args:
        records: The frames.
        sources: Where they came from.
        references: By name, every object that the model knows.
        origin: What was run on what.
        min_visibility: Visible fraction from which a true object is a target.
        out: The folder, which has the log of the records already; see
            :func:`~casapose_ros.evaluation.reporting.writing.write_report`.
        parts: Passed on to :func:`assemble`.

    Raises:
        OutputError: A file cannot be written.
    """
    judgements = [judge(record, references, min_visibility) for record in records]
    origin = replace(origin, records_sha256=records_sha256(out / LOG_FILE))
    report = assemble(records, judgements, references, origin, min_visibility, **parts)
    write_report(report, draw_worst(records, judgements, sources, references, min_visibility), out)
    return report


def assemble(
    records: Sequence[FrameRecord],
    judgements: Sequence[Judgement],
    references: dict[str, Reference],
    origin: Origin,
    min_visibility: float,
    *,
    bop: BopScores | str,
    problems: Sequence[str] = (),
    ignored: dict[int, int] | None = None,
    delivery: Delivery | None = None,
) -> Report:
    """Measure everything that there is to measure.

    Args:
        records: The frames.
        judgements: What became of them, in the same order.
        references: By name, every object that the model knows.
        origin: What was run on what.
        min_visibility: Visible fraction from which a true object is a target.
        bop: The benchmark's scores, or why there are none.
        problems: What was lost or skipped.
        ignored: True objects per BOP id that the model does not know.
        delivery: Of a live replay.
    """
    names = list(references)
    matches = all_matches(judgements)
    frames = [(j.matches, r.truths, r.camera) for j, r in zip(judgements, records, strict=True)]
    return Report(
        origin=origin,
        frames=len(records),
        min_visibility=min_visibility,
        summaries=summarise(judgements, names, min_visibility),
        matches=matches,
        times=_times(records),
        reliability=reliability(matches),
        intervals=intervals(judgements, names, min_visibility, np.random.default_rng(SEED)),
        bop=None if isinstance(bop, str) else bop,
        detection=detection.detect(matches, names, min_visibility),
        coverage=coverage.coverage(matches, min_visibility),
        confusion=confusion.confusion(frames, references, names, min_visibility),
        not_measured={"bop": bop} if isinstance(bop, str) else {},
        delivery=delivery,
        problems=tuple(problems),
        ignored=ignored or {},
        sources=_by_source(records, judgements, names, min_visibility),
    )


def draw_worst(
    records: Sequence[FrameRecord],
    judgements: Sequence[Judgement],
    sources: Sequence[FrameSource],
    references: dict[str, Reference],
    min_visibility: float,
) -> list[Picture]:
    """The frames that went worst, read once more and drawn, worst first."""
    worst = worst_frames(judgements, min_visibility)
    wanted = {records[index].name for index in worst}
    by_source = {records[index].source for index in worst}
    frames = {}
    for source in sources:
        if source.name in by_source:
            frames |= source.find(wanted)
    return [
        Picture(
            records[index].name,
            caption(judgements[index], min_visibility),
            draw_judgement(frames[records[index].name], judgements[index], references),
        )
        for index in worst
    ]


def _by_source(
    records: Sequence[FrameRecord],
    judgements: Sequence[Judgement],
    names: Sequence[str],
    min_visibility: float,
) -> tuple[Summary, ...]:
    """All objects together, per source; nothing if there is only one."""
    groups: dict[str, list[Judgement]] = {}
    for record, judgement in zip(records, judgements, strict=True):
        groups.setdefault(record.source, []).append(judgement)
    if len(groups) < 2:
        return ()
    totals = {name: summarise(mine, names, min_visibility)[-1] for name, mine in groups.items()}
    return tuple(replace(total, name=name) for name, total in totals.items())


def _times(records: Sequence[FrameRecord]) -> dict[str, np.ndarray]:
    """(N,) seconds per stage, NaN where a frame has none."""
    stages = {stage: None for record in records for stage in record.times}
    return {
        stage: np.array([record.times.get(stage, np.nan) for record in records]) for stage in stages
    }

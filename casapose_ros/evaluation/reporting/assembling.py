"""From records to a report: every figure that follows from what was said about each frame."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from casapose_ros.evaluation.bop19 import BopScores
from casapose_ros.evaluation.fingerprints import records_sha256
from casapose_ros.evaluation.judgements import Collector, Judgements
from casapose_ros.evaluation.judging import judge
from casapose_ros.evaluation.matching import Reference
from casapose_ros.evaluation.record_log import LOG_FILE
from casapose_ros.evaluation.records import FrameRecord
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
from casapose_ros.evaluation.summary import Summary, summarise

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
        records: The frames, which are read more than once.
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
    origin = replace(origin, records_sha256=records_sha256(out / LOG_FILE))
    report = assemble(records, references, origin, min_visibility, **parts)
    worst = draw_worst(records, report.judgements, sources, references, min_visibility)
    write_report(report, worst, out)
    return report


def assemble(
    records: Iterable[FrameRecord],
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
        records: The frames, which are gone through once; none is kept.
        references: By name, every object that the model knows.
        origin: What was run on what.
        min_visibility: Visible fraction from which a true object is a target.
        bop: The benchmark's scores, or why there are none.
        problems: What was lost or skipped.
        ignored: True objects per BOP id that the model does not know.
        delivery: Of a live replay.
    """
    names, collector, times, sources = list(references), Collector(), _Times(), _Sources()
    confused = confusion.confusion([], references, names, min_visibility)
    for record in records:
        judgement = judge(record, references, min_visibility)
        collector.add(record.name, judgement)
        times.add(record.times)
        sources.add(record.source)
        frame = (judgement.matches, record.truths, record.camera)
        confused += confusion.confusion([frame], references, names, min_visibility)
    judgements = collector.result()
    return Report(
        origin=origin,
        frames=len(judgements),
        min_visibility=min_visibility,
        summaries=summarise(judgements, names, min_visibility),
        judgements=judgements,
        times=times.stages(),
        reliability=reliability(judgements),
        intervals=intervals(judgements, names, min_visibility, np.random.default_rng(SEED)),
        bop=None if isinstance(bop, str) else bop,
        detection=detection.detect(judgements, names, min_visibility),
        coverage=coverage.coverage(judgements, min_visibility),
        confusion=confused,
        not_measured={"bop": bop} if isinstance(bop, str) else {},
        delivery=delivery,
        problems=tuple(problems),
        ignored=ignored or {},
        sources=sources.summaries(judgements, min_visibility),
    )


def draw_worst(
    records: Sequence[FrameRecord],
    judgements: Judgements,
    sources: Sequence[FrameSource],
    references: dict[str, Reference],
    min_visibility: float,
) -> list[Picture]:
    """The frames that went worst, read and judged once more and drawn, worst first."""
    worst = [records[index] for index in worst_frames(judgements, min_visibility)]
    wanted, by_source = {record.name for record in worst}, {record.source for record in worst}
    frames = {}
    for source in sources:
        if source.name in by_source:
            frames |= source.find(wanted)
    pictures = []
    for record in worst:
        judgement = judge(record, references, min_visibility)
        drawn = draw_judgement(frames[record.name], judgement, references)
        pictures.append(Picture(record.name, caption(judgement, min_visibility), drawn))
    return pictures


class _Times:
    """The times of all frames, a number per stage and frame."""

    def __init__(self) -> None:
        self._frames = 0
        self._stages: dict[str, array[float]] = {}

    def add(self, times: dict[str, float]) -> None:
        """Take up the seconds per stage of one more frame."""
        for stage in times:
            self._stages.setdefault(stage, array("d", [np.nan]) * self._frames)
        for stage, seconds in self._stages.items():
            seconds.append(times.get(stage, np.nan))
        self._frames += 1

    def stages(self) -> dict[str, np.ndarray]:
        """(N,) seconds per stage, NaN where a frame has none."""
        return {stage: np.array(seconds) for stage, seconds in self._stages.items()}


class _Sources:
    """Where all frames are from, a number per frame."""

    def __init__(self) -> None:
        self._names: dict[str, int] = {}
        self._numbers = array("i")

    def add(self, name: str) -> None:
        """Take up the source of one more frame."""
        self._numbers.append(self._names.setdefault(name, len(self._names)))

    def summaries(self, judgements: Judgements, min_visibility: float) -> tuple[Summary, ...]:
        """All objects together, per source; nothing if there is only one."""
        if len(self._names) < 2:
            return ()
        numbers, totals = np.array(self._numbers), []
        for name, number in self._names.items():
            (total,) = summarise(judgements.select(numbers == number), [], min_visibility)
            totals.append(replace(total, name=name))
        return tuple(totals)

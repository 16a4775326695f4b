"""Measuring answers to the images of a BOP data set, wherever the answers come from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from casapose_ros.commands._measuring import RunOptions, origin_of, progress

if TYPE_CHECKING:
    from casapose_ros.data.bop import BopFrame
    from casapose_ros.evaluation.bop19 import BopScores, DepthSource
    from casapose_ros.evaluation.datasets import BopSource
    from casapose_ros.evaluation.matching import Reference
    from casapose_ros.evaluation.record_log import RecordLog, RunHeader
    from casapose_ros.evaluation.records import FrameRecord
    from casapose_ros.evaluation.reporting.report import Origin, Report
    from casapose_ros.types import ObjectModel

LEFT_OUT = "it was left out by --no-vsd"


def read_frames(dataset: Path, split: str, limit: int | None = None) -> tuple[BopFrame, ...]:
    """The first images of a split of a data set in BOP form, or all of them."""
    from itertools import islice

    from casapose_ros.data.bop import BopDataset

    return tuple(islice(BopDataset(dataset, split), limit))


@dataclass(frozen=True)
class Dataset:
    """What is measured on.

    Attributes:
        path: The data set's folder.
        split: Part of it.
        frames: Its images.
        counts: How often each object is in them, by BOP id.
        references: By name, every object that the model knows.
        sources: The images, a source per scene, so that processes can share them out.
    """

    path: Path
    split: str
    frames: tuple[BopFrame, ...]
    counts: dict[int, int]
    references: dict[str, Reference]
    sources: list[BopSource]

    @classmethod
    def read(
        cls, path: Path, split: str, objects: Sequence[ObjectModel], frames: tuple[BopFrame, ...]
    ) -> Dataset:
        from casapose_ros.evaluation.datasets import count_objects, load_references, sources_of

        counts = count_objects(frames)
        references = load_references(path, objects, counts)
        sources = sources_of(frames, f"{path.resolve().name}/{split}", objects)
        return cls(path, split, frames, counts, references, sources)

    @property
    def name(self) -> str:
        return self.path.resolve().name


def measure(
    data: Dataset,
    header: RunHeader,
    fill: Callable[[RecordLog], list[str]],
    out: Path,
    options: RunOptions,
    vsd: bool,
) -> Report:
    """Fill a log with the records of all frames, measure, and write the report.

    Args:
        data: What is measured on.
        header: Of the log.
        fill: Gives it its records, and says what was lost or skipped.
        out: Folder for the log and the report.
        options: How to run.
        vsd: Whether to measure VSD where there is depth.
    """
    from casapose_ros.evaluation.bop19 import open_depth
    from casapose_ros.evaluation.record_log import LOG_FILE, RecordLog
    from casapose_ros.files import make_folder

    make_folder(out)
    # Opened before the run, so that a machine without OpenGL says so before hours of work.
    renderer = open_depth(data.path, data.frames, data.references) if vsd else nullcontext()
    # The log is open until the report is written, which reads it again.
    with renderer as depth, RecordLog(out / LOG_FILE, header, options.resume) as log:
        problems = fill(log)
        records = log.records([source.name for source in data.sources])
        size = records[0].network_size
        source = header.model, data.name, (data.split,), header.weights
        origin = origin_of(*source, size, header.settings)
        scores = _bop_scores(data, records, depth, vsd)
        return _report(data, records, origin, options.min_visibility, out, scores, problems)


def _bop_scores(
    data: Dataset,
    records: Sequence[FrameRecord],
    depth: DepthSource | None,
    vsd: bool,
) -> BopScores:
    from casapose_ros.evaluation import bop19

    path = data.path / bop19.TARGETS_FILE
    targets = bop19.read_targets(path) if path.is_file() else None
    has_depth = any(frame.depth_path is not None for frame in data.frames)
    reason = LEFT_OUT if has_depth and not vsd else bop19.NO_DEPTH
    with progress("scoring", len(records)) as advance:
        return bop19.evaluate(_counted(records, advance), data.references, targets, depth, reason)


def _report(
    data: Dataset,
    records: Sequence[FrameRecord],
    origin: Origin,
    min_visibility: float,
    out: Path,
    scores: BopScores,
    problems: Sequence[str],
) -> Report:
    from casapose_ros.evaluation.datasets import unknown_visibilities
    from casapose_ros.evaluation.reporting.assembling import report_on
    from casapose_ros.evaluation.results import write_bop_csv

    bop_ids = {name: reference.model.bop_id for name, reference in data.references.items()}
    # BOP wants METHOD_DATASET-SPLIT.csv, with no other underscore; a split may be a path.
    method, dataset, split = (
        text.replace("_", "-").replace("/", "-") or "model"
        for text in (origin.model, data.name, data.split)
    )
    write_bop_csv(records, bop_ids, out / f"{method}_{dataset}-{split}.csv")
    known = set(bop_ids.values())
    return report_on(
        records,
        data.sources,
        data.references,
        origin,
        min_visibility,
        out,
        bop=scores,
        problems=(*problems, *unknown_visibilities(data.frames)),
        ignored={bop_id: n for bop_id, n in data.counts.items() if bop_id not in known},
    )


def _counted(
    records: Sequence[FrameRecord], advance: Callable[[int], None]
) -> Iterator[FrameRecord]:
    for record in records:
        yield record
        advance(1)

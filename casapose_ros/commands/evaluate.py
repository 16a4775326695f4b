"""``casapose evaluate``: the field's figures for a model on a BOP data set."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from casapose_ros.commands._measuring import (
    LOG_FILE,
    Method,
    RunOptions,
    add_run_arguments,
    origin_of,
    progress,
    show,
)
from casapose_ros.errors import ConfigError

if TYPE_CHECKING:
    from casapose_ros.data.bop import BopFrame
    from casapose_ros.evaluation.datasets import BopSource
    from casapose_ros.evaluation.matching import Reference
    from casapose_ros.evaluation.records import FrameRecord
    from casapose_ros.evaluation.reporting.report import Origin, Report
    from casapose_ros.types import ObjectModel

NAME = "evaluate"
HELP = "measure a model on a BOP data set and write a report"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("dataset", type=Path, metavar="BOPDIR", help="folder of the data set")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--model", type=Path, metavar="BUNDLE", help="folder of the model bundle")
    what.add_argument(
        "--estimates",
        type=Path,
        metavar="CSV",
        help="estimates of any method in BOP's results format, instead of a model",
    )
    parser.add_argument("--split", default="test", help="part of the data set (%(default)s)")
    parser.add_argument(
        "--out", type=Path, default=Path("evaluation"), metavar="DIR", help="folder to write"
    )
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N images")
    add_run_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Estimate, measure, write the report, and print its table."""
    if args.limit is not None and args.limit < 1:
        raise ConfigError(f"--limit must be at least 1, got {args.limit}")
    options = RunOptions.of(args)
    if args.estimates is not None:
        report = evaluate_estimates(args.estimates, args.dataset, args.split, args.out, options)
    else:
        method = Method.of_bundle(args.model, args.network_size)
        report = evaluate(method, args.dataset, args.split, args.out, options, args.limit)
    show(report, args.out)
    return 0


def evaluate(
    method: Method,
    dataset: Path,
    split: str,
    out: Path,
    options: RunOptions | None = None,
    limit: int | None = None,
) -> Report:
    """Run a model over a data set and write everything that is known about it.

    Args:
        method: The model.
        dataset: Folder in BOP form.
        split: Part of the data set.
        out: Folder for the log of frames, the report and the BOP results file.
        options: How to run.
        limit: Only the first images; all if None.

    Raises:
        DatasetError: The data set cannot be read or has no object in common with the model.
        OutputError: The folder cannot be written; the frames done so far are kept.
    """
    from casapose_ros.evaluation.datasets import load_references
    from casapose_ros.evaluation.records import RecordLog
    from casapose_ros.evaluation.running import in_order, run_sources
    from casapose_ros.files import make_folder

    options = options or RunOptions()
    data = _Data.read(dataset, split, limit)
    references = load_references(dataset, method.objects, data.counts)
    sources = data.sources(method.objects)
    make_folder(out)
    header = method.header([f"{data.name}/{split}"], frames=len(data.frames))
    with RecordLog(out / LOG_FILE, header, options.resume) as log:
        with progress("evaluating", len(data.frames)) as advance:
            run_sources(sources, method.load, log, advance, options.jobs, options.cluster)
        records = in_order(log, sources)
    origin = origin_of(
        method.name, data.name, (split,), method.weights_sha256, records[0].network_size
    )
    return _report(data, records, sources, references, origin, options.min_visibility, out)


def evaluate_estimates(
    csv: Path, dataset: Path, split: str, out: Path, options: RunOptions | None = None
) -> Report:
    """Measure what some method said about a data set; see :func:`evaluate`.

    Images of the split without an estimate count as images in which nothing was found.

    Args:
        csv: The method's results in BOP's format.
        dataset: Folder in BOP form.
        split: Part of the data set.
        out: Folder for the report.
        options: Only ``min_visibility`` counts.

    Raises:
        DatasetError: The data set or the results cannot be read, or they do not fit together.
        OutputError: The folder cannot be written.
    """
    from casapose_ros.evaluation.datasets import load_objects, load_references, records_of
    from casapose_ros.evaluation.records import RecordLog, RunHeader
    from casapose_ros.evaluation.results import read_bop_csv
    from casapose_ros.files import make_folder

    options = options or RunOptions()
    data = _Data.read(dataset, split)
    objects = load_objects(dataset)
    references = load_references(dataset, objects, data.counts)
    sources = data.sources(objects)
    results = read_bop_csv(csv, objects)
    make_folder(out)
    records, others = records_of(results, sources)
    problems = [f"{csv}: has {others} images that are not in this split"] if others else []
    origin = origin_of(csv.stem.split("_")[0], data.name, (split,))
    # As a run leaves it behind: 'casapose compare' reads it.
    header = RunHeader(origin.model, "", (f"{data.name}/{split}",), {"estimates": str(csv)})
    with RecordLog(out / LOG_FILE, header) as log:
        for record in records:
            log.append(record)
    return _report(
        data, records, sources, references, origin, options.min_visibility, out, problems
    )


@dataclass(frozen=True)
class _Data:
    """The frames of one split of a BOP data set."""

    path: Path
    split: str
    frames: tuple[BopFrame, ...]
    counts: dict[int, int]

    @classmethod
    def read(cls, path: Path, split: str, limit: int | None = None) -> _Data:
        from itertools import islice

        from casapose_ros.data.bop import BopDataset
        from casapose_ros.evaluation.datasets import count_objects

        frames = tuple(islice(BopDataset(path, split), limit))
        return cls(path, split, frames, count_objects(frames))

    @property
    def name(self) -> str:
        return self.path.resolve().name

    def sources(self, objects: Sequence[ObjectModel]) -> list[BopSource]:
        """One per scene, so that processes can share them out."""
        from itertools import groupby

        from casapose_ros.evaluation.datasets import BopSource

        scenes = groupby(self.frames, lambda frame: frame.scene_id)
        return [
            BopSource(f"{self.name}/{self.split}/{scene:06d}", tuple(frames), tuple(objects))
            for scene, frames in scenes
        ]


def _report(
    data: _Data,
    records: Sequence[FrameRecord],
    sources: Sequence[BopSource],
    references: dict[str, Reference],
    origin: Origin,
    min_visibility: float,
    out: Path,
    problems: Sequence[str] = (),
) -> Report:
    from casapose_ros.evaluation import bop19
    from casapose_ros.evaluation.reporting.assembling import report_on
    from casapose_ros.evaluation.results import write_bop_csv

    targets_path = data.path / bop19.TARGETS_FILE
    targets = bop19.read_targets(targets_path) if targets_path.is_file() else None
    bop_ids = {name: reference.model.bop_id for name, reference in references.items()}
    # BOP wants METHOD_DATASET-SPLIT.csv, with no other underscore.
    method, dataset = (text.replace("_", "-") or "model" for text in (origin.model, data.name))
    write_bop_csv(records, bop_ids, out / f"{method}_{dataset}-{data.split}.csv")
    with (
        bop19.open_depth(data.path, data.frames, references) as depth,
        progress("scoring", len(records)) as advance,
    ):
        scores = bop19.evaluate(_counted(records, advance), references, targets, depth)
    known = set(bop_ids.values())
    return report_on(
        records,
        sources,
        references,
        origin,
        min_visibility,
        out,
        bop=scores,
        problems=problems,
        ignored={bop_id: n for bop_id, n in data.counts.items() if bop_id not in known},
    )


def _counted(
    records: Sequence[FrameRecord], advance: Callable[[int], None]
) -> Iterator[FrameRecord]:
    for record in records:
        yield record
        advance(1)

"""``casapose evaluate``: the field's figures for a model on a BOP data set."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from casapose_ros.commands._measuring import (
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
    from casapose_ros.evaluation.bop19 import BopScores, DepthSource
    from casapose_ros.evaluation.datasets import BopSource
    from casapose_ros.evaluation.matching import Reference
    from casapose_ros.evaluation.records import FrameRecord
    from casapose_ros.evaluation.reporting.report import Origin, Report
    from casapose_ros.types import ObjectModel

NAME = "evaluate"
HELP = "measure a model on a BOP data set and write a report"
LEFT_OUT = "it was left out by --no-vsd"


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
    parser.add_argument(
        "--no-vsd",
        dest="vsd",
        action="store_false",
        help="leave the BOP error VSD out, which needs OpenGL",
    )
    add_run_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Estimate, measure, write the report, and print its table."""
    if args.limit is not None and args.limit < 1:
        raise ConfigError(f"--limit must be at least 1, got {args.limit}")
    options = RunOptions.of(args)
    where = (args.dataset, args.split, args.out, options, args.limit, args.vsd)
    if args.estimates is not None:
        _refuse_options_of_runs(args)
        report = evaluate_estimates(args.estimates, *where)
    else:
        method = Method.of_bundle(args.model, args.network_size)
        report = evaluate(method, *where)
    show(report, args.out)
    return 0


def evaluate(
    method: Method,
    dataset: Path,
    split: str,
    out: Path,
    options: RunOptions | None = None,
    limit: int | None = None,
    vsd: bool = True,
) -> Report:
    """Run a model over a data set and write everything that is known about it.

    Args:
        method: The model.
        dataset: Folder in BOP form.
        split: Part of the data set.
        out: Folder for the log of frames, the report and the BOP results file.
        options: How to run.
        limit: Only the first images; all if None.
        vsd: Whether to measure VSD where there is depth.

    Raises:
        DatasetError: The data set cannot be read or has no object in common with the model.
        OutputError: The folder cannot be written; the frames done so far are kept.
        RenderError: VSD cannot be measured on this machine.
    """
    from casapose_ros.evaluation.datasets import load_references
    from casapose_ros.evaluation.fingerprints import data_sha256
    from casapose_ros.evaluation.records import LOG_FILE, RecordLog
    from casapose_ros.evaluation.running import in_order, run_sources
    from casapose_ros.files import make_folder

    options = options or RunOptions()
    data = _Data.read(dataset, split, limit)
    references = load_references(dataset, method.objects, data.counts)
    sources = data.sources(method.objects)
    make_folder(out)
    header = method.header(
        [f"{data.name}/{split}"], frames=len(data.frames), data=data_sha256(data.frames)
    )
    # Opened before the run, so that a machine without OpenGL says so before hours of work.
    with data.depth(references, vsd) as depth:
        with RecordLog(out / LOG_FILE, header, options.resume) as log:
            with progress("evaluating", len(data.frames)) as advance:
                run_sources(sources, method.load, log, advance, options.jobs, options.cluster)
            records = in_order(log, sources)
        origin = origin_of(
            method.name, data.name, (split,), method.weights_sha256, records[0].network_size
        )
        scores = _bop_scores(data, records, references, depth, vsd)
    return _report(data, records, sources, references, origin, options.min_visibility, out, scores)


def evaluate_estimates(
    csv: Path,
    dataset: Path,
    split: str,
    out: Path,
    options: RunOptions | None = None,
    limit: int | None = None,
    vsd: bool = True,
) -> Report:
    """Measure what some method said about a data set; see :func:`evaluate`.

    Images of the split without an estimate count as images in which nothing was found.

    Args:
        csv: The method's results in BOP's format.
        dataset: Folder in BOP form.
        split: Part of the data set.
        out: Folder for the report.
        options: Only ``min_visibility`` counts.
        limit: Only the first images; all if None.
        vsd: Whether to measure VSD where there is depth.

    Raises:
        DatasetError: The data set or the results cannot be read, or they do not fit together.
        OutputError: The folder cannot be written.
        RenderError: VSD cannot be measured on this machine.
    """
    from casapose_ros.evaluation.datasets import load_objects, load_references, records_of
    from casapose_ros.evaluation.records import LOG_FILE, RecordLog, RunHeader
    from casapose_ros.evaluation.results import read_bop_csv
    from casapose_ros.files import make_folder

    options = options or RunOptions()
    whole, data = _Data.read(dataset, split), _Data.read(dataset, split, limit)
    objects = load_objects(dataset)
    references = load_references(dataset, objects, data.counts)
    sources = data.sources(objects)
    results = read_bop_csv(csv, objects)
    make_folder(out)
    # Of the whole split, since estimates of its other images are no mistake.
    records, others = records_of(results, whole.sources(objects))
    records = records[:limit]
    problems = [f"{csv}: has {others} images that are not in this split"] if others else []
    origin = origin_of(csv.stem.split("_")[0], data.name, (split,))
    # As a run leaves it behind: 'casapose compare' reads it.
    header = RunHeader(origin.model, "", (f"{data.name}/{split}",), {"estimates": str(csv)})
    with RecordLog(out / LOG_FILE, header) as log:
        for record in records:
            log.append(record)
    with data.depth(references, vsd) as depth:
        scores = _bop_scores(data, records, references, depth, vsd)
    return _report(
        data, records, sources, references, origin, options.min_visibility, out, scores, problems
    )


def _refuse_options_of_runs(args: argparse.Namespace) -> None:
    """Refuse what is about running a model where none is run."""
    given = {
        "--network-size": args.network_size is not None,
        "--resume": args.resume,
        "--jobs": args.jobs is not None,
        "--cluster": args.cluster is not None,
    }
    wrong = [option for option, is_given in given.items() if is_given]
    if wrong:
        raise ConfigError(f"{', '.join(wrong)}: only with --model; with --estimates nothing is run")


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

    def depth(
        self, references: dict[str, Reference], vsd: bool
    ) -> AbstractContextManager[DepthSource | None]:
        """What VSD needs; None where there is no depth or VSD is left out."""
        from casapose_ros.evaluation.bop19 import open_depth

        return open_depth(self.path, self.frames, references) if vsd else nullcontext()

    def sources(self, objects: Sequence[ObjectModel]) -> list[BopSource]:
        """One per scene, so that processes can share them out."""
        from itertools import groupby

        from casapose_ros.evaluation.datasets import BopSource

        scenes = groupby(self.frames, lambda frame: frame.scene_id)
        return [
            BopSource(f"{self.name}/{self.split}/{scene:06d}", tuple(frames), tuple(objects))
            for scene, frames in scenes
        ]


def _bop_scores(
    data: _Data,
    records: Sequence[FrameRecord],
    references: dict[str, Reference],
    depth: DepthSource | None,
    vsd: bool,
) -> BopScores:
    from casapose_ros.evaluation import bop19

    path = data.path / bop19.TARGETS_FILE
    targets = bop19.read_targets(path) if path.is_file() else None
    has_depth = any(frame.depth_path is not None for frame in data.frames)
    reason = LEFT_OUT if has_depth and not vsd else bop19.NO_DEPTH
    with progress("scoring", len(records)) as advance:
        return bop19.evaluate(_counted(records, advance), references, targets, depth, reason)


def _report(
    data: _Data,
    records: Sequence[FrameRecord],
    sources: Sequence[BopSource],
    references: dict[str, Reference],
    origin: Origin,
    min_visibility: float,
    out: Path,
    scores: BopScores,
    problems: Sequence[str] = (),
) -> Report:
    from casapose_ros.evaluation.datasets import unknown_visibilities
    from casapose_ros.evaluation.reporting.assembling import report_on
    from casapose_ros.evaluation.results import write_bop_csv

    bop_ids = {name: reference.model.bop_id for name, reference in references.items()}
    # BOP wants METHOD_DATASET-SPLIT.csv, with no other underscore; a split may be a path.
    method, dataset, split = (
        text.replace("_", "-").replace("/", "-") or "model"
        for text in (origin.model, data.name, data.split)
    )
    write_bop_csv(records, bop_ids, out / f"{method}_{dataset}-{split}.csv")
    known = set(bop_ids.values())
    return report_on(
        records,
        sources,
        references,
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

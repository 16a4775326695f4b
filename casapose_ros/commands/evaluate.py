"""``casapose evaluate``: the field's figures for a model on a BOP data set."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from casapose_ros.commands._dataset_evaluation import Dataset, measure, read_frames
from casapose_ros.commands._measuring import (
    Method,
    RunOptions,
    add_run_arguments,
    model_settings,
    progress,
    show,
)
from casapose_ros.commands._scans import for_scans_of
from casapose_ros.errors import ConfigError

if TYPE_CHECKING:
    from casapose_ros.evaluation.record_log import RecordLog
    from casapose_ros.evaluation.reporting.report import Report

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
        method = Method.of_bundle(args.model, **model_settings(args))
        report = evaluate(for_scans_of(args.dataset, method), *where)
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
    from casapose_ros.evaluation.fingerprints import data_sha256
    from casapose_ros.evaluation.running import run_sources

    options = options or RunOptions()
    data = Dataset.read(dataset, split, method.objects, read_frames(dataset, split, limit))
    files = data_sha256(data.frames)

    def fill(log: RecordLog) -> list[str]:
        with progress("evaluating", len(data.frames)) as advance:
            where = (options.jobs, options.cluster)
            return run_sources(data.sources, method.load, log, advance, *where)

    header = method.header([f"{data.name}/{split}"], frames=len(data.frames), data=files)
    return measure(data, header, fill, out, options, vsd)


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
    from casapose_ros.evaluation.datasets import load_objects, records_of, sources_of
    from casapose_ros.evaluation.record_log import RunHeader
    from casapose_ros.evaluation.results import read_bop_csv

    options = RunOptions(options.min_visibility) if options else RunOptions()
    objects, whole = load_objects(dataset), read_frames(dataset, split)
    data = Dataset.read(dataset, split, objects, whole[:limit])
    # Of the whole split, since estimates of its other images are no mistake.
    everything = sources_of(whole, f"{data.name}/{split}", objects)
    records, others = records_of(read_bop_csv(csv, objects), everything)

    def fill(log: RecordLog) -> list[str]:
        for record in records[:limit]:
            log.append(record)
        return [f"{csv}: has {others} images that are not in this split"] if others else []

    # As a run leaves it behind: 'casapose compare' reads it.
    name, source = csv.stem.split("_")[0], f"{data.name}/{split}"
    header = RunHeader(name, "", (source,), {"estimates": str(csv)})
    return measure(data, header, fill, out, options, vsd)


def _refuse_options_of_runs(args: argparse.Namespace) -> None:
    """Refuse what is about running a model where none is run."""
    given = {
        "--network-size": args.network_size is not None,
        "--max-instances": args.max_instances is not None,
        "--resume": args.resume,
        "--jobs": args.jobs is not None,
        "--cluster": args.cluster is not None,
    }
    wrong = [option for option, is_given in given.items() if is_given]
    if wrong:
        raise ConfigError(f"{', '.join(wrong)}: only with --model; with --estimates nothing is run")

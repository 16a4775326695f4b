"""What the commands that run a model over many frames have in common."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from casapose_ros.errors import ConfigError

if TYPE_CHECKING:
    from casapose_ros.evaluation.record_log import RunHeader
    from casapose_ros.evaluation.reporting.report import Origin, Report
    from casapose_ros.evaluation.running import LoadEstimator
    from casapose_ros.types import ObjectModel


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what all commands that run a model over many frames have in common."""
    parser.add_argument(
        "--min-visibility",
        type=float,
        default=0.4,
        metavar="FRACTION",
        help="objects that show less than this of themselves are not asked for (%(default)s)",
    )
    add_model_settings(parser)
    parser.add_argument("--resume", action="store_true", help="go on with a run that was stopped")
    parser.add_argument(
        "--jobs",
        type=int,
        metavar="N",
        help="processes; scenes or bags are shared out among them (default: one per core, "
        "but one alone on a GPU)",
    )
    parser.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="Dask scheduler whose workers, on any number of machines, do the work",
    )


def add_model_settings(parser: argparse.ArgumentParser) -> None:
    """Declare settings of a model that a command may change; :func:`model_settings` reads them."""
    parser.add_argument(
        "--network-size",
        metavar="WxH|native",
        help="size at which the network sees the images; native is their own "
        "(default: the bundle's)",
    )
    parser.add_argument(
        "--max-instances",
        type=int,
        metavar="N",
        help="tell up to so many instances of one object apart (default: the bundle's)",
    )


def model_settings(args: argparse.Namespace) -> dict[str, Any]:
    """Those fields of ``EstimatorConfig`` that the command line gives."""
    given = {name: getattr(args, name) for name in ("network_size", "max_instances")}
    return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True)
class RunOptions:
    """How to run, whatever is run on whatever; see :func:`add_run_arguments`."""

    min_visibility: float = 0.4
    resume: bool = False
    jobs: int = 1
    cluster: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.min_visibility <= 1:
            raise ConfigError(f"--min-visibility must be in 0..1, got {self.min_visibility}")
        if self.jobs < 1:
            raise ConfigError(f"--jobs must be at least 1, got {self.jobs}")

    @classmethod
    def of(cls, args: argparse.Namespace) -> RunOptions:
        jobs = _default_jobs() if args.jobs is None else args.jobs
        return cls(args.min_visibility, args.resume, jobs, args.cluster)


def _default_jobs() -> int:
    """One process per core; a GPU is shared badly, and its memory not at all."""
    import keras

    return 1 if keras.distribution.list_devices("gpu") else os.cpu_count() or 1


@dataclass(frozen=True)
class Method:
    """What is measured.

    Attributes:
        name: Of the model.
        objects: What it knows, class ids 1..K in order.
        load: Loads it.
        weights_sha256: Of its weights; empty if it has none.
        settings: Whatever else changes its answers, as plain values.
    """

    name: str
    objects: tuple[ObjectModel, ...]
    load: LoadEstimator
    weights_sha256: str = ""
    settings: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of_bundle(cls, path: Path, **changes: Any) -> Method:
        """A model on disk.

        Args:
            path: The bundle's folder.
            changes: Settings of ``EstimatorConfig`` in place of the bundle's.

        Raises:
            BundleError: The bundle cannot be used.
            ConfigError: A setting is wrong.
        """
        from functools import partial

        from casapose_ros.bundle import load_bundle
        from casapose_ros.config import to_dict
        from casapose_ros.estimator import PoseEstimator

        bundle = load_bundle(path)
        config = replace(bundle.estimator, **changes)
        # Other surfaces, other answers.
        used = config.refinement == "outline" and bundle.surfaces_sha256
        surfaces = {"surfaces_sha256": bundle.surfaces_sha256} if used else {}
        return cls(
            bundle.name,
            bundle.objects,
            # Whole, for workers that do not share this process' folder.
            partial(PoseEstimator.load, path.resolve(), config),
            bundle.weights_sha256,
            to_dict(config) | surfaces,
        )

    def header(self, sources: Sequence[str], **settings: Any) -> RunHeader:
        """What a log of this method's answers is about."""
        from casapose_ros.evaluation.record_log import RunHeader

        return RunHeader(
            self.name, self.weights_sha256, tuple(sources), {**self.settings, **settings}
        )


def origin_of(
    model: str,
    data: str,
    parts: Sequence[str],
    weights_sha256: str = "",
    network_size: tuple[int, int] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Origin:
    """Where the figures come from, for the report; of the settings, those of the estimator."""
    from datetime import datetime

    from casapose_ros.evaluation.reporting.origin import machine, software
    from casapose_ros.evaluation.reporting.report import Origin
    from casapose_ros.settings import EstimatorConfig

    names = [f.name for f in fields(EstimatorConfig) if f.name in (settings or {})]
    return Origin(
        model=model,
        data=data,
        created=datetime.now().isoformat(timespec="seconds"),
        parts=tuple(parts),
        network_size=network_size,
        weights_sha256=weights_sha256,
        settings={name: settings[name] for name in names},
        software=software(),
        machine=machine(),
    )


@contextmanager
def progress(description: str, total: int) -> Iterator[Callable[[int], None]]:
    """A progress bar; call what it gives with the number of frames that are newly done."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Remaining())
    with Progress(*columns) as bar:
        task = bar.add_task(description, total=total or None)
        yield lambda count: bar.advance(task, count)


def show(report: Report, out: Path) -> None:
    """Print a report's table and headlines."""
    from rich.console import Console

    from casapose_ros.evaluation.reporting.terminal import headlines, table

    console = Console()
    console.print(table(report))
    for line in headlines(report):
        console.print(f"- {line}", soft_wrap=True, markup=False)
    console.print(f"wrote {out / 'report.html'}", soft_wrap=True, markup=False)

"""``casapose train``: learn the poses of an object set from rendered frames."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from casapose_ros.commands._surfaces import surfaces_to_learn_with
from casapose_ros.commands._training_data import (
    TrainingData,
    open_frames,
    shown_objects,
    training_sets,
)
from casapose_ros.commands._training_note import note_data
from casapose_ros.commands._training_renders import rendered_data
from casapose_ros.commands._training_start import TrainingStart, start_of
from casapose_ros.commands._training_validation import (
    Validator,
    check_held_out,
    validation_set,
)
from casapose_ros.errors import ConfigError

if TYPE_CHECKING:
    from casapose_ros.training.distribution import Hosts
    from casapose_ros.training.recipes import TrainingFile

NAME = "train"
HELP = "train a network on data sets in BOP form, rendering them first where the settings say so"
PREVIEWED = 16
"""Least number of crops in a preview."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--config", required=True, type=Path, metavar="YAML", help="settings")
    parser.add_argument(
        "--objects", required=True, type=Path, metavar="OBJECTS", help="object set to learn"
    )
    parser.add_argument("--out", type=Path, metavar="RUN", help="folder to write")
    parser.add_argument("--name", help="name of the model (default: that of the run's folder)")
    parser.add_argument(
        "--resume", action="store_true", help="go on from the run's last checkpoint"
    )
    parser.add_argument(
        "--preview",
        type=Path,
        metavar="FILE.png",
        help="only draw the first crops with labels, guides and keypoints into one picture, after "
        "rendering what is to be learned from",
    )
    trained = parser.add_mutually_exclusive_group()
    trained.add_argument(
        "--start-from",
        type=Path,
        metavar="BUNDLE",
        help="trained model to go on from, with the objects that it knows",
    )
    trained.add_argument(
        "--extend",
        type=Path,
        metavar="BUNDLE",
        help="trained model to add the object set's new objects to; what it knows, it keeps",
    )
    parser.add_argument(
        "--encoder-weights",
        metavar="FILE",
        help="encoder to start from, in place of the settings' encoder_weights",
    )
    data = parser.add_argument_group("data")
    data.add_argument(
        "--data",
        required=True,
        type=Path,
        nargs="+",
        metavar="BOPDIR",
        help="data sets to learn from; if the settings have a 'render' section, the first is the "
        "folder to render into",
    )
    data.add_argument("--split", default="train_pbr", help="split to train on (%(default)s)")
    data.add_argument(
        "--validation",
        type=Path,
        metavar="BOPDIR",
        help="data set to validate on (default: the first of --data that has the split)",
    )
    data.add_argument("--validation-split", default="val", help="held-out split (%(default)s)")
    data.add_argument(
        "--cache", type=Path, help="folder for resized frames (default: BOPDIR/cache)"
    )
    data.add_argument(
        "--skip-broken",
        action="store_true",
        help="leave out scenes and frames that cannot be read, and say which",
    )
    data.add_argument("--no-render", action="store_true", help="ignore the 'render' section")
    data.add_argument(
        "--on-the-fly",
        action="store_true",
        help="render the split to train on while training, without writing it to the disk",
    )
    data.add_argument(
        "--photos",
        type=Path,
        metavar="FOLDER",
        help="photographs for scenarios that surround the objects with some",
    )
    data.add_argument(
        "--jobs",
        type=int,
        help="processes that render (default: one per core; with --on-the-fly half as many)",
    )
    hosts = parser.add_argument_group("several hosts, with KERAS_BACKEND=jax")
    hosts.add_argument("--hosts", type=int, default=1, metavar="N", help="number (%(default)s)")
    hosts.add_argument("--host-index", type=int, default=0, metavar="I", help="of this one, from 0")
    hosts.add_argument("--coordinator", metavar="ADDRESS:PORT", help="of host 0, for all to meet")


def run(args: argparse.Namespace) -> int:
    """Train, show progress, and leave a bundle, logs and curves in the run's folder."""
    from casapose_ros.config import load_yaml
    from casapose_ros.training.distribution import Hosts, check_backend
    from casapose_ros.training.recipes import TrainingFile

    if (args.out is None) == (args.preview is None):
        raise ConfigError("give --out for a run, or --preview for a picture of its first crops")
    file = load_yaml(TrainingFile, args.config)
    if args.encoder_weights is not None:
        file = replace(file, encoder_weights=args.encoder_weights)
    hosts = Hosts(args.hosts, args.host_index, args.coordinator)
    check_backend(hosts)
    bundle, extend = args.extend or args.start_from, args.extend is not None
    start = start_of(file.training(), args.objects, bundle, extend)
    # What can be refused is refused before anything is rendered.
    if args.preview is not None:
        preview(start, _data(args, file), args.preview)
        return 0
    _check_run(args, start, hosts)
    train(start, _data(args, file), args.out, args.name, hosts)
    return 0


def _check_run(args: argparse.Namespace, start: TrainingStart, hosts: Hosts) -> None:
    """Whether a run can begin, or go on, in its folder."""
    from casapose_ros.training.checkpoint import check_settings, newest_checkpoint
    from casapose_ros.training.loop import CHECKPOINTS

    newest = newest_checkpoint(args.out / CHECKPOINTS)
    if newest is not None and not args.resume:
        raise ConfigError(f"{args.out} holds a run already; add --resume or name another folder")
    if newest is not None:
        check_settings(newest, start.config)
        return
    if args.resume and hosts.index == 0:
        print(f"{args.out} holds no checkpoint to resume: starting with the first step")
    encoder = start.config.encoder_weights
    if encoder is not None and not Path(encoder).is_file():
        raise ConfigError(f"encoder_weights: {encoder}: no such file")


def _data(args: argparse.Namespace, file: TrainingFile) -> TrainingData:
    """What the command line and the settings say to learn from; renders it if need be."""
    if args.jobs is not None and args.jobs < 1:
        raise ConfigError(f"--jobs must be at least 1, got {args.jobs}")
    cores = len(os.sched_getaffinity(0))
    data = TrainingData(
        tuple(args.data),
        args.split,
        args.validation,
        args.validation_split,
        args.cache,
        args.skip_broken,
        processes=args.jobs or (max(cores // 2, 1) if args.on_the_fly else cores),
        photos=args.photos,
    )
    if args.on_the_fly and (args.no_render or not file.render):
        raise ConfigError(f"--on-the-fly needs the 'render' section of {args.config}")
    if args.no_render or not file.render:
        if args.photos is not None:
            raise ConfigError("--photos is for what is rendered, and nothing is")
        return data
    return rendered_data(file, args.config, args.objects, data, args.on_the_fly)


def train(
    start: TrainingStart,
    data: TrainingData,
    out: Path,
    name: str | None = None,
    hosts: Hosts | None = None,
) -> Path:
    """Train to the end, from the folder's checkpoint if it has one.

    Args:
        start: Settings and objects.
        data: What to learn from.
        out: The run's folder.
        name: Name of the model; that of the folder if None.
        hosts: The hosts that share the run; this one alone if None.

    Returns:
        The folder of the model bundle.

    Raises:
        CasaposeError: The data do not fit, the checkpoint is of other settings or data, or the
            loss is not finite.
    """
    from contextlib import closing, nullcontext

    from casapose_ros.files import locked, make_folder
    from casapose_ros.settings import EstimatorConfig
    from casapose_ros.training.distribution import Hosts, join_hosts
    from casapose_ros.training.loop import Run

    config, objects, hosts = start.config, start.objects, hosts or Hosts()
    sets, held_out = training_sets(data), validation_set(data)
    start.check_shown(shown_objects(data, sets))
    check_held_out(data, sets, held_out)
    validate = Validator(held_out, start)
    with closing(open_frames(data, sets, objects, config)) as frames:
        make_folder(out)
        with locked(out / "run", wait=False) if hosts.index == 0 else nullcontext():
            note_data(out, data, sets, frames, start)
            # Hosts take different times to read their frames: they meet after it.
            join_hosts(hosts)
            initial = start.trained.weights if start.trained else None
            surfaces = surfaces_to_learn_with(start)
            settings = EstimatorConfig(
                max_instances=validate.instances,
                refinement="none" if surfaces is None else "outline",
            )
            name = name or out.name
            training = Run(
                config, frames, objects, validate, out, name, initial, settings, surfaces
            )
            training.resume()
            if training.step:
                print(f"resuming after {training.step} steps")
            _train(training)
    return out / "bundle"


def preview(start: TrainingStart, data: TrainingData, path: Path) -> None:
    """Draw the crops of the first steps into one picture."""
    from contextlib import closing

    import numpy as np

    from casapose_ros.commands._batch_picture import batch_picture
    from casapose_ros.data.bop_writer import write_image
    from casapose_ros.training.batches import prefetch_batches

    config = start.config
    steps = range(-(-PREVIEWED // config.batch_size))
    weights = config.weights_of(config.objects)
    with closing(open_frames(data, training_sets(data), start.objects, config)) as frames:
        stream = prefetch_batches(
            frames, config.crop, config.batch_size, config.seed, steps, weights=weights
        )
        batches = list(stream)
    inputs, targets = (
        {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
        for parts in zip(*batches, strict=True)
    )
    write_image(path, batch_picture(inputs, targets)[..., ::-1])
    print(f"preview: {path}")


def _train(training) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    from casapose_ros.training.plots import plot_curves

    console = Console()
    columns = (BarColumn(), MofNCompleteColumn(), Remaining(), TextColumn("{task.description}"))
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("starting", total=training.config.steps, completed=training.step)
        shown: dict[str, float] = {}

        def report(progress) -> None:
            nonlocal shown
            losses = "  ".join(f"{k} {v:.3f}" for k, v in progress.losses.items() if k != "loss")
            text = f"{1000 * progress.seconds_per_step:.0f} ms/step  {losses}"
            bar.update(task, completed=progress.step, description=text)
            if progress.validation and progress.validation is not shown:
                shown = progress.validation
                figures = "  ".join(f"{k} {v:.3f}" for k, v in shown.items())
                console.print(f"step {progress.step}: {figures}")
                if training.devices.is_chief:
                    plot_curves(training.out, training.out / "curves.png")

        training.train(report)

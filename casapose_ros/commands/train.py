"""``casapose train``: learn the poses of an object set from rendered frames."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from casapose_ros.errors import ConfigError

if TYPE_CHECKING:
    from casapose_ros.training.settings import TrainConfig

NAME = "train"
HELP = "train a network on a data set in BOP form"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--config", required=True, type=Path, metavar="YAML", help="settings")
    parser.add_argument(
        "--objects", required=True, type=Path, metavar="OBJECTS", help="object set to learn"
    )
    parser.add_argument(
        "--data", required=True, type=Path, metavar="BOPDIR", help="rendered data set"
    )
    parser.add_argument("--split", default="train_pbr", help="split to train on")
    parser.add_argument("--validation-split", default="val", help="held-out split of --data")
    parser.add_argument("--out", required=True, type=Path, metavar="RUN", help="folder to write")
    parser.add_argument("--name", help="name of the model (default: that of the run's folder)")
    parser.add_argument(
        "--resume", action="store_true", help="go on from the run's last checkpoint"
    )
    parser.add_argument(
        "--cache", type=Path, help="folder for resized frames (default: DATA/cache)"
    )


def run(args: argparse.Namespace) -> int:
    """Train, show progress, and leave a bundle, logs and curves in the run's folder."""
    from casapose_ros.config import load_yaml
    from casapose_ros.training.loop import CHECKPOINT_FILE
    from casapose_ros.training.settings import TrainConfig

    if (args.out / CHECKPOINT_FILE).exists() and not args.resume:
        raise ConfigError(f"{args.out} holds a run already; add --resume or name another folder")
    data = TrainingData(args.data, args.split, args.validation_split, args.cache)
    train(load_yaml(TrainConfig, args.config), args.objects, data, args.out, args.name)
    return 0


@dataclass(frozen=True)
class TrainingData:
    """What a run learns from.

    Attributes:
        path: Folder in BOP form.
        split: To train on.
        validation_split: To measure on while training.
        cache: Folder for resized frames; inside the data set if None.
    """

    path: Path
    split: str = "train_pbr"
    validation_split: str = "val"
    cache: Path | None = None


def train(
    config: TrainConfig, objects: Path, data: TrainingData, out: Path, name: str | None = None
) -> Path:
    """Train to the end, from the folder's checkpoint if it has one.

    Args:
        config: Settings.
        objects: Folder of the object set.
        data: What to learn from.
        out: The run's folder.
        name: Name of the model; that of the folder if None.

    Returns:
        The folder of the model bundle.

    Raises:
        CasaposeError: The data do not fit, the checkpoint is of other settings, or the loss is
            not finite.
    """
    from casapose_ros.data.bop import BopDataset
    from casapose_ros.training.loop import Run

    known = _choose_objects(objects, config.objects)
    cache = _open_cache(data, known, config.input_size)
    validate = _validator(BopDataset(data.path, data.validation_split), known, config)
    training = Run(config, cache, known, validate, out, name or out.name)
    if training.checkpoint_path.exists():
        training.resume()
        print(f"resuming after {training.step} steps")
    _train(training)
    return out / "bundle"


def _choose_objects(path: Path, names: tuple[str, ...]):
    """Objects of the set, in the order named, with class ids 1..K."""
    from casapose_ros.data.meshes import load_object_set

    by_name = {model.name: model for model in load_object_set(path).objects}
    unknown = [name for name in names if name not in by_name]
    if unknown:
        raise ConfigError(f"{path} has no object {unknown[0]!r}; it has {', '.join(by_name)}")
    chosen = names or tuple(by_name)
    return tuple(replace(by_name[n], class_id=i) for i, n in enumerate(chosen, start=1))


def _open_cache(data: TrainingData, objects, size: tuple[int, int]):
    from rich.progress import Progress

    from casapose_ros.data.bop import BopDataset
    from casapose_ros.data.frame_cache import open_frame_cache

    dataset = BopDataset(data.path, data.split)
    with Progress() as bar:
        task = bar.add_task("reading frames", total=None)
        return open_frame_cache(
            dataset,
            objects,
            size,
            data.cache or data.path / "cache",
            lambda done, total: bar.update(task, completed=done, total=total),
        )


def _validator(dataset, objects, config):
    """Measures an estimator on the first frames of the held-out split."""
    from itertools import islice

    from casapose_ros.evaluation.datasets import load_references, read_frame
    from casapose_ros.training.validation import validate

    held_out = list(islice(dataset, config.validation_frames))
    present = {truth.bop_id for frame in held_out for truth in frame.objects}
    references = load_references(dataset.path, objects, present)

    def measure(estimator):
        frames = (read_frame(frame, objects) for frame in held_out)
        return validate(estimator, frames, references)

    return measure


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
            if progress.validation is not shown:
                shown = progress.validation
                figures = "  ".join(f"{k} {v:.3f}" for k, v in shown.items())
                console.print(f"step {progress.step}: {figures}")
                plot_curves(training.out, training.out / "curves.png")

        training.train(report)

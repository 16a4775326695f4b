"""What ``casapose train`` learns from: data sets, renders made first, or frames on the fly."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from casapose_ros.errors import ConfigError, DatasetError
from casapose_ros.files import make_folder

if TYPE_CHECKING:
    from casapose_ros.data.bop import BopDataset, BopFrame
    from casapose_ros.data.frame_cache import FrameCache
    from casapose_ros.data.frame_window import FrameWindow, WindowConfig
    from casapose_ros.data.render_job import RenderJob
    from casapose_ros.training.recipes import TrainingFile
    from casapose_ros.training.settings import TrainConfig
    from casapose_ros.types import ObjectModel


GB = 1e9


@dataclass(frozen=True)
class TrainingData:
    """What a run learns from.

    Attributes:
        paths: Data sets in BOP form; each frame of them is as likely as any other.
        split: To train on.
        validation: Data set to measure on while training; the first of ``paths`` that has the
            split if None.
        validation_split: Split to measure on.
        cache: Folder for resized frames; inside each data set if None.
        skip_broken: Leave out scenes and frames that cannot be read, and say which.
        live: Renders training frames while training, instead of ``paths``.
        window: Which of those frames a step draws from.
        processes: How many processes render.
    """

    paths: tuple[Path, ...]
    split: str = "train_pbr"
    validation: Path | None = None
    validation_split: str = "val"
    cache: Path | None = None
    skip_broken: bool = False
    live: tuple[RenderJob, ...] = ()
    window: WindowConfig | None = None
    processes: int = 1


def rendered_data(
    file: TrainingFile,
    settings: Path,
    objects: Path,
    data: TrainingData,
    on_the_fly: bool,
) -> TrainingData:
    """Render what the settings ask for and what is not there yet, and learn from that.

    The first of ``data.paths`` is the folder that renders go to; the others are learned from as
    they are.

    Args:
        file: The settings.
        settings: Their file.
        objects: Folder of the object set.
        data: What the command line says.
        on_the_fly: Render the training split while training.

    Raises:
        ConfigError: The settings render no split to learn from, or a split that nobody asks for.
        DatasetError: The folder holds other renders, or the disk is too small.
        RenderError: There is no OpenGL.
    """
    home, *others = data.paths
    _check_recipes(file, settings, data)
    jobs = [recipe.job(settings, objects, home) for recipe in file.render]
    training = tuple(job for job in jobs if job.writer.split == data.split)
    if not training:
        raise ConfigError(f"{settings}: render: no entry has split {data.split!r} to learn from")
    unread = [path for path in others if (path / data.split).is_dir()]
    if on_the_fly and unread:
        raise ConfigError(
            f"--on-the-fly learns from renders alone, but {unread[0]} has a split {data.split}: "
            "leave it out, or name it with --validation to validate on it"
        )
    written = [job for job in jobs if not (on_the_fly and job in training)]
    make_folder(home)
    _check_room(written, data, file.input_size)
    for job in written:
        _render(job, data.processes)
    folders = dict.fromkeys(job.writer.path for job in written)
    data = replace(data, paths=(*folders, *others))
    return replace(data, live=training, window=file.on_the_fly) if on_the_fly else data


def _check_recipes(file: TrainingFile, settings: Path, data: TrainingData) -> None:
    home, asked = data.paths[0], (data.split, data.validation_split)
    for recipe in file.render:
        if recipe.split not in asked:
            raise ConfigError(
                f"{settings}: render: {recipe.folder} is of split {recipe.split!r}, which nobody "
                f"asks for: use {asked[0]!r} or {asked[1]!r}, or --split and --validation-split"
            )
    if any((home / split).is_dir() for split in asked):
        raise ConfigError(
            f"{home} is a data set itself, but {settings} renders into folders inside it: name "
            "another folder, or leave 'render' out with --no-render"
        )


def _check_room(jobs: Sequence[RenderJob], data: TrainingData, size: tuple[int, int]) -> None:
    """Whether the disks have room for all that is to be rendered, and for it at network size."""
    from casapose_ros.data.frame_cache import cache_bytes
    from casapose_ros.data.render_job import bytes_per_frame

    needed: dict[int, float] = {}
    folders: dict[int, Path] = {}
    for job in jobs:
        missing = len(job.missing())
        parts = [(job.writer.path.parent, missing * bytes_per_frame(job))]
        if missing and job.writer.split == data.split:
            parts.append((data.cache or job.writer.path.parent, cache_bytes(job.frames, size)))
        for folder, count in parts:
            make_folder(folder)
            disk = folder.stat().st_dev
            folders.setdefault(disk, folder)
            needed[disk] = needed.get(disk, 0) + count
    for disk, folder in folders.items():
        free = shutil.disk_usage(folder).free
        if needed[disk] > free:
            raise DatasetError(
                f"{folder}: the frames to render, and the same at {size[0]}x{size[1]} to train on, "
                f"need about {needed[disk] / GB:.1f} GB, but only {free / GB:.1f} GB are free: ask "
                "for fewer, or give --cache a folder on another disk"
            )


def _render(job: RenderJob, processes: int) -> None:
    from rich.console import Console

    import casapose_ros.training.loop  # noqa: F401  # the network's library before OpenGL
    from casapose_ros.commands.render import render_plan
    from casapose_ros.data.render_job import finish, prepare
    from casapose_ros.files import locked

    console = Console()
    folder = job.writer.path / job.writer.split
    make_folder(job.writer.path)
    with locked(job.writer.path / "rendering"):
        plan = prepare(job, resume=True)
        if plan.indices:
            console.print(f"{folder}: rendering", soft_wrap=True)
            render_plan(job, plan, processes, console)
        if plan.indices or not job.writer.finished():
            finish(job)
    console.print(f"{folder}: {job.frames} frames", soft_wrap=True)


@dataclass(frozen=True)
class TrainingSet:
    """A data set to learn from; its files are read once.

    Attributes:
        dataset: Where it is, and what was wrong with it.
        frames: What its files say.
    """

    dataset: BopDataset
    frames: tuple[BopFrame, ...]


def training_sets(data: TrainingData) -> list[TrainingSet]:
    """The data sets that have the split to learn from; none if frames are rendered on the fly.

    Raises:
        DatasetError: One of ``paths`` has neither that split nor the one to validate on, or none
            has the former, or the files of a scene are broken.
    """
    from casapose_ros.data.bop import BopDataset

    for path in data.paths:
        if not any((path / split).is_dir() for split in (data.split, data.validation_split)):
            raise DatasetError(f"{path / data.split}: no such split of a BOP data set")
    if data.live:
        return []
    found = [
        BopDataset(path, data.split, data.skip_broken)
        for path in data.paths
        if (path / data.split).is_dir()
    ]
    if not found:
        raise DatasetError(
            f"{', '.join(map(str, data.paths))}: no split {data.split} to learn from"
        )
    return [TrainingSet(dataset, tuple(dataset)) for dataset in found]


def open_frames(
    data: TrainingData,
    sets: Sequence[TrainingSet],
    objects: Sequence[ObjectModel],
    config: TrainConfig,
) -> FrameCache | FrameWindow:
    """Open what batches are drawn from.

    Raises:
        DatasetError: A data set is broken, or does not fit the objects or the input.
    """
    from casapose_ros.data.frame_cache import join_caches
    from casapose_ros.data.frame_window import FrameMaker, FrameWindow

    if data.live:
        maker = FrameMaker(data.live, tuple(objects), config.input_size, config.symmetric_targets)
        return FrameWindow(maker, data.window, data.processes)
    caches = [_open_cache(each, data, objects, config) for each in sets]
    for each in sets:
        print_problems(each.dataset)
    return join_caches(caches)


def shown_objects(data: TrainingData, sets: Sequence[TrainingSet]) -> Mapping[int, int]:
    """How often objects appear in what is learned from, by BOP id; each once in its scenarios."""
    from casapose_ros.data.meshes import load_object_set
    from casapose_ros.evaluation.datasets import count_objects

    if not data.live:
        return count_objects(frame for each in sets for frame in each.frames)
    return Counter(
        model.bop_id
        for job in data.live
        for model in load_object_set(job.objects).objects
        if model.name in job.config.objects or not job.config.objects
    )


def validation_set(data: TrainingData) -> BopDataset:
    """The held-out data set.

    Raises:
        DatasetError: There is none.
    """
    from casapose_ros.data.bop import BopDataset

    if data.validation is not None:
        return BopDataset(data.validation, data.validation_split, data.skip_broken)
    for path in data.paths:
        if (path / data.validation_split).is_dir():
            return BopDataset(path, data.validation_split, data.skip_broken)
    raise DatasetError(
        f"no split {data.validation_split} to validate on in {', '.join(map(str, data.paths))}: "
        "name a data set with --validation, or another split with --validation-split"
    )


def check_held_out(data: TrainingData, sets: Sequence[TrainingSet], validation: BopDataset) -> None:
    """Rendered frames to validate on must not be those to learn from.

    Raises:
        DatasetError: They have the same scenario and the same seed.
    """
    from casapose_ros.data.bop import RENDER_NOTE

    path = validation.path / validation.split / RENDER_NOTE
    if not path.exists():
        return
    notes = [each.dataset.path / each.dataset.split / RENDER_NOTE for each in sets]
    learned = [(str(note), json.loads(note.read_text())) for note in notes if note.exists()]
    learned += [("the settings", json.loads(json.dumps(job.describe()))) for job in data.live]
    held_out = json.loads(path.read_text())
    for name, rendered in learned:
        if all(held_out[key] == rendered[key] for key in ("seed", "objects", "config")):
            raise DatasetError(
                f"{path} and {name} have the same scenario and the same seed, {rendered['seed']}: "
                "the network would be validated on what it learns; render one of them with another"
            )


def print_problems(dataset: BopDataset) -> None:
    """What was skipped, one by one, and how much it was."""
    for problem in dataset.problems:
        print(f"skipped: {problem}")
    if dataset.problems:
        print(f"{dataset.path}: {len(dataset.problems)} broken frames or scenes were skipped")


def _open_cache(
    each: TrainingSet, data: TrainingData, objects: Sequence[ObjectModel], config: TrainConfig
) -> FrameCache:
    from rich.progress import Progress

    from casapose_ros.data.frame_cache import open_frame_cache

    path = each.dataset.path
    with Progress() as bar:
        task = bar.add_task(f"reading {path.name}", total=None)
        return open_frame_cache(
            each.dataset,
            each.frames,
            objects,
            config.input_size,
            data.cache or path / "cache",
            config.symmetric_targets,
            lambda done, total: bar.update(task, completed=done, total=total),
        )

"""What ``casapose train`` renders before it trains, or while it does."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from casapose_ros.commands._training_data import TrainingData
from casapose_ros.errors import ConfigError, DatasetError
from casapose_ros.files import make_folder

if TYPE_CHECKING:
    from casapose_ros.data.render_job import RenderJob
    from casapose_ros.training.recipes import TrainingFile

GB = 1e9


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
        ConfigError: The settings render no split to learn from, or a split that nobody asks for,
            or a scenario shows photos and there are none, or the other way round.
        DatasetError: The folder holds other renders, or the disk is too small.
        RenderError: There is no OpenGL.
    """
    from casapose_ros.data.render_job import check_begun

    home, *others = data.paths
    _check_recipes(file, settings, data)
    jobs = [recipe.job(settings, objects, home, data.photos) for recipe in file.render]
    if data.photos is not None and not any(job.config.photo_probability for job in jobs):
        raise ConfigError(f"--photos: no scenario of {settings} has a photo_probability above 0")
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
    for job in written:
        check_begun(job)
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

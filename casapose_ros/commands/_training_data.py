"""What ``casapose train`` learns from: data sets, renders made first, or frames on the fly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from casapose_ros.errors import DatasetError

if TYPE_CHECKING:
    from casapose_ros.data.bop import BopDataset, BopFrame
    from casapose_ros.data.frame_cache import FrameCache
    from casapose_ros.data.frame_window import FrameWindow, WindowConfig
    from casapose_ros.data.render_job import RenderJob
    from casapose_ros.training.settings import TrainConfig
    from casapose_ros.types import ObjectModel


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
        photos: Folder of photographs for scenarios that show some.
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
    photos: Path | None = None


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

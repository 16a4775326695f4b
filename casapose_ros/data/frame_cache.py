"""BOP data sets at network resolution, as memory-mapped arrays that training crops from."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from casapose_ros.data.bop import BopDataset, BopFrame
from casapose_ros.data.fitting import check_complete, check_fit, find_bad_poses
from casapose_ros.data.resizing import check_aspect, resize_frame
from casapose_ros.data.targets import KeypointTargets, further_instances, main_instances
from casapose_ros.errors import DatasetError
from casapose_ros.files import locked, make_folder, replacing
from casapose_ros.geometry import resize_camera
from casapose_ros.types import ObjectModel

CACHE_VERSION = 4
PROBLEMS = "problems.json"
"""Frames that could not be read; written last, so that it also says that the cache is whole."""
BYTES_PER_PIXEL = 4


@dataclass(frozen=True)
class FrameCache:
    """N frames, resized, with the truth that training needs.

    Attributes:
        images: N of (H, W, 3) uint8 RGB.
        labels: N of (H, W) uint8 numbers of instances, see ``targets.instance_numbers``: those of
            the classes where every object is there once.
        keypoints: N of (K+E, S, 9, 2) float32 px, x then y, of instances 1, 2, ... in S poses that
            look alike; NaN for those that are not there.
        classes: N of (K+E,) uint8, their class ids.
        scale: Pixels of the original image per pixel of the cache.
    """

    images: Sequence[np.ndarray]
    labels: Sequence[np.ndarray]
    keypoints: Sequence[np.ndarray]
    classes: Sequence[np.ndarray]
    scale: float

    def __len__(self) -> int:
        return len(self.labels)

    def at(self, step: int) -> FrameCache:
        """The frames that a training step draws from: all of them at every step."""
        return self

    def close(self) -> None:
        """Nothing to end; a window of rendered frames has processes."""


class Rows:
    """Rows of several arrays, one after another.

    Args:
        parts: Arrays, each with the numbers of the rows that count.
    """

    def __init__(self, parts: Sequence[tuple[Sequence[np.ndarray], Sequence[int]]]):
        self._arrays = [array for array, _ in parts]
        self._places = [(part, row) for part, (_, rows) in enumerate(parts) for row in rows]

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> np.ndarray:
        part, row = self._places[index]
        return self._arrays[part][row]


def join_caches(caches: Sequence[FrameCache]) -> FrameCache:
    """All frames of several data sets, each frame as likely as any other.

    The scale is the mean over the frames: it only weighs the keypoint loss.
    """
    if len(caches) == 1:
        return caches[0]
    most = max(cache.classes[0].size for cache in caches)
    caches = [_with_rows(cache, most) for cache in caches]
    images, labels, keypoints, classes = (
        Rows([(getattr(cache, name), range(len(cache))) for cache in caches])
        for name in ("images", "labels", "keypoints", "classes")
    )
    scale = np.average([c.scale for c in caches], weights=[len(c) for c in caches])
    return FrameCache(images, labels, keypoints, classes, float(scale))


def _with_rows(cache: FrameCache, count: int) -> FrameCache:
    """The same with room for so many instances; those that are new are not there."""
    keypoints, classes = np.asarray(cache.keypoints), np.asarray(cache.classes)
    if classes.shape[1] == count:
        return cache
    more = (0, 0), (0, count - classes.shape[1])
    return replace(
        cache,
        keypoints=np.pad(keypoints, (*more, *[(0, 0)] * 3), constant_values=np.nan),
        classes=np.pad(classes, more),
    )


def open_frame_cache(
    dataset: BopDataset,
    frames: Sequence[BopFrame],
    objects: Sequence[ObjectModel],
    size: tuple[int, int],
    folder: Path,
    symmetric: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> FrameCache:
    """Open the cache of a data set, writing it first if it is not there yet.

    Args:
        dataset: Where the frames are. If it skips what is broken, frames with an unreadable image
            or a pose that is none are left out, too, and noted in its ``problems``.
        frames: What its files say, with masks of the visible pixels.
        objects: Objects 1..K; others in the data set become background.
        size: (width, height) of the network's input; must have the images' aspect ratio.
        folder: Where caches live; each is named by what it was made from.
        symmetric: Keypoints of all equivalent poses, not only of the true one.
        progress: Called with (frames done, frames in all).

    Raises:
        DatasetError: The data set is empty, has no masks, has images of another shape or without
            ground truth, is broken, or does not fit the objects; or the disk is too small.
    """
    _check(dataset, frames, objects, size)
    known = {model.bop_id for model in objects}
    further = max(len(further_instances(frame.objects, known)) for frame in frames)
    targets = KeypointTargets(objects, symmetric, further)
    path = folder / _key(dataset.path, frames, objects, size)
    make_folder(folder)
    with locked(path):
        if not (path / PROBLEMS).exists():
            _write(path, frames, objects, size, progress)
    broken = {int(i): text for i, text in json.loads((path / PROBLEMS).read_text()).items()}
    broken |= find_bad_poses(frames, objects)
    _report(dataset, broken)
    usable = [i for i in range(len(frames)) if i not in broken]
    if not usable:
        raise DatasetError(f"{dataset.path}: none of {len(frames)} frames can be read")
    keypoints, classes = zip(*(_targets(targets, frames[i], size) for i in usable), strict=True)
    # As plain arrays, whose rows are taken in a tenth of the time.
    arrays = {
        name: np.asarray(np.load(path / f"{name}.npy", mmap_mode="r"))
        for name in ("images", "labels")
    }
    if broken:
        arrays = {name: Rows([(array, usable)]) for name, array in arrays.items()}
    return FrameCache(
        **arrays,
        keypoints=np.stack(keypoints),
        classes=np.stack(classes),
        scale=frames[0].camera.width / size[0],
    )


def cache_bytes(frames: int, size: tuple[int, int]) -> int:
    """Room that the cache of so many frames takes on the disk."""
    return frames * size[0] * size[1] * BYTES_PER_PIXEL


def _check(
    dataset: BopDataset,
    frames: Sequence[BopFrame],
    objects: Sequence[ObjectModel],
    size: tuple[int, int],
) -> None:
    if not frames:
        raise DatasetError(f"{dataset.path}: no frames to train on")
    for frame in frames:
        check_aspect(frame.camera, size, str(frame.image_path))
    check_fit(dataset.path, frames, objects)
    check_complete(dataset, frames)


def _targets(
    targets: KeypointTargets, frame: BopFrame, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    return targets.project(frame.objects, resize_camera(frame.camera, *size))


def _key(
    root: Path, frames: Sequence[BopFrame], objects: Sequence[ObjectModel], size: tuple[int, int]
) -> str:
    """Name of the cache: changes with the images, masks, objects' classes, or the size."""
    digest = hashlib.sha256()
    classes = [(model.bop_id, model.class_id) for model in objects]
    digest.update(json.dumps([CACHE_VERSION, size, classes]).encode())
    for frame in frames:
        masks = [truth.mask_path for truth in frame.objects]
        known = [_state(path, root) for path in (frame.image_path, *masks)]
        known.append([truth.bop_id for truth in frame.objects])
        known.append(sorted(main_instances(frame.objects).values()))
        if further := further_instances(frame.objects, dict(classes)):
            known.append(further)
        digest.update(json.dumps(known).encode())
    return digest.hexdigest()[:16]


def _state(path: Path | None, root: Path) -> tuple[str, int, int] | None:
    if path is None:
        return None
    try:
        state = os.stat(path)
    except OSError:  # a link to nowhere; reading the frame says so
        return None
    return path.relative_to(root).as_posix(), state.st_mtime_ns, state.st_size


def _write(
    path: Path,
    frames: Sequence[BopFrame],
    objects: Sequence[ObjectModel],
    size: tuple[int, int],
    progress: Callable[[int, int], None] | None,
) -> None:
    width, height = size
    count = len(frames)
    needed = cache_bytes(count, size)
    shutil.rmtree(path, ignore_errors=True)  # of a process that died in the middle
    free = shutil.disk_usage(path.parent).free
    if needed > free:
        raise DatasetError(
            f"{path.parent}: {count} frames of {width}x{height} need {needed / 1e9:.1f} GB, but "
            f"only {free / 1e9:.1f} GB are free: delete caches there that "
            "no run uses any more, or give another folder with --cache"
        )
    path.mkdir()
    images, labels = (
        np.lib.format.open_memmap(path / f"{name}.npy", "w+", np.uint8, shape)
        for name, shape in (
            ("images", (count, height, width, 3)),
            ("labels", (count, height, width)),
        )
    )
    classes = {model.bop_id: model.class_id for model in objects}
    broken: dict[int, str] = {}

    def convert(index: int) -> None:
        try:
            images[index], labels[index] = _resized(frames[index], classes, size)
        except DatasetError as error:
            broken[index] = str(error)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for done, _ in enumerate(pool.map(convert, range(count)), start=1):
            if progress is not None:
                progress(done, count)
    images.flush()
    labels.flush()
    with replacing(path / PROBLEMS) as part:
        part.write_text(json.dumps(dict(sorted(broken.items()))))


def _resized(
    frame: BopFrame, classes: Mapping[int, int], size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Image and labels of one frame."""
    known = [i for i, truth in enumerate(frame.objects) if truth.bop_id in classes]
    truths = [frame.objects[i] for i in known]
    return resize_frame(frame.load_image(), truths, map(frame.load_mask, known), classes, size)


def _report(dataset: BopDataset, broken: Mapping[int, str]) -> None:
    if broken and not dataset.skip_broken:
        first = next(iter(broken.values()))
        more = f" (and {len(broken) - 1} more frames)" if len(broken) > 1 else ""
        raise DatasetError(f"{first}{more}; --skip-broken leaves them out")
    dataset.problems.extend(broken.values())

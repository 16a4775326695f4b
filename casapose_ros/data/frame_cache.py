"""A BOP data set at network resolution, as memory-mapped arrays that training crops from."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from casapose_ros.data.bop import BopDataset, BopFrame
from casapose_ros.errors import DatasetError
from casapose_ros.geometry import project, resize_camera
from casapose_ros.types import NUM_KEYPOINTS, ObjectModel

CACHE_VERSION = 1


@dataclass(frozen=True)
class FrameCache:
    """N frames, resized, with the truth that training needs.

    Attributes:
        images: (N, H, W, 3) uint8 RGB.
        labels: (N, H, W) uint8 class ids.
        keypoints: (N, K, 9, 2) float32 px, x then y; NaN for absent objects.
        scale: Pixels of the original image per pixel of the cache.
    """

    images: np.ndarray
    labels: np.ndarray
    keypoints: np.ndarray
    scale: float


def open_frame_cache(
    dataset: BopDataset,
    objects: Sequence[ObjectModel],
    size: tuple[int, int],
    folder: Path,
    progress: Callable[[int, int], None] | None = None,
) -> FrameCache:
    """Open the cache of a data set, writing it first if it is not there yet.

    Args:
        dataset: The frames; all of one size, with masks of the visible pixels.
        objects: Objects 1..K; others in the data set become background.
        size: (width, height) of the network's input; must have the images' aspect ratio.
        folder: Where caches live; each is named by what it was made from.
        progress: Called with (frames done, frames in all).

    Raises:
        DatasetError: The data set is empty, has no masks, or has images of another shape.
    """
    frames = list(dataset)
    if not frames:
        raise DatasetError(f"{dataset.path}: no frames to train on")
    path = folder / _key(frames, objects, size)
    if not (path / "done").exists():
        _write(path, frames, objects, size, progress)
    arrays = {n: np.load(path / f"{n}.npy", mmap_mode="r") for n in ("images", "labels")}
    return FrameCache(
        **arrays,
        keypoints=np.load(path / "keypoints.npy"),
        scale=frames[0].camera.width / size[0],
    )


def _key(frames: Sequence[BopFrame], objects: Sequence[ObjectModel], size: tuple[int, int]) -> str:
    """Name of the cache: changes with the frames, the objects' keypoints, or the size."""
    digest = hashlib.sha256()
    digest.update(json.dumps([CACHE_VERSION, size]).encode())
    for frame in frames:
        digest.update(f"{frame.image_path}{os.path.getmtime(frame.image_path)}".encode())
    for model in objects:
        digest.update(f"{model.bop_id},{model.class_id}".encode() + model.keypoints.tobytes())
    return digest.hexdigest()[:16]


def _write(
    path: Path,
    frames: Sequence[BopFrame],
    objects: Sequence[ObjectModel],
    size: tuple[int, int],
    progress: Callable[[int, int], None] | None,
) -> None:
    path.mkdir(parents=True, exist_ok=True)
    width, height = size
    count = len(frames)
    images, labels = (
        np.lib.format.open_memmap(path / f"{name}.npy", "w+", np.uint8, shape)
        for name, shape in (
            ("images", (count, height, width, 3)),
            ("labels", (count, height, width)),
        )
    )
    keypoints = np.full((count, len(objects), NUM_KEYPOINTS, 2), np.nan, np.float32)
    by_bop_id = {model.bop_id: model for model in objects}

    def convert(index: int) -> None:
        images[index], labels[index] = _resized(frames[index], by_bop_id, size, keypoints[index])

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for done, _ in enumerate(pool.map(convert, range(count)), start=1):
            if progress is not None:
                progress(done, count)
    images.flush()
    labels.flush()
    np.save(path / "keypoints.npy", keypoints)
    (path / "done").touch()


def _resized(
    frame: BopFrame,
    by_bop_id: dict[int, ObjectModel],
    size: tuple[int, int],
    keypoints: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Image and labels of one frame; fills ``keypoints`` (K, 9, 2) in place."""
    image = frame.load_image()
    height, width = image.shape[:2]
    if abs(width * size[1] - height * size[0]) > max(size):
        raise DatasetError(
            f"{frame.image_path}: {width}x{height} has another aspect ratio than the network's "
            f"input {size[0]}x{size[1]}"
        )
    camera = resize_camera(frame.camera, *size)
    labels = np.zeros((height, width), np.uint8)
    for index, truth in enumerate(frame.objects):
        model = by_bop_id.get(truth.bop_id)
        if model is None:
            continue
        if truth.mask_path is None:
            raise DatasetError(f"{frame.image_path}: object {truth.bop_id} has no mask_visib")
        labels[frame.load_mask(index)] = model.class_id
        keypoints[model.class_id - 1] = project(
            model.keypoints, truth.R_cam_obj, truth.t_cam_obj, camera
        )
    return (
        cv2.resize(image, size, interpolation=cv2.INTER_AREA),
        cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST_EXACT),
    )

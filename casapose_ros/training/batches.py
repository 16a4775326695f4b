"""Training batches: augmented crops, each a function of (seed, step) alone.

A run that resumes at some step therefore sees the batches it would have seen.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from casapose_ros.data.augmentation import augment_image
from casapose_ros.data.frame_cache import FrameCache
from casapose_ros.errors import ConfigError

PREFETCHED = 4


@dataclass(frozen=True)
class CropConfig:
    """How a crop is taken.

    Attributes:
        size: Side of the square crop at network resolution, px, divisible by 8.
        centred: Fraction of crops that are placed on a random object; the others on any pixel.
        jitter: Largest offset of the object's centre from the crop's, as a fraction of ``size``.
        max_rotation: In-plane rotation, degrees.
        max_zoom: Largest factor by which a crop is enlarged or reduced.
        overhang: Largest part of a crop's side that lies outside the frame, before rotation.
        pixels: Foreground pixels at which vectors are learned, per crop.
        augmentation: Strength of the photometric augmentation; 1 is the paper's.
    """

    size: int = 128
    centred: float = 0.9
    jitter: float = 0.3
    max_rotation: float = 10.0
    max_zoom: float = 1.15
    overhang: float = 0.1
    pixels: int = 1024
    augmentation: float = 1.0

    def __post_init__(self) -> None:
        if self.size < 8 or self.size % 8:
            raise ConfigError(f"crop size must be a positive multiple of 8, got {self.size}")


def make_batch(
    cache: FrameCache, config: CropConfig, batch_size: int, seed: int, step: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The batch of one step.

    Returns:
        Inputs and targets as :class:`~casapose_ros.training.trainer.Trainer` takes them.
    """
    rng = np.random.default_rng((seed, step))
    crops = [_crop(cache, config, rng) for _ in range(batch_size)]
    images, labels, pixels, keypoints = (np.stack(parts) for parts in zip(*crops, strict=True))
    return {"image": images, "labels": labels, "pixels": pixels}, {"keypoints": keypoints}


def prefetch_batches(
    cache: FrameCache, config: CropConfig, batch_size: int, seed: int, steps: range
) -> Iterator[tuple[dict[str, np.ndarray], dict[str, np.ndarray]]]:
    """Batches of the given steps in order, made by a thread while the network trains."""
    ready: queue.Queue = queue.Queue(PREFETCHED)
    stop = threading.Event()

    def put(item) -> bool:
        while not stop.is_set():
            try:
                ready.put(item, timeout=0.2)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for step in steps:
                if not put(make_batch(cache, config, batch_size, seed, step)):
                    return
        except BaseException as error:  # handed to the consumer, which raises it
            put(error)

    thread = threading.Thread(target=work, name="batches", daemon=True)
    thread.start()
    try:
        for _ in steps:
            item = ready.get()
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()


def _crop(cache: FrameCache, config: CropConfig, rng: np.random.Generator):
    index = int(rng.integers(len(cache.images)))
    labels = cache.labels[index]
    centre = _centre(labels, config, rng)
    to_crop = _affine(centre, config, rng)
    size = (config.size, config.size)
    image = cv2.warpAffine(cache.images[index], to_crop, size, flags=cv2.INTER_LINEAR)
    labels = cv2.warpAffine(labels, to_crop, size, flags=cv2.INTER_NEAREST)
    # Keypoints have pixel centres at 0.5, warpAffine has them at integers.
    keypoints = (cache.keypoints[index] - 0.5) @ to_crop[:, :2].T + to_crop[:, 2] + 0.5
    pixels = _foreground_sample(labels, config.pixels, rng)
    keypoints = np.nan_to_num(keypoints).astype(np.float32)
    return augment_image(image, rng, config.augmentation), labels, pixels, keypoints


def _centre(labels: np.ndarray, config: CropConfig, rng: np.random.Generator) -> np.ndarray:
    """Where in the frame the crop looks, px (x, y)."""
    size = np.array(labels.shape[::-1])
    classes = np.flatnonzero(np.bincount(labels.ravel())[1:]) + 1
    if not len(classes) or rng.random() >= config.centred:
        centre = rng.uniform((0, 0), size)
    else:
        rows, columns = np.nonzero(labels == rng.choice(classes))
        jitter = rng.uniform(-config.jitter, config.jitter, 2) * config.size
        centre = np.array([columns.mean(), rows.mean()]) + jitter
    margin = (0.5 - config.overhang) * config.size
    return np.clip(centre, margin, size - margin)


def _affine(centre: np.ndarray, config: CropConfig, rng: np.random.Generator) -> np.ndarray:
    """(2, 3) affine map from the frame's pixels to the crop's."""
    angle = np.deg2rad(rng.uniform(-config.max_rotation, config.max_rotation))
    zoom = np.exp(rng.uniform(-1, 1) * np.log(config.max_zoom))
    c, s = zoom * np.cos(angle), zoom * np.sin(angle)
    turn = np.array([[c, -s], [s, c]])
    return np.column_stack([turn, (config.size - 1) / 2 - turn @ centre])


def _foreground_sample(labels: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """(count,) int32 flattened foreground pixels, with repetition; zeros where there is none.

    Where pixel 0 stands in, its label of background keeps it out of every loss.
    """
    foreground = np.flatnonzero(labels)
    if not len(foreground):
        return np.zeros(count, np.int32)
    return rng.choice(foreground, count, replace=len(foreground) < count).astype(np.int32)

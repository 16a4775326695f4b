"""Training batches: crops that are each a function of (seed, step, place in the batch) alone.

A run that resumes at some step therefore sees the batches it would have seen, whatever the number
of threads that make them, and several hosts can each make their share.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import Protocol

import numpy as np

from casapose_ros.data.frame_cache import FrameCache
from casapose_ros.training.crops import CropConfig, make_crop

__all__ = ["BatchStream", "CropConfig", "FrameSource", "make_batch", "prefetch_batches"]

Batch = tuple[dict[str, np.ndarray], dict[str, np.ndarray]]
MAX_WORKERS = 16
AHEAD = 2
"""Batches that wait to be used, besides those in the making."""


class FrameSource(Protocol):
    """What batches are drawn from: a :class:`FrameCache`, or a window of frames rendered anew."""

    scale: float

    def at(self, step: int) -> FrameCache:
        """The frames of one step."""

    def close(self) -> None:
        """End what makes frames."""


def default_workers() -> int:
    """Half of the usable cores: the other half feeds the device, or is the device."""
    return min(max(len(os.sched_getaffinity(0)) // 2, 1), MAX_WORKERS)


def make_batch(
    frames: FrameSource,
    config: CropConfig,
    batch_size: int,
    seed: int,
    step: int,
    share: range | None = None,
    weights: np.ndarray | None = None,
) -> Batch:
    """The batch of one step.

    Args:
        frames: What to draw from.
        config: How crops are taken.
        batch_size: Crops in the whole batch.
        seed: Of the run.
        step: The step.
        share: Places in the batch to make; all of them if None.
        weights: (K,) how often a crop is placed on each object; None for all alike.

    Returns:
        Inputs and targets as :class:`~casapose_ros.training.trainer.Trainer` takes them.
    """
    cache = frames.at(step)
    places = range(batch_size) if share is None else share
    rngs = (np.random.default_rng((seed, step, place)) for place in places)
    crops = [make_crop(cache, config, rng, weights) for rng in rngs]
    inputs = {
        name: np.stack([getattr(crop, name) for crop in crops])
        for name in ("image", "labels", "classes", "guide", "pixels")
    }
    inputs["step"] = np.full(len(crops), step, np.int32)
    return inputs, {"keypoints": np.stack([crop.keypoints for crop in crops])}


class BatchStream:
    """Batches in the order of their steps, made by threads while the network trains.

    Iterate over it; as a context manager it ends its threads.

    Args:
        make: Makes the batch of a step.
        steps: The steps.
        workers: Threads, each of which makes whole batches.

    Attributes:
        waited: Seconds that whoever takes the batches has waited for them, in all.
    """

    def __init__(self, make: Callable[[int], Batch], steps: range, workers: int):
        self.waited = 0.0
        self._make, self._steps = make, iter(steps)
        self._pool = ThreadPoolExecutor(workers, "batches")
        self._pending: deque = deque()
        for _ in range(workers + AHEAD):
            self._begin_next()

    def __iter__(self) -> BatchStream:
        return self

    def __next__(self) -> Batch:
        if not self._pending:
            self.close()
            raise StopIteration
        started = perf_counter()
        try:
            batch = self._pending.popleft().result()
        except BaseException:
            self.close()
            raise
        self.waited += perf_counter() - started
        self._begin_next()
        return batch

    def __enter__(self) -> BatchStream:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the threads; batches that are not in the making are dropped."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._pending.clear()

    def _begin_next(self) -> None:
        step = next(self._steps, None)
        if step is not None:
            self._pending.append(self._pool.submit(self._make, step))


def prefetch_batches(
    frames: FrameSource,
    config: CropConfig,
    batch_size: int,
    seed: int,
    steps: range,
    workers: int | None = None,
    share: range | None = None,
    weights: np.ndarray | None = None,
) -> BatchStream:
    """Batches of the given steps in order, made ahead by threads.

    Threads serve because nearly all of the time goes to OpenCV and to NumPy on whole images,
    which run beside each other.

    Args:
        frames: What to draw from.
        config: How crops are taken.
        batch_size: Crops in the whole batch.
        seed: Of the run.
        steps: Which batches.
        workers: Threads; :func:`default_workers` if None.
        share: Places in each batch to make; all of them if None.
        weights: (K,) how often a crop is placed on each object; None for all alike.
    """

    def make(step: int) -> Batch:
        return make_batch(frames, config, batch_size, seed, step, share, weights)

    return BatchStream(make, steps, workers or default_workers())

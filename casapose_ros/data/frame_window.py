"""Frames that are rendered while a network trains on them, and never written to the disk.

Step s draws from the newest W frames of an endless sequence, of which ``frames_per_step`` more are
there at every step. Frame i is a function of the jobs' seeds and of i alone, so a run that resumes
renders its window again and goes on as if it had not stopped.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import queue
import threading
import traceback
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from casapose_ros.data.frame_cache import FrameCache
from casapose_ros.data.render_job import RenderJob, iterate_frames
from casapose_ros.data.resizing import check_aspect, resize_frame
from casapose_ros.data.targets import KeypointTargets
from casapose_ros.errors import CasaposeError, ConfigError, RenderError
from casapose_ros.geometry import resize_camera
from casapose_ros.types import ObjectModel

KEPT_STEPS = 64
"""How far batches that are made at the same time may lie apart."""
RENDERED_AHEAD = 8
"""Frames that wait in each process."""
POLL_S = 0.5


@dataclass(frozen=True)
class WindowConfig:
    """Which of the rendered frames a step draws from.

    Attributes:
        frames: Frames in the window; all of them are held in memory.
        frames_per_step: New frames with every step, each in place of the oldest.
    """

    frames: int = 1000
    frames_per_step: float = 0.5

    def __post_init__(self) -> None:
        if self.frames < 1 or self.frames_per_step < 0:
            raise ConfigError(
                "a window needs at least 1 frame and no fewer than 0 frames_per_step, got "
                f"{self.frames} and {self.frames_per_step}"
            )

    def begin(self, step: int) -> int:
        """Number of the oldest frame that a step draws from."""
        return int(step * self.frames_per_step)


@dataclass(frozen=True)
class WindowFrame:
    """One frame at network resolution; see :class:`~.frame_cache.FrameCache`."""

    image: np.ndarray
    labels: np.ndarray
    keypoints: np.ndarray
    classes: np.ndarray


@dataclass(frozen=True)
class FrameMaker:
    """Renders the frames of the sequence.

    Attributes:
        jobs: Scenarios; each has its share of the frames, in proportion to its number of frames.
        objects: Objects 1..K; others in the scenes become background.
        size: (width, height) of the network's input.
        symmetric: Keypoints of all equivalent poses.
    """

    jobs: tuple[RenderJob, ...]
    objects: tuple[ObjectModel, ...]
    size: tuple[int, int]
    symmetric: bool

    def frames(self, indices: Sequence[int] | Iterator[int]) -> Iterator[WindowFrame]:
        """Render frames one after another."""
        classes = {model.bop_id: model.class_id for model in self.objects}
        targets = KeypointTargets(self.objects, self.symmetric, self.further)
        pending: list[list[int]] = [[] for _ in self.jobs]
        rendered = [
            iterate_frames(job, _emptied(waiting))
            for job, waiting in zip(self.jobs, pending, strict=True)
        ]
        for index in indices:
            job = self.job_of(index)
            pending[job].append(index)
            _, frame = next(rendered[job])
            image, labels = resize_frame(frame.image, frame.truths, frame.masks, classes, self.size)
            camera = resize_camera(frame.camera, *self.size)
            yield WindowFrame(image, labels, *targets.project(frame.truths, camera))

    @property
    def further(self) -> int:
        """Most instances in an image beside the first of each object."""
        scenes = [job.config for job in self.jobs]
        return max(s.object_count[1] * (s.instances_per_object[1] - 1) for s in scenes)

    def job_of(self, index: int) -> int:
        """Which of the jobs renders a frame."""
        shares = np.cumsum([job.frames for job in self.jobs])
        draw = np.random.default_rng((self.jobs[0].seed, index)).integers(shares[-1])
        return int(np.searchsorted(shares, draw, side="right"))


class FrameWindow:
    """A frame source for training that renders in processes of its own.

    They start with the first batch. Usable as a context manager.

    Args:
        maker: What renders.
        config: Size and speed of the window.
        processes: How many render.

    Raises:
        DatasetError: A scenario's images have another aspect ratio than the network's input.
    """

    def __init__(self, maker: FrameMaker, config: WindowConfig, processes: int):
        self.maker, self.config = maker, config
        for job in maker.jobs:
            check_aspect(job.config.camera.model(), maker.size, "a scenario's camera")
        widths = [job.config.camera.width for job in maker.jobs]
        self.scale = float(np.average(widths, weights=[job.frames for job in maker.jobs]))
        self.scale /= maker.size[0]
        context = multiprocessing.get_context("spawn")
        self._context = context
        self._queues = [context.Queue(RENDERED_AHEAD) for _ in range(processes)]
        self._processes: list = []
        self._frames: dict[int, WindowFrame] = {}
        self._next = self._newest = 0
        self._lock = threading.Lock()

    def __enter__(self) -> FrameWindow:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def at(self, step: int) -> FrameCache:
        """The frames of one step; waits until they are rendered. Steps come nearly in order.

        Raises:
            RenderError: A process that renders has died, or failed.
        """
        begin = self.config.begin(step)
        with self._lock:
            if not self._processes:
                self._start(self.config.begin(max(step - KEPT_STEPS, 0)))
            self._newest = max(self._newest, step)
            while self._next < begin + self.config.frames:
                self._frames[self._next] = self._take()
                self._next += 1
            oldest = self.config.begin(max(self._newest - KEPT_STEPS, 0))
            for index in [i for i in self._frames if i < oldest]:
                del self._frames[index]
            window = [self._frames[i] for i in range(begin, begin + self.config.frames)]
        return FrameCache(
            [frame.image for frame in window],
            [frame.labels for frame in window],
            [frame.keypoints for frame in window],
            [frame.classes for frame in window],
            self.scale,
        )

    def close(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.terminate()
            process.join()

    def _start(self, first: int) -> None:
        self._first = self._next = first
        count = len(self._queues)
        self._processes = [
            self._context.Process(
                target=_work, args=(self.maker, first + i, count, ready, i == 0), daemon=True
            )
            for i, ready in enumerate(self._queues)
        ]
        for process in self._processes:
            process.start()

    def _take(self) -> WindowFrame:
        """The next frame; each process renders every so manieth."""
        place = (self._next - self._first) % len(self._queues)
        while True:
            try:
                item = self._queues[place].get(timeout=POLL_S)
            except queue.Empty:
                if not self._processes[place].is_alive():
                    code = self._processes[place].exitcode
                    raise RenderError(f"a render process died (exit code {code})") from None
                continue
            if isinstance(item, CasaposeError):
                raise item
            return item


def _emptied(waiting: list[int]) -> Iterator[int]:
    while True:
        yield waiting.pop()


def _work(
    maker: FrameMaker, first: int, step: int, ready: multiprocessing.Queue, speaks: bool
) -> None:
    """Render every ``step``-th frame until the parent is gone."""
    if not speaks:  # all would say the same about the meshes
        warnings.simplefilter("ignore")
    # One thread each: the processes already fill the cores. Read when Mesa starts.
    os.environ["LP_NUM_THREADS"] = "1"
    cv2.setNumThreads(1)
    try:
        for frame in maker.frames(itertools.count(first, step)):
            if not _put(ready, frame):
                return
    except KeyboardInterrupt:
        return
    except CasaposeError as error:
        _put(ready, error)
    except Exception:  # shown by the parent, whatever it is
        _put(ready, RenderError(f"a render process failed:\n{traceback.format_exc()}"))


def _put(ready: multiprocessing.Queue, item: WindowFrame | CasaposeError) -> bool:
    """Wait for room; false when the parent was killed and nobody waits any more."""
    parent = multiprocessing.parent_process()
    while parent.is_alive():
        try:
            ready.put(item, timeout=POLL_S)
            return True
        except queue.Full:
            continue
    ready.cancel_join_thread()  # or this process would wait at its end for its frames to be taken
    return False

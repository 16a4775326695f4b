"""Running a model over data sets and bags: one after the other, on all cores, on many machines.

A source gives frames, the model's answers become records, and the records go into a log. Each
source is worked through in order by one process; which one that is changes nothing.
"""

from __future__ import annotations

import json
import os
import queue
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from multiprocessing.managers import SyncManager
from typing import Any, Protocol

import numpy as np

from casapose_ros.errors import CasaposeError, ConfigError
from casapose_ros.evaluation.judging import Frame, observe
from casapose_ros.evaluation.record_log import RecordLog
from casapose_ros.evaluation.records import FrameRecord, record_from_json, to_json
from casapose_ros.types import CameraModel, Estimate, ObjectModel

PATIENCE = 0.5
"""Seconds between two looks at whether workers are still at work."""


class Estimator(Protocol):
    """What is measured; :class:`~casapose_ros.estimator.PoseEstimator` is one."""

    objects: Sequence[ObjectModel]

    def run(self, image: np.ndarray, camera: CameraModel) -> Estimate:
        """Poses and fields of an (H, W, 3) uint8 RGB image."""


class FrameSource(Protocol):
    """Frames with their truth, in an order that never changes.

    Attributes:
        name: Unique in a run; the ``source`` of its frames.
        problems: What was lost or skipped so far, one sentence each.
    """

    name: str
    problems: list[str]

    def __len__(self) -> int:
        """About how many frames there are, for the progress bar."""

    def frames(self, done: Collection[str]) -> Iterator[Frame]:
        """All frames but those whose names are in ``done``."""

    def find(self, names: Collection[str]) -> dict[str, Frame]:
        """A few frames by name, to draw them."""


LoadEstimator = Callable[[], Estimator]
"""Loads the model; picklable and hashable, for example a ``functools.partial``."""


def run_sources(
    sources: Sequence[FrameSource],
    load: LoadEstimator,
    log: RecordLog,
    advance: Callable[[int], None],
    jobs: int = 1,
    cluster: str | None = None,
) -> list[str]:
    """Run a model over sources and log a record of every frame that the log does not have yet.

    Args:
        sources: Their names must differ.
        load: Loads the model, once per process.
        log: Keeps the records; in the order in which frames are done.
        advance: Told how many more frames are done.
        jobs: Processes on this machine, at most; there are no more of them than sources.
        cluster: Address of a Dask scheduler whose workers do the work instead. They must see the
            model's and the sources' files under the same paths.

    Returns:
        What was lost or skipped in any source.

    Raises:
        CasaposeError: A source or the model cannot be used, or a process died. What is done is in
            the log.
    """
    done = log.names
    advance(len(done))
    jobs = min(jobs, len(sources))
    if cluster is None and jobs <= 1:
        return _run_here(sources, load, log, advance, done)
    with _workers(jobs, cluster) as (submit, sink):
        tasks = {submit(_work, load, source, done, sink): source for source in sources}
        waiting = set(tasks)
        while waiting or not sink.empty():
            ended = {task for task in waiting if task.done()}
            waiting -= ended
            _keep_arrivals(sink, log, advance)
        # Only now: what the others found out when one failed is not lost.
        found = [_result(task, source) for task, source in tasks.items()]
    return [problem for problems in found for problem in problems]


def _keep_arrivals(sink: Any, log: RecordLog, advance: Callable[[int], None]) -> None:
    """Log what workers have sent, until nothing comes for a moment."""
    while True:
        try:
            record = sink.get(timeout=PATIENCE)
        except queue.Empty:
            return
        log.append(record)
        advance(1)


def _run_here(
    sources: Sequence[FrameSource],
    load: LoadEstimator,
    log: RecordLog,
    advance: Callable[[int], None],
    done: Collection[str],
) -> list[str]:
    estimator = _load_once(load)
    for source in sources:
        for record in _observe_all(estimator, source, done):
            log.append(record)
            advance(1)
    return [problem for source in sources for problem in source.problems]


def _work(load: LoadEstimator, source: FrameSource, done: Collection[str], sink: Any) -> list[str]:
    """In a worker: send every record of a source as soon as it is there; return the problems."""
    for record in _observe_all(_load_once(load), source, done):
        sink.put(record)
    return source.problems


@lru_cache(maxsize=1)
def _load_once(load: LoadEstimator) -> Estimator:
    return load()


def _observe_all(
    estimator: Estimator, source: FrameSource, done: Collection[str]
) -> Iterator[FrameRecord]:
    compiled = set()
    for frame in source.frames(done):
        if frame.image.shape not in compiled:
            # The first image of a size compiles the network; that time is nobody's.
            estimator.run(frame.image, frame.camera)
            compiled.add(frame.image.shape)
        yield observe(frame, estimator.run(frame.image, frame.camera), estimator.objects)


def _result(task: Future, source: FrameSource) -> list[str]:
    try:
        return task.result()
    except BrokenProcessPool as error:
        raise CasaposeError(
            f"{source.name}: a worker process died, most likely for want of memory; use fewer "
            "jobs and go on with --resume"
        ) from error


@contextmanager
def _workers(jobs: int, cluster: str | None):
    """``submit`` of processes here or of a cluster, and the queue through which they answer."""
    if cluster is not None:
        with _connect(cluster) as client:
            from distributed import Queue

            # Dask would answer the same call from its memory, without doing it.
            yield partial(client.submit, pure=False), _ClusterQueue(Queue(client=client))
        return
    threads = max(1, (os.cpu_count() or 1) // jobs)
    # Forked processes would inherit a TensorFlow that runs threads already.
    context = get_context("spawn")
    with (
        _environment(TF_NUM_INTRAOP_THREADS=str(threads), OMP_NUM_THREADS=str(threads)),
        _started(SyncManager(ctx=context)) as manager,
        ProcessPoolExecutor(jobs, context, _end_with_parent) as pool,
    ):
        yield pool.submit, manager.Queue()


@contextmanager
def _started(manager: SyncManager) -> Iterator[SyncManager]:
    manager.start(_end_with_parent)
    try:
        yield manager
    finally:
        manager.shutdown()


def _end_with_parent() -> None:
    """In a child process: end as soon as the parent is gone, however it went."""

    def watch() -> None:
        wait([parent_process().sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@dataclass(frozen=True)
class _ClusterQueue:
    """A Dask queue with what is used of a queue here."""

    queue: Any

    def put(self, record: FrameRecord) -> None:
        self.queue.put(json.dumps(to_json(record)))

    def get(self, timeout: float) -> FrameRecord:
        if self.empty():  # Waiting in get() itself fills the scheduler's log with errors.
            time.sleep(timeout)
        if self.empty():
            raise queue.Empty
        return record_from_json(json.loads(self.queue.get()))

    def empty(self) -> bool:
        return self.queue.qsize() == 0


def _connect(cluster: str):
    try:
        from distributed import Client
    except ImportError as error:
        raise ConfigError(
            "--cluster needs Dask: pip install 'casapose_ros[cluster]', here and on the workers"
        ) from error
    try:
        return Client(cluster, timeout=10, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"--cluster {cluster}: no Dask scheduler answers there: {error}"
        ) from error


@contextmanager
def _environment(**variables: str) -> Iterator[None]:
    """Environment variables for child processes, given back afterwards."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value

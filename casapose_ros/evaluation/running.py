"""Running a model over data sets and bags: one after the other, on all cores, on many machines.

A source gives frames, the model's answers become records, and the records go into a log. Each
source is worked through in order by one process; which one that is changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from multiprocessing import get_context
from typing import Protocol

import numpy as np

from casapose_ros.errors import CasaposeError, ConfigError
from casapose_ros.evaluation.judging import Frame, observe
from casapose_ros.evaluation.records import FrameRecord, RecordLog
from casapose_ros.types import CameraModel, Estimate, ObjectModel


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
        jobs: Processes on this machine.
        cluster: Address of a Dask scheduler whose workers do the work instead. They must see the
            model's and the sources' files under the same paths.

    Returns:
        What was lost or skipped in any source.

    Raises:
        CasaposeError: A source or the model cannot be used, or a process died. What is done is in
            the log.
    """
    done = frozenset(log.records)
    advance(len(done))
    if cluster is None and (jobs == 1 or len(sources) == 1):
        return _run_here(sources, load, log, advance, done)
    problems: dict[int, list[str]] = {}
    failures: list[CasaposeError] = []
    with _workers(jobs, cluster) as (submit, completed):
        tasks = {submit(_work, load, source, done): i for i, source in enumerate(sources)}
        for task in completed(list(tasks)):
            try:
                result = _result(task, sources[tasks[task]])
            except CasaposeError as error:
                # The others go on: what they find out is not lost.
                failures.append(error)
                continue
            problems[tasks[task]] = result.problems
            for record in result.records:
                log.append(record)
            advance(len(result.records))
    if failures:
        raise failures[0]
    return [problem for index in sorted(problems) for problem in problems[index]]


def in_order(log: RecordLog, sources: Sequence[FrameSource]) -> list[FrameRecord]:
    """A log's records source by source, whichever was done first."""
    place = {source.name: index for index, source in enumerate(sources)}
    return sorted(log.records.values(), key=lambda record: place[record.source])


@dataclass(frozen=True)
class _Result:
    """What a worker sends back."""

    records: list[FrameRecord]
    problems: list[str]


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


def _work(load: LoadEstimator, source: FrameSource, done: Collection[str]) -> _Result:
    """In a worker: all records of a source."""
    records = list(_observe_all(_load_once(load), source, done))
    return _Result(records, source.problems)


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


def _result(task: Future, source: FrameSource) -> _Result:
    try:
        return task.result()
    except BrokenProcessPool as error:
        raise CasaposeError(
            f"{source.name}: a worker process died, most likely for want of memory; use fewer "
            "jobs and go on with --resume"
        ) from error


@contextmanager
def _workers(jobs: int, cluster: str | None):
    """``submit`` and ``as_completed`` of processes here or of a cluster."""
    if cluster is not None:
        with _connect(cluster) as client:
            from distributed import as_completed as completed_on_cluster

            yield (
                # Dask would answer the same call from its memory, without the problems found.
                partial(client.submit, pure=False),
                partial(completed_on_cluster, loop=client.loop),
            )
        return
    threads = max(1, (os.cpu_count() or 1) // jobs)
    with (
        _environment(TF_NUM_INTRAOP_THREADS=str(threads), OMP_NUM_THREADS=str(threads)),
        # Forked processes would inherit a TensorFlow that runs threads already.
        ProcessPoolExecutor(jobs, get_context("spawn")) as pool,
    ):
        yield pool.submit, as_completed


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

"""What the node counts about its frames: rates, drops, times per stage, the last complaint.

Pure Python with the clock passed in. Two threads use one instance: the executor's, which
receives and reports, and the worker's, which processes.
"""

from __future__ import annotations

import re
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

WINDOW = 10.0
"""Rates are taken over this many seconds."""

SAMPLES = 200
"""Percentiles are taken over this many frames."""


@dataclass(frozen=True)
class Percentiles:
    """Median and 95th percentile of a duration, in seconds."""

    p50: float
    p95: float


@dataclass(frozen=True)
class Summary:
    """The state of :class:`FrameStatistics` at one moment.

    Attributes:
        input_hz: Images received per second.
        output_hz: Results published per second.
        received: Images received since the start.
        published: Results published since the start.
        replaced: Images dropped unseen because a newer one arrived.
        rejected: Images dropped with a cause.
        lost: Images that the middleware lost on their way here.
        silence: Seconds since the last image, or since the start when there was none.
        age: Age of a result when it was published, counted from the image's stamp.
        stages: Durations per stage, in the order in which the stages run.
        problem: Why the last image gave no result; empty when it gave one.
        last_error: The last cause of a missing result, even when it is over.
        last_error_age: Seconds since then.
    """

    input_hz: float
    output_hz: float
    received: int
    published: int
    replaced: int
    rejected: int
    lost: int
    silence: float
    age: Percentiles | None
    stages: dict[str, Percentiles]
    problem: str
    last_error: str
    last_error_age: float


class FrameStatistics:
    """Counts frames; see :class:`Summary` for what comes out.

    Args:
        clock: Seconds on a clock that never jumps.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._start = clock()
        self._inputs: deque[float] = deque()
        self._outputs: deque[float] = deque()
        self._last_input = self._start
        self._received = self._published = self._replaced = self._rejected = self._lost = 0
        self._ages: deque[float] = deque(maxlen=SAMPLES)
        self._stages: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=SAMPLES))
        self._problem = self._last_error = ""
        self._last_error_time = self._start

    def received(self, *, replaced: bool = False) -> None:
        """Count an image; ``replaced`` says that it threw out one that was still waiting."""
        with self._lock:
            self._last_input = self._clock()
            _mark(self._inputs, self._last_input)
            self._received += 1
            self._replaced += replaced

    def rejected(self, cause: str) -> None:
        """Count an image that gave no result, with the cause."""
        with self._lock:
            self._rejected += 1
            self._problem = self._last_error = cause
            self._last_error_time = self._clock()

    def lost(self, count: int) -> None:
        """Count images that never arrived."""
        with self._lock:
            self._lost += count

    def published(self, times: Mapping[str, float], age: float) -> None:
        """Count a result: seconds per stage in the order they ran, and its age in seconds."""
        with self._lock:
            _mark(self._outputs, self._clock())
            self._published += 1
            self._ages.append(age)
            for stage, seconds in times.items():
                self._stages[stage].append(seconds)
            self._problem = ""

    def summary(self) -> Summary:
        """The counters and rates of this moment."""
        with self._lock:
            now = self._clock()
            return Summary(
                input_hz=self._rate(self._inputs, now),
                output_hz=self._rate(self._outputs, now),
                received=self._received,
                published=self._published,
                replaced=self._replaced,
                rejected=self._rejected,
                lost=self._lost,
                silence=now - self._last_input,
                age=_percentiles(self._ages) if self._ages else None,
                stages={stage: _percentiles(values) for stage, values in self._stages.items()},
                problem=self._problem,
                last_error=self._last_error,
                last_error_age=now - self._last_error_time,
            )

    def _rate(self, times: deque[float], now: float) -> float:
        recent = sum(t >= now - WINDOW for t in times)
        return recent / max(min(WINDOW, now - self._start), 1.0)


class Throttle:
    """Lets the same message through once per period.

    Messages that differ only in their numbers ("0.52 s old", "0.61 s old") are the same one.

    Args:
        period: Seconds.
        clock: Seconds on a clock that never jumps.
    """

    def __init__(self, period: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._period = period
        self._clock = clock
        self._lock = threading.Lock()
        self._last: dict[str, float] = {}

    def admits(self, message: str) -> bool:
        """Whether this message may be said now; saying it again has to wait for the period."""
        key = re.sub(r"\d+(\.\d+)?", "#", message)
        with self._lock:
            now = self._clock()
            self._last = {k: t for k, t in self._last.items() if now - t < self._period}
            if key in self._last:
                return False
            self._last[key] = now
            return True


def _mark(times: deque[float], now: float) -> None:
    times.append(now)
    while times[0] < now - WINDOW:
        times.popleft()


def _percentiles(values: deque[float]) -> Percentiles:
    p50, p95 = np.percentile(values, [50, 95])
    return Percentiles(float(p50), float(p95))

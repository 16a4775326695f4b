"""When the images of a recording are due, whatever its clock did."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import TypeVar

T = TypeVar("T")

LONGEST_STEP = 5.0
"""Seconds between two images, beyond which the recording paused or its clock jumped."""
FIRST_STEP = 0.1
"""Seconds that stand for a step which cannot be used while no usual one is known."""
REMEMBERED = 50
_END = object()


class Schedule:
    """Turns the times of a recording into times of its replay, which only ever go forward.

    A step backwards, to the same time, or over more than ``LONGEST_STEP`` counts as long as the
    usual step, the median of those before: nobody waits an hour because a clock was set.

    Args:
        speed: How much faster than recorded.
    """

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._due = 0.0
        self._last: int | None = None
        self._steps: deque[float] = deque(maxlen=REMEMBERED)
        self.bridged = 0
        """Steps that were replaced by the usual one."""

    def due(self, time: int) -> float:
        """When the next image is due.

        Args:
            time: Its time in the recording, nanoseconds.

        Returns:
            Seconds since the first image was due.
        """
        if self._last is not None:
            step = (time - self._last) / 1e9
            if 0 < step <= LONGEST_STEP:
                self._steps.append(step)
            else:
                self.bridged += 1
                step = median(self._steps) if self._steps else FIRST_STEP
            self._due += step / self._speed
        self._last = time
        return self._due


def ahead(items: Generator[T, None, None], count: int) -> Iterator[T]:
    """The same items, made up to ``count`` in advance by another thread, which also closes them.

    An exception of ``items`` is raised where the item would have come.
    """
    with ThreadPoolExecutor(1) as pool:
        waiting = deque(pool.submit(next, items, _END) for _ in range(count))
        try:
            while (item := waiting.popleft().result()) is not _END:
                waiting.append(pool.submit(next, items, _END))
                yield item
        finally:
            pool.submit(items.close).result()

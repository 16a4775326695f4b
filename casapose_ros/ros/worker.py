"""One background thread that always works on the newest item and never queues old ones."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class LatestWorker(Generic[T]):
    """Hands the newest item to ``handle`` in a thread of its own.

    While ``handle`` is busy one item waits; a newer one takes its place. So a slow handler sees
    fewer items, never older ones, and what waits is at most one call old.

    Args:
        handle: Called in the thread with each item that was not replaced.
        on_error: Called in the thread with any exception that ``handle`` let through. The thread
            goes on: a dead one would leave a node that looks alive and says nothing.
    """

    def __init__(
        self,
        handle: Callable[[T], None],
        on_error: Callable[[Exception], None],
    ) -> None:
        self._handle = handle
        self._on_error = on_error
        self._condition = threading.Condition()
        self._item: T | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="latest-worker")

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def put(self, item: T) -> bool:
        """Offer an item, which must not be None.

        Returns:
            Whether an item that was still waiting had to make room and is lost.
        """
        with self._condition:
            replaced = self._item is not None
            self._item = item
            self._condition.notify()
        return replaced

    def close(self) -> None:
        """Drop what waits, let a running call finish and join the thread. May be called twice."""
        with self._condition:
            self._closed = True
            self._condition.notify()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._closed or self._item is not None)
                if self._closed:
                    return
                item, self._item = self._item, None
            try:
                self._handle(item)
            except Exception as error:  # The boundary of the thread.
                self._on_error(error)

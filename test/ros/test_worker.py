import threading
import time

import pytest

from casapose_ros.ros.worker import LatestWorker


class Handler:
    """Takes items one at a time, each only when it is let through."""

    def __init__(self):
        self.items = []
        self.busy = threading.Event()
        self.go = threading.Semaphore(0)

    def __call__(self, item):
        self.busy.set()
        assert self.go.acquire(timeout=5)
        if isinstance(item, Exception):
            raise item
        self.items.append(item)

    def wait_for(self, count):
        deadline = time.monotonic() + 5
        while len(self.items) < count:
            assert time.monotonic() < deadline, self.items
            time.sleep(0.001)


@pytest.fixture
def handler():
    return Handler()


@pytest.fixture
def errors():
    return []


@pytest.fixture
def worker(handler, errors):
    worker = LatestWorker(handler, errors.append)
    worker.start()
    yield worker
    handler.go.release(100)
    worker.close()


def test_newest_item_wins(worker, handler):
    assert not worker.put(0)
    assert handler.busy.wait(5)
    assert [worker.put(i) for i in (1, 2, 3)] == [False, True, True]
    handler.go.release(2)
    handler.wait_for(2)
    assert handler.items == [0, 3]


def test_an_exception_is_reported_and_the_thread_goes_on(worker, handler, errors):
    handler.go.release(2)
    error = RuntimeError("boom")
    handler.busy.clear()
    worker.put(error)
    assert handler.busy.wait(5)
    deadline = time.monotonic() + 5
    while not errors and time.monotonic() < deadline:
        time.sleep(0.001)
    assert errors == [error]
    worker.put("next")
    handler.wait_for(1)


def test_close_waits_for_the_running_call_and_drops_what_waits(worker, handler):
    worker.put("running")
    assert handler.busy.wait(5)
    worker.put("waiting")
    threading.Timer(0.1, handler.go.release).start()
    worker.close()
    assert handler.items == ["running"]
    worker.close()


def test_close_before_start(handler, errors):
    LatestWorker(handler, errors.append).close()

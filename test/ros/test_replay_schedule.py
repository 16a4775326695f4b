import threading

import pytest

from casapose_ros.ros.replay_schedule import FIRST_STEP, LONGEST_STEP, Schedule, ahead

MS = 10**6
SECOND = 1000 * MS
START = 1_700_000_000 * SECOND


def times(*milliseconds):
    return [START + ms * MS for ms in milliseconds]


def due(stamps, speed=1.0):
    schedule = Schedule(speed)
    return [schedule.due(stamp) for stamp in stamps], schedule.bridged


def test_regular_times_are_kept():
    assert due(times(0, 200, 350, 5350)) == ([0, 0.2, 0.35, pytest.approx(5.35)], 0)


@pytest.mark.parametrize("speed", [0.5, 4.0])
def test_speed_divides_them(speed):
    assert due(times(0, 200, 400), speed)[0] == [0, 0.2 / speed, pytest.approx(0.4 / speed)]


def test_no_rounding_adds_up():
    stamps = [START + i * SECOND // 30 for i in range(100_000)]
    assert due(stamps)[0][-1] == pytest.approx(99_999 / 30, abs=1e-6)


@pytest.mark.parametrize(
    "jump", [3600 * SECOND, -3600 * SECOND, -1, 0, 10**18, round(LONGEST_STEP * SECOND) + 1]
)
def test_jumps_of_the_clock_take_one_usual_step(jump):
    before = times(0, 200, 400, 600)
    after = [before[-1] + jump + i * 200 * MS for i in range(3)]
    got, bridged = due(before + after)
    assert got == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2])
    assert bridged == 1


def test_a_recording_without_times_is_replayed_at_a_made_up_rate():
    got, bridged = due([0] * 4)
    assert got == pytest.approx([0, FIRST_STEP, 2 * FIRST_STEP, 3 * FIRST_STEP])
    assert bridged == 3


def test_random_times_only_go_forward():
    import numpy as np

    stamps = np.random.default_rng(0).integers(-(2**62), 2**62, 1000).tolist()
    got, _ = due(stamps)
    assert all(a < b for a, b in zip(got, got[1:], strict=False))
    assert got[-1] < 1000 * LONGEST_STEP


def numbers(count, log):
    try:
        for i in range(count):
            log.append((i, threading.get_ident()))
            yield i
    finally:
        log.append(("closed", threading.get_ident()))


def test_items_come_in_order_from_one_other_thread():
    log = []
    assert list(ahead(numbers(100, log), 4)) == list(range(100))
    assert {thread for _, thread in log} - {threading.get_ident()} == {log[0][1]}
    assert log[-1][0] == "closed"


def test_no_more_than_asked_for_is_made_in_advance_and_all_is_closed():
    log = []
    items = ahead(numbers(100, log), 4)
    assert [next(items), next(items)] == [0, 1]
    items.close()
    assert [i for i, _ in log][:-1] == list(range(len(log) - 1)) and len(log) <= 2 + 4 + 1
    assert log[-1] == ("closed", log[0][1])


def test_an_error_comes_where_the_item_would_have_come():
    def broken():
        yield 1
        raise ValueError("cut off")

    items = ahead(broken(), 3)
    assert next(items) == 1
    with pytest.raises(ValueError, match="cut off"):
        next(items)

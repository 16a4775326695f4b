import pytest

from casapose_ros.ros.stats import WINDOW, FrameStatistics, Throttle


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_nothing_happened_yet(clock):
    stats = FrameStatistics(clock)
    clock.now += 4
    summary = stats.summary()
    assert summary.input_hz == summary.output_hz == 0
    assert summary.silence == 4
    assert summary.age is None and summary.stages == {} and summary.problem == ""


def test_rates_are_taken_over_the_window_alone(clock):
    stats = FrameStatistics(clock)
    for i in range(1000):
        clock.now += 0.1
        stats.received()
        if i % 2:
            stats.published({"network": 0.05}, age=0.2)
    summary = stats.summary()
    assert summary.input_hz == pytest.approx(10, rel=0.02)
    assert summary.output_hz == pytest.approx(5, rel=0.03)
    assert (summary.received, summary.published) == (1000, 500)
    clock.now += WINDOW + 1
    assert stats.summary().input_hz == 0


def test_drops_are_told_apart(clock):
    stats = FrameStatistics(clock)
    stats.received()
    stats.received(replaced=True)
    stats.rejected("too dark")
    stats.lost(3)
    summary = stats.summary()
    counts = (summary.received, summary.replaced, summary.rejected, summary.lost)
    assert counts == (2, 1, 1, 3)


def test_problem_ends_with_the_next_result_but_is_remembered(clock):
    stats = FrameStatistics(clock)
    stats.rejected("no camera_info")
    assert stats.summary().problem == "no camera_info"
    clock.now += 7
    stats.published({}, age=0.1)
    summary = stats.summary()
    assert summary.problem == ""
    assert (summary.last_error, summary.last_error_age) == ("no camera_info", 7)


def test_percentiles_per_stage_in_order(clock):
    stats = FrameStatistics(clock)
    for i in range(1, 101):
        stats.published({"decode": i / 1000, "network": 0.5}, age=i / 100)
    summary = stats.summary()
    assert list(summary.stages) == ["decode", "network"]
    assert summary.stages["decode"].p50 == pytest.approx(0.0505)
    assert summary.stages["decode"].p95 == pytest.approx(0.09505)
    assert summary.age.p50 == pytest.approx(0.505)


def test_throttle_admits_a_message_once_per_period(clock):
    throttle = Throttle(5.0, clock)
    assert throttle.admits("stamp is 0.52 s old")
    clock.now += 4.9
    assert not throttle.admits("stamp is 12 s old")
    assert throttle.admits("no camera_info")
    clock.now += 0.2
    assert throttle.admits("stamp is 3.5 s old")

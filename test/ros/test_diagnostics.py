from casapose_ros.ros.diagnostics import Counters, read_counters, status
from casapose_ros.ros.stats import FrameStatistics


def test_counters_come_back():
    stats = FrameStatistics(lambda: 1.0)
    for _ in range(9):
        stats.received()
    stats.received(replaced=True)
    stats.lost(3)
    for _ in range(2):
        stats.rejected("too dark")
    stats.published({"network": 0.1}, age=0.2)
    report = status("node", stats.summary(), "", {"model": "demo"})
    expected = Counters(received=10, published=1, lost=3, replaced=1, rejected=2)
    assert read_counters(report) == expected

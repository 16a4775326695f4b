import time

import pytest
from ros_fakes import CUP, DRILL, make_pose
from std_msgs.msg import Header

from casapose_ros.ros.arrivals import read_arrival
from casapose_ros.ros.messages import object_pose_array

HEADER = Header(frame_id="lens")
HEADER.stamp.sec, HEADER.stamp.nanosec = 1_700_000_000, 123_456_789
POSES = [make_pose(CUP), make_pose(DRILL)]


def test_answer_and_the_times_of_the_middleware():
    message = object_pose_array(POSES, HEADER, "model", 0.0625)
    info = {"source_timestamp": 7, "received_timestamp": 11}
    arrival = read_arrival(message, info)
    assert arrival.stamp == 1_700_000_000_123_456_789
    assert [pose.name for pose in arrival.poses] == ["cup", "drill"]
    assert arrival.estimation == pytest.approx(0.0625)
    assert (arrival.published, arrival.arrived) == (7, 11)


def test_a_time_that_the_middleware_does_not_know_is_the_present():
    before = time.time_ns()
    arrival = read_arrival(
        object_pose_array([], HEADER), {"source_timestamp": 7, "received_timestamp": 0}
    )
    assert arrival.published == 7 and before <= arrival.arrived <= time.time_ns()

"""Poses that came back from the pose node, and when."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from rclpy.time import Time

from casapose_ros.msg import ObjectPoseArray
from casapose_ros.ros import messages
from casapose_ros.types import ObjectPose


@dataclass(frozen=True)
class Arrival:
    """One answer of the pose node. Times are nanoseconds of the system's clock.

    Attributes:
        stamp: Of the image.
        poses: Best score first.
        estimation: Seconds from the decoded image to the poses.
        published: When the node published them.
        arrived: When they were here.
    """

    stamp: int
    poses: tuple[ObjectPose, ...]
    estimation: float
    published: int
    arrived: int


def read_arrival(message: ObjectPoseArray, info: Mapping[str, int]) -> Arrival:
    """Read an answer.

    Args:
        message: The answer.
        info: What the middleware says about it, the second argument of a subscription's callback.
            Its times are exact even if this process is busy. One that it does not know is 0, and
            the present takes its place.
    """
    now = time.time_ns()
    return Arrival(
        stamp=Time.from_msg(message.header.stamp).nanoseconds,
        poses=tuple(messages.object_pose_from_message(o) for o in message.objects),
        estimation=message.inference_time.sec + message.inference_time.nanosec / 1e9,
        published=info["source_timestamp"] or now,
        arrived=info["received_timestamp"] or now,
    )

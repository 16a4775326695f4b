"""The replay's face to ROS: a camera that publishes what it is given, and ears for the answers."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, Image

from casapose_ros.msg import ObjectPoseArray
from casapose_ros.ros import diagnostics
from casapose_ros.ros.arrivals import Arrival, read_arrival

# Reliable and as deep as usual, so that a node of either kind is served; the node decides.
IMAGE_QUEUE = QoSProfile(depth=10)
ANSWER_QUEUE = 50


class ReplayNode(Node):
    """Publishes ``image`` and ``camera_info``, listens to the pose node.

    Times are nanoseconds of the system's clock.
    """

    def __init__(self) -> None:
        super().__init__("replay")
        self.on_arrival: Callable[[Arrival], None] = lambda arrival: None
        """Called with all poses that come back."""
        self.condition = "the node is starting"
        """What the pose node says about itself."""
        self.counters: diagnostics.Counters | None = None
        """What it has counted, in its last report."""
        self.counted = 0
        """When it reported that."""
        self.fatal = False
        """Whether it says that it will never answer."""
        self._images = self.create_publisher(Image, "image", IMAGE_QUEUE)
        self._infos = self.create_publisher(CameraInfo, "camera_info", IMAGE_QUEUE)
        self._answers = self.create_subscription(
            ObjectPoseArray, "casapose/objects", self._on_objects, ANSWER_QUEUE
        )
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 1)
        self._last_stamp = 0

    @property
    def connected(self) -> bool:
        """Whether the pose node and this one have found each other, in both directions."""
        return bool(
            self._images.get_subscription_count()
            and self._infos.get_subscription_count()
            and self._answers.get_publisher_count()
        )

    def now(self) -> int:
        """The present."""
        return time.time_ns()

    def send_info(self, info: CameraInfo) -> None:
        """Publish a calibration, stamped with the present."""
        info.header.stamp = Time(nanoseconds=self.now()).to_msg()
        self._infos.publish(info)

    def send_image(self, image: Image, delay: int) -> tuple[int, int]:
        """Publish an image that is ``delay`` nanoseconds old.

        Returns:
            Its stamp, like no other image's, and when it was published.
        """
        now = self.now()
        stamp = self._last_stamp = max(now - delay, self._last_stamp + 1)
        image.header.stamp = Time(nanoseconds=stamp).to_msg()
        self._images.publish(image)
        return stamp, now

    def _on_objects(self, message: ObjectPoseArray, info: dict[str, Any]) -> None:
        self.on_arrival(read_arrival(message, info))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        (status,) = message.status
        self.condition = status.message
        self.counters = diagnostics.read_counters(status)
        self.counted = Time.from_msg(message.header.stamp).nanoseconds
        self.fatal = status.level == DiagnosticStatus.ERROR

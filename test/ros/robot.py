"""The rest of a robot round the node under test: a camera, listeners and a spinning executor."""

import array
import contextlib
import threading
import time

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import Log
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from ros_fakes import CAMERA, HEIGHT, WIDTH
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from casapose_ros.ros.conversions import info_from_camera

COMMON_TOPICS = ("/diagnostics", "/rosout", "/parameter_events")
PATIENCE = 10.0
"""Seconds after which something that should happen counts as not happening."""


class Robot:
    """Owns a camera and listeners, and spins them together with the node under test."""

    def __init__(self, node):
        self.node = node
        self.tester = Node("tester")
        self.images = self.tester.create_publisher(Image, "image", qos_profile_sensor_data)
        self.infos = self.tester.create_publisher(CameraInfo, "camera_info", 10)
        self.statuses = self.listen(DiagnosticArray, "/diagnostics")
        self._log = self.listen(Log, "/rosout")
        self._spinners = [self._spin(self.node), self._spin(self.tester)]

    def _spin(self, node):
        executor = SingleThreadedExecutor()
        executor.add_node(node)

        def spin():
            with contextlib.suppress(ExternalShutdownException):
                executor.spin()

        thread = threading.Thread(target=spin)
        thread.start()
        return executor, thread

    def close(self):
        for executor, thread in self._spinners:
            executor.shutdown()
            thread.join()
        self.tester.destroy_node()

    def listen(self, message_type, topic, qos=10):
        """A list that fills with what arrives on a topic."""
        received = []
        self.tester.create_subscription(message_type, topic, received.append, qos)
        return received

    @property
    def warnings(self):
        """What the node under test warned of so far."""
        return [m.msg for m in self._log if m.name == "casapose" and m.level == Log.WARN]

    def connect(self):
        """Wait until camera and listeners have found the node, and give it its calibration."""
        subscriptions = list(self.tester.subscriptions)
        topics = [s.topic_name for s in subscriptions if s.topic_name not in COMMON_TOPICS]
        until(lambda: self.images.get_subscription_count() and self.infos.get_subscription_count())
        until(lambda: all(self.tester.count_publishers(t) for t in topics))
        publishers = list(self.node.publishers)
        until(lambda: all(p.get_subscription_count() for p in publishers if p.topic_name in topics))

    def send_info(self, camera=CAMERA, **changes):
        info = info_from_camera(camera, Header(frame_id="camera_optical"))
        for name, value in changes.items():
            setattr(info, name, value)
        self.infos.publish(info)
        until(lambda: self.node._camera_info == info)

    def send_image(self, width=WIDTH, height=HEIGHT, stamp=None, **changes):
        """Publish an image; returns its header."""
        header = Header(frame_id="camera_optical")
        header.stamp = stamp or self.tester.get_clock().now().to_msg()
        image = Image(header=header, width=width, height=height, encoding="rgb8", step=3 * width)
        image.data = array.array("B", bytes(3 * width * height))
        for name, value in changes.items():
            setattr(image, name, value)
        self.images.publish(image)
        return header

    def has_received(self, count):
        return self.node._stats.summary().received == count

    def has_rejected(self, count):
        return self.node._stats.summary().rejected == count

    def status(self):
        """The newest diagnostic status as (level, message, values)."""
        count = len(self.statuses)
        until(lambda: len(self.statuses) > count + 1)
        status = self.statuses[-1].status[0]
        return status.level, status.message, {v.key: v.value for v in status.values}


def until(condition):
    """Wait for a condition and return its value; fails when patience is at an end."""
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)
    return value

"""The demo's eyes: listens to camera and pose node, keeps score and takes pictures."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import cv2
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.time import Time
from sensor_msgs.msg import Image

from casapose_ros.evaluation.matching import Reference, TrueObject
from casapose_ros.msg import ObjectPose, ObjectPoseArray
from casapose_ros.ros import conversions, messages
from casapose_ros.ros.arrivals import read_arrival
from casapose_ros.ros.demo_score import Scoreboard
from casapose_ros.types import CameraModel

PICTURES = ("overlay", "segmentation", "vector_field", "confidence")
PICTURE_PERIOD = 5.0
"""Seconds between two sets of pictures."""
QUEUE = 50


class DemoObserver(Node):
    """Subscribes to what the two nodes publish.

    Args:
        references: By name, the objects that the model knows.
        camera: The camera of all images.
        folder: Where the pictures go.
    """

    def __init__(
        self, references: Mapping[str, Reference], camera: CameraModel, folder: Path
    ) -> None:
        super().__init__("demo")
        self.board = Scoreboard(references, camera)
        self.condition = "the nodes are starting"
        """What the pose node says about itself."""
        self._folder = folder
        self._pictured = 0  # Stamp of the newest set of pictures.
        self._sets = 0
        self.create_subscription(ObjectPoseArray, "camera/ground_truth", self._on_truth, QUEUE)
        self.create_subscription(ObjectPoseArray, "casapose/objects", self._on_answer, QUEUE)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 1)
        for name in PICTURES:
            callback = partial(self._on_picture, name)
            self.create_subscription(Image, f"casapose/debug/{name}", callback, 1)

    def _on_truth(self, message: ObjectPoseArray) -> None:
        self.board.add_truth(_stamp(message), [_true_object(o) for o in message.objects])

    def _on_answer(self, message: ObjectPoseArray, info: dict[str, int]) -> None:
        answer = read_arrival(message, info)
        latency = (answer.arrived - answer.stamp) / 1e9
        self.board.add_answer(answer.stamp, answer.poses, latency)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        self.condition = message.status[0].message

    def _on_picture(self, name: str, message: Image) -> None:
        """Keep the first picture after each period, and the others of the same image."""
        stamp = _stamp(message)
        if stamp >= self._pictured + PICTURE_PERIOD * 1e9:
            self._pictured = stamp
            self._sets += 1
        if stamp == self._pictured:
            picture = cv2.cvtColor(conversions.image_to_rgb(message), cv2.COLOR_RGB2BGR)
            cv2.imwrite(str(self._folder / f"{self._sets:03d}_{name}.png"), picture)


def _stamp(message: ObjectPoseArray | Image) -> int:
    return Time.from_msg(message.header.stamp).nanoseconds


def _true_object(message: ObjectPose) -> TrueObject:
    found = messages.object_pose_from_message(message)
    return TrueObject(found.name, found.R_cam_obj, found.t_cam_obj, found.score)

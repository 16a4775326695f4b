"""What ``casapose_node`` publishes about one image: only what somebody listens to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseArray
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection3DArray
from visualization_msgs.msg import MarkerArray

from casapose_ros import visualisation
from casapose_ros.msg import ObjectPoseArray
from casapose_ros.ros import conversions, messages
from casapose_ros.ros.markers import MarkerMemory
from casapose_ros.ros.model import LoadedModel
from casapose_ros.ros.node_parameters import NodeParameters
from casapose_ros.types import CameraModel, Estimate

QUEUE = QoSProfile(depth=5)
TF_QUEUE = QoSProfile(depth=100)
PICTURE_QUEUE = QoSProfile(depth=1)


@dataclass(frozen=True)
class Frame:
    """One image and what was found in it.

    Attributes:
        header: The image's.
        image: (H, W, 3) uint8 RGB.
        camera: The camera that took it.
        estimate: Poses and fields.
    """

    header: Header
    image: np.ndarray
    camera: CameraModel
    estimate: Estimate


class Outputs:
    """The node's publishers of results. Used by one thread at a time."""

    def __init__(self, node: Node) -> None:
        self._poses = node.create_publisher(PoseArray, "~/poses", QUEUE)
        self._objects = node.create_publisher(ObjectPoseArray, "~/objects", QUEUE)
        self._detections = node.create_publisher(Detection3DArray, "~/detections", QUEUE)
        self._markers = node.create_publisher(MarkerArray, "~/markers", QUEUE)
        self._tf = node.create_publisher(TFMessage, "/tf", TF_QUEUE)
        self._overlay = node.create_publisher(Image, "~/debug/overlay", PICTURE_QUEUE)
        self._segmentation = node.create_publisher(Image, "~/debug/segmentation", PICTURE_QUEUE)
        self._vector_field = node.create_publisher(Image, "~/debug/vector_field", PICTURE_QUEUE)
        self._confidence = node.create_publisher(Image, "~/debug/confidence", PICTURE_QUEUE)
        self._marker_memory = MarkerMemory()

    def publish(self, frame: Frame, model: LoadedModel, parameters: NodeParameters) -> None:
        """Publish one result; an empty one too, because "nothing there" is an answer."""
        header, objects = frame.header, frame.estimate.objects
        name, seconds = model.estimator.name, sum(frame.estimate.times.values())
        _send(self._poses, lambda: messages.pose_array(objects, header))
        _send(self._objects, lambda: messages.object_pose_array(objects, header, name, seconds))
        _send(self._detections, lambda: messages.detection_array(objects, header, model.objects))
        _send(self._markers, lambda: self._marker_memory.update(objects, header, model.objects))
        if parameters.publish_tf and objects:
            _send(self._tf, lambda: messages.transforms(objects, header, parameters.tf_prefix))
        self._publish_pictures(frame, model, parameters.debug_keypoint)

    def _publish_pictures(self, frame: Frame, model: LoadedModel, keypoint: int) -> None:
        header, camera, estimate = frame.header, frame.camera, frame.estimate
        objects, fields = estimate.objects, estimate.fields
        known = model.estimator.objects
        show = visualisation

        def send(publisher: Publisher, draw: Callable[..., np.ndarray], *what: Any) -> None:
            _send(publisher, lambda: conversions.rgb_to_image(draw(*what), header))

        send(self._overlay, show.overlay, frame.image, objects, known, camera)
        send(self._segmentation, show.segmentation_picture, fields.labels)
        send(self._vector_field, show.vector_field_picture, fields, keypoint)
        send(self._confidence, show.confidence_picture, fields, keypoint, objects, camera)


def _send(publisher: Publisher, make: Callable[[], Any]) -> None:
    """Publish what ``make`` returns if anybody listens; otherwise it is not even made."""
    if publisher.get_subscription_count():
        publisher.publish(make())

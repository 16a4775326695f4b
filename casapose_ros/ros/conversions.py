"""What leaves as pictures: images and camera calibrations as messages.

What comes in is decoded by :mod:`casapose_ros.image_messages`, with NumPy and OpenCV alone:
``CvBridge.imgmsg_to_cv2`` loads its compiled extension even for ``passthrough``, and the one that
ROS Humble and Jazzy ship cannot be loaded beside NumPy 2. ``cv2_to_imgmsg`` without an encoding is
pure Python and is used to publish.
"""

from __future__ import annotations

import numpy as np
from cv_bridge import CvBridge
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from casapose_ros.image_messages import camera_from_info, check_size, image_to_rgb, info_fields
from casapose_ros.types import CameraModel

__all__ = ["camera_from_info", "check_size", "image_to_rgb", "info_from_camera", "rgb_to_image"]


def rgb_to_image(image: np.ndarray, header: Header) -> Image:
    """Make a message of an (H, W, 3) uint8 RGB image."""
    message = CvBridge().cv2_to_imgmsg(image)
    message.encoding = "rgb8"
    message.header = header
    return message


def info_from_camera(camera: CameraModel, header: Header) -> CameraInfo:
    """The calibration message of an unrectified image as a camera driver publishes it."""
    return CameraInfo(header=header, **info_fields(camera))

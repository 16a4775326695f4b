"""Stand-in for the Python interface of ROS 2's ``cv_bridge``, on NumPy and OpenCV alone.

It exists for machines without a ROS installation; where ROS is installed, the real package is used
and this folder is ignored.
"""

from cv_bridge.bridge import CvBridge, CvBridgeError

__all__ = ["CvBridge", "CvBridgeError"]

"""What comes in and leaves as pictures: images and camera calibrations, to and from messages.

Incoming images are decoded with NumPy and OpenCV alone. ``CvBridge.imgmsg_to_cv2`` loads its
compiled extension even for ``passthrough``, and the one that ROS Humble and Jazzy ship cannot be
loaded beside NumPy 2. ``cv2_to_imgmsg`` without an encoding is pure Python and is used to publish.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from cv_bridge import CvBridge
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from casapose_ros import geometry
from casapose_ros.errors import CameraError, ImageError
from casapose_ros.types import CameraModel


@dataclass(frozen=True)
class _Encoding:
    """How an encoding lies in memory and how OpenCV turns it into RGB (None: it is RGB)."""

    channels: int
    to_rgb: int | None
    dtype: type = np.uint8
    even_width: bool = False


# OpenCV names a Bayer pattern by its second row, ROS by its first one: RGGB is OpenCV's BG.
_ENCODINGS = {
    "rgb8": _Encoding(3, None),
    "bgr8": _Encoding(3, cv2.COLOR_BGR2RGB),
    "8UC3": _Encoding(3, cv2.COLOR_BGR2RGB),
    "rgba8": _Encoding(4, cv2.COLOR_RGBA2RGB),
    "bgra8": _Encoding(4, cv2.COLOR_BGRA2RGB),
    "mono8": _Encoding(1, cv2.COLOR_GRAY2RGB),
    "mono16": _Encoding(1, cv2.COLOR_GRAY2RGB, dtype=np.uint16),
    "bayer_rggb8": _Encoding(1, cv2.COLOR_BayerBG2RGB),
    "bayer_bggr8": _Encoding(1, cv2.COLOR_BayerRG2RGB),
    "bayer_gbrg8": _Encoding(1, cv2.COLOR_BayerGR2RGB),
    "bayer_grbg8": _Encoding(1, cv2.COLOR_BayerGB2RGB),
    "yuv422": _Encoding(2, cv2.COLOR_YUV2RGB_UYVY, even_width=True),
    "yuv422_yuy2": _Encoding(2, cv2.COLOR_YUV2RGB_YUY2, even_width=True),
}
_ALIASES = {"uyvy": "yuv422", "yuyv": "yuv422_yuy2"}
"""Names that ROS introduced in 2023 for the same two layouts."""


def image_to_rgb(message: Image) -> np.ndarray:
    """Decode an image message.

    Returns:
        (H, W, 3) uint8 RGB. ``8UC3`` counts as BGR, OpenCV's order; 16 bits become 8 by dropping
        the low byte.

    Raises:
        ImageError: The encoding is unknown, the size is zero, rows are shorter than their pixels
            or the data is shorter than its rows.
    """
    encoding = _ENCODINGS.get(_ALIASES.get(message.encoding, message.encoding))
    if encoding is None:
        known = ", ".join([*_ENCODINGS, *_ALIASES])
        raise ImageError(f"unknown image encoding {message.encoding!r}; known: {known}")
    rows = _rows(message, encoding)
    if encoding.dtype is np.uint16:
        rows = (rows >> 8).astype(np.uint8)
    if encoding.to_rgb is None:
        return rows
    try:
        return cv2.cvtColor(rows, encoding.to_rgb)
    except cv2.error as error:
        size = f"{message.width}x{message.height}"
        raise ImageError(f"cannot convert a {message.encoding} image of {size}: {error}") from error


def _rows(message: Image, encoding: _Encoding) -> np.ndarray:
    """The pixels without the padding of the rows, (H, W) or (H, W, channels)."""
    height, width, step = message.height, message.width, message.step
    if height == 0 or width == 0:
        raise ImageError(f"image has no pixels: {width}x{height}")
    if encoding.even_width and width % 2:
        raise ImageError(f"{message.encoding} image must have an even width, got {width}")
    row_bytes = width * encoding.channels * np.dtype(encoding.dtype).itemsize
    if step < row_bytes:
        raise ImageError(
            f"image step is {step} bytes, but {width} pixels of {message.encoding} take {row_bytes}"
        )
    # The last row may come without its padding: some drivers leave it out.
    if len(message.data) < step * (height - 1) + row_bytes:
        raise ImageError(
            f"image data has {len(message.data)} bytes, but {height} rows of {step} "
            f"take {step * height}"
        )
    pixels = np.ndarray(
        shape=(height, row_bytes),
        dtype=np.uint8,
        buffer=message.data,
        strides=(step, 1),
    )
    dtype = np.dtype(encoding.dtype).newbyteorder(">" if message.is_bigendian else "<")
    pixels = np.ascontiguousarray(pixels).view(dtype)
    return pixels if encoding.channels == 1 else pixels.reshape(height, width, encoding.channels)


def rgb_to_image(image: np.ndarray, header: Header) -> Image:
    """Make a message of an (H, W, 3) uint8 RGB image."""
    message = CvBridge().cv2_to_imgmsg(image)
    message.encoding = "rgb8"
    message.header = header
    return message


def camera_from_info(info: CameraInfo, rectified: bool) -> CameraModel:
    """The camera that took an image, from its calibration message.

    Binning and the region of interest are applied, so that the result describes the image as it
    was published. For a rectified image the left 3x3 of P counts and D does not; the fourth
    column of P is left out, so poses are in the frame of the camera that took the image, also for
    the right one of a stereo pair.

    Args:
        info: The message.
        rectified: Whether the image has been rectified.

    Raises:
        CameraError: The camera is not calibrated, a number is not finite, or the distortion model
            is unknown.
    """
    K = np.array(info.k).reshape(3, 3)
    D, model = np.array(info.d), info.distortion_model or "none"
    if rectified:
        P = np.array(info.p).reshape(3, 4)[:, :3]
        # Drivers of cameras without distortion often leave P out; then K says the same.
        K = P if np.any(P) or np.any(D) else K
        D, model = np.zeros(0), "none"
    if not np.any(K):
        raise CameraError(
            f"camera_info has {'P' if rectified else 'K'} = 0: the camera is not calibrated; "
            "run camera_calibration or give the driver a calibration file"
        )
    return _as_published(K, D, model, info)


def _as_published(K: np.ndarray, D: np.ndarray, model: str, info: CameraInfo) -> CameraModel:
    """Crop the calibrated sensor to the region of interest, then bin its pixels."""
    roi, bins_x, bins_y = info.roi, max(1, info.binning_x), max(1, info.binning_y)
    K = K.copy()
    K[:2, 2] -= roi.x_offset, roi.y_offset
    # Pixels that do not fill a bin are lost.
    width, height = (roi.width or info.width) // bins_x, (roi.height or info.height) // bins_y
    camera = CameraModel(K, width * bins_x, height * bins_y, D, model)
    return geometry.resize_camera(camera, width, height)


def check_size(camera: CameraModel, image: np.ndarray) -> None:
    """Hold a camera and an (H, W, 3) image to the same size.

    Raises:
        CameraError: They differ.
    """
    height, width = image.shape[:2]
    if (camera.width, camera.height) != (width, height):
        raise CameraError(
            f"camera_info describes {camera.width}x{camera.height} pixels, "
            f"but the image has {width}x{height}"
        )


def info_from_camera(camera: CameraModel, header: Header) -> CameraInfo:
    """The calibration message of an unrectified image as a camera driver publishes it."""
    info = CameraInfo(header=header, width=camera.width, height=camera.height)
    info.distortion_model = (
        "plumb_bob" if camera.distortion_model == "none" else camera.distortion_model
    )
    info.d = camera.distortion.tolist() or [0.0] * 5
    info.k = camera.K.reshape(9).tolist()
    info.r = np.eye(3).reshape(9).tolist()
    info.p = np.hstack([camera.K, np.zeros((3, 1))]).reshape(12).tolist()
    return info

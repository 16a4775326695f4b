"""Images and calibrations as ROS messages hold them, without ROS.

What is read here may be a message of rclpy or one read from a bag: anything with the attributes of
``sensor_msgs/Image``, ``CompressedImage`` or ``CameraInfo``. NumPy and OpenCV do all the decoding.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from casapose_ros import geometry
from casapose_ros.errors import CameraError, ImageError
from casapose_ros.types import CameraModel

RECTIFIED_TOPIC = re.compile(r"(^|[/_])rect(ified)?($|[/_])")
"""How the topic of a rectified image is recognised: image_rect, rect/image, rectified."""


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
    "rgb16": _Encoding(3, None, dtype=np.uint16),
    "bgr16": _Encoding(3, cv2.COLOR_BGR2RGB, dtype=np.uint16),
    "mono8": _Encoding(1, cv2.COLOR_GRAY2RGB),
    "mono16": _Encoding(1, cv2.COLOR_GRAY2RGB, dtype=np.uint16),
    "bayer_rggb8": _Encoding(1, cv2.COLOR_BayerBG2RGB),
    "bayer_rggb16": _Encoding(1, cv2.COLOR_BayerBG2RGB, dtype=np.uint16),
    "bayer_bggr8": _Encoding(1, cv2.COLOR_BayerRG2RGB),
    "bayer_bggr16": _Encoding(1, cv2.COLOR_BayerRG2RGB, dtype=np.uint16),
    "bayer_gbrg8": _Encoding(1, cv2.COLOR_BayerGR2RGB),
    "bayer_gbrg16": _Encoding(1, cv2.COLOR_BayerGR2RGB, dtype=np.uint16),
    "bayer_grbg8": _Encoding(1, cv2.COLOR_BayerGB2RGB),
    "bayer_grbg16": _Encoding(1, cv2.COLOR_BayerGB2RGB, dtype=np.uint16),
    "yuv422": _Encoding(2, cv2.COLOR_YUV2RGB_UYVY, even_width=True),
    "yuv422_yuy2": _Encoding(2, cv2.COLOR_YUV2RGB_YUY2, even_width=True),
}
_ALIASES = {"uyvy": "yuv422", "yuyv": "yuv422_yuy2"}
"""Names that ROS introduced in 2023 for the same two layouts."""

_BY_NAME = {name.lower(): encoding for name, encoding in _ENCODINGS.items()}
_BY_NAME |= {alias: _ENCODINGS[name] for alias, name in _ALIASES.items()}

_MAGIC = {"jpeg": b"\xff\xd8", "png": b"\x89PNG"}
_PNG_END = b"IEND\xaeB`\x82"
_JPEG_START_OF_SCAN, _JPEG_END = 0xDA, b"\xff\xd9"
"""What pictures begin and end with; without its end OpenCV makes up the rest."""


def knows_encoding(encoding: str) -> bool:
    """Whether :func:`image_to_rgb` takes this encoding; depth images have others."""
    return encoding.lower() in _BY_NAME


def may_be_picture(compressed_format: str) -> bool:
    """Whether a ``CompressedImage`` of this format may be a JPEG or PNG of a colour image."""
    name = compressed_format.strip().lower()
    # A driver may leave the format out; what is in the data says more anyway.
    known = not name or any(kind in name for kind in ("jpeg", "jpg", "png"))
    return known and "depth" not in name


def image_to_rgb(message: Any) -> np.ndarray:
    """Decode a ``sensor_msgs/Image``.

    Returns:
        (H, W, 3) uint8 RGB. ``8UC3`` counts as BGR, OpenCV's order; 16 bits become 8 by dropping
        the low byte.

    Raises:
        ImageError: The encoding is unknown, the size is zero, rows are shorter than their pixels
            or the data is shorter than its rows.
    """
    encoding = _BY_NAME.get(message.encoding.lower())
    if encoding is None:
        known = ", ".join([*_ENCODINGS, *_ALIASES])
        raise ImageError(f"unknown image encoding {message.encoding!r}; known: {known}")
    rows = _rows(message, encoding)
    if encoding.dtype is np.uint16:
        rows = (rows >> 8).astype(np.uint8)
    return _to_rgb(rows, encoding.to_rgb, message.encoding)


def compressed_to_rgb(message: Any) -> np.ndarray:
    """Decode a ``sensor_msgs/CompressedImage`` that holds a JPEG or a PNG.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ImageError: It holds something else, for example a depth image, or is cut off or damaged.
    """
    encoding, _, kind = message.format.lower().rpartition(";")
    if "compresseddepth" in kind:
        raise ImageError(f"a depth image (format {message.format!r}), no colour image")
    data = np.frombuffer(message.data, dtype=np.uint8)
    _check_whole(data, message.format)
    is_bayer = encoding.strip().startswith("bayer_") and knows_encoding(encoding.strip())
    try:
        image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED if is_bayer else cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise ImageError(f"cannot decode {message.format!r}: {error}") from error
    if image is None:
        raise ImageError(f"damaged: OpenCV cannot decode its {data.size} bytes {message.format!r}")
    if is_bayer and image.ndim == 2:
        # image_transport compresses the mosaic as it is, as if it were grey.
        mosaic = (image >> 8).astype(np.uint8) if image.dtype == np.uint16 else image
        return _to_rgb(mosaic, _BY_NAME[encoding.strip()].to_rgb, encoding)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _check_whole(data: np.ndarray, name: str) -> None:
    """Refuse what is neither JPEG nor PNG and what has been cut off."""
    content = data.tobytes()
    # What a driver has put behind the picture does no harm.
    if content.startswith(_MAGIC["jpeg"]):
        kind, has_end = "jpeg", content.find(_JPEG_END, _start_of_scan(content)) >= 0
    elif content.startswith(_MAGIC["png"]):
        kind, has_end = "png", _PNG_END in content
    else:
        raise ImageError(f"format {name!r} with {data.size} bytes that are neither JPEG nor PNG")
    if not has_end:
        raise ImageError(f"cut off: its {data.size} bytes of {kind} have no end")


def _start_of_scan(jpeg: bytes) -> int:
    """Where a JPEG's pixels begin: a preview in its head has an end mark of its own."""
    position = len(_MAGIC["jpeg"])
    while position + 4 <= len(jpeg) and jpeg[position] == 0xFF:
        marker = jpeg[position + 1]
        if marker == _JPEG_START_OF_SCAN:
            break
        # Fill bytes; else a segment, whose length counts itself.
        filled = marker == 0xFF
        position += 1 if filled else 2 + int.from_bytes(jpeg[position + 2 : position + 4], "big")
    return position


def _to_rgb(rows: np.ndarray, conversion: int | None, encoding: str) -> np.ndarray:
    if conversion is None:
        return rows
    try:
        return cv2.cvtColor(rows, conversion)
    except cv2.error as error:
        size = f"{rows.shape[1]}x{rows.shape[0]}"
        raise ImageError(f"cannot convert a {encoding} image of {size}: {error}") from error


def _rows(message: Any, encoding: _Encoding) -> np.ndarray:
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


def camera_from_info(info: Any, rectified: bool) -> CameraModel:
    """The camera that took an image, from its ``sensor_msgs/CameraInfo``.

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


def _as_published(K: np.ndarray, D: np.ndarray, model: str, info: Any) -> CameraModel:
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


def info_fields(camera: CameraModel) -> dict[str, Any]:
    """A camera as the fields of ``sensor_msgs/CameraInfo`` for its unrectified image.

    Returns:
        ``width``, ``height``, ``distortion_model`` and lists of numbers ``d``, ``k``, ``r``, ``p``.
    """
    model = camera.distortion_model
    return {
        "width": camera.width,
        "height": camera.height,
        "distortion_model": "plumb_bob" if model == "none" else model,
        "d": camera.distortion.tolist() or [0.0] * 5,
        "k": camera.K.reshape(9).tolist(),
        "r": np.eye(3).reshape(9).tolist(),
        "p": np.hstack([camera.K, np.zeros((3, 1))]).reshape(12).tolist(),
    }

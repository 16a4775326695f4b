"""Conversion between ROS image messages and NumPy arrays, with the names of ``cv_bridge``."""

from __future__ import annotations

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from cv_bridge.encodings import DEPTHS, convert, parse


class CvBridgeError(TypeError):
    """An image cannot be converted."""


class CvBridge:
    """Converts ``sensor_msgs`` images to arrays of (H, W) or (H, W, C) and back."""

    def imgmsg_to_cv2(self, img_msg: Image, desired_encoding: str = "passthrough") -> np.ndarray:
        """Copy a message's pixels into an array in the machine's byte order.

        Args:
            img_msg: Any encoding that :func:`cv_bridge.encodings.parse` knows.
            desired_encoding: Encoding to convert to, or ``passthrough`` for the message's own.

        Returns:
            (H, W) for one channel, else (H, W, C).

        Raises:
            CvBridgeError: Unknown encoding, conversion without sense, or too little data.
        """
        try:
            source = parse(img_msg.encoding)
            image = _pixels(img_msg, np.dtype(source.dtype), source.channels)
            if desired_encoding in ("passthrough", img_msg.encoding):
                return image
            return convert(image, source, parse(desired_encoding))
        except (ValueError, cv2.error) as error:
            raise CvBridgeError(str(error)) from error

    def cv2_to_imgmsg(
        self, cvim: np.ndarray, encoding: str = "passthrough", header: Header | None = None
    ) -> Image:
        """Wrap an array in a message; nothing is converted.

        Args:
            cvim: (H, W) or (H, W, C).
            encoding: What the values mean, or ``passthrough`` for plain numbers such as ``8UC3``.
            header: Stamp and frame to copy into the message.

        Raises:
            TypeError: ``cvim`` is not an array.
            CvBridgeError: The encoding is unknown or does not fit the array.
        """
        if not isinstance(cvim, np.ndarray):
            raise TypeError("Your input type is not a numpy array")
        channels = 1 if cvim.ndim < 3 else cvim.shape[2]
        cv_type = self.dtype_with_channels_to_cvtype2(cvim.dtype, channels)
        if encoding != "passthrough":
            expected = self.encoding_to_dtype_with_channels(encoding)
            if expected != (cvim.dtype.name, channels):
                raise CvBridgeError(
                    f"encoding specified as {encoding}, but image has incompatible type {cv_type}"
                )
        message = Image(height=cvim.shape[0], width=cvim.shape[1])
        message.encoding = cv_type if encoding == "passthrough" else encoding
        message.is_bigendian = int(cvim.dtype.str[0] == ">")
        message.step = cvim.shape[1] * channels * cvim.dtype.itemsize
        message.data.frombytes(cvim.tobytes())
        if header is not None:
            message.header = header
        return message

    def compressed_imgmsg_to_cv2(
        self, cmprs_img_msg: CompressedImage, desired_encoding: str = "passthrough"
    ) -> np.ndarray | None:
        """Decode a compressed image (JPEG, PNG, ...).

        Args:
            cmprs_img_msg: Its colours come out in OpenCV's order, blue first.
            desired_encoding: Encoding to convert to from ``bgr8``, or ``passthrough``.

        Returns:
            (H, W) or (H, W, C); like the real package, None where OpenCV cannot decode the data
            and nothing has to be converted.

        Raises:
            CvBridgeError: The image cannot be converted to the desired encoding.
        """
        data = np.asarray(cmprs_img_msg.data, dtype=np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
        if desired_encoding == "passthrough":
            return image
        if image is None:
            raise CvBridgeError("the compressed image cannot be decoded")
        try:
            return convert(image, parse("bgr8"), parse(desired_encoding))
        except (ValueError, cv2.error) as error:
            raise CvBridgeError(str(error)) from error

    def cv2_to_compressed_imgmsg(
        self, cvim: np.ndarray, dst_format: str = "jpg"
    ) -> CompressedImage:
        """Compress an array, its colours in OpenCV's order, blue first.

        Args:
            cvim: (H, W) or (H, W, C).
            dst_format: A file name ending that OpenCV knows, without the dot.

        Raises:
            TypeError: ``cvim`` is not an array.
            CvBridgeError: OpenCV cannot write this array in this format.
        """
        if not isinstance(cvim, np.ndarray):
            raise TypeError("Your input type is not a numpy array")
        try:
            _, data = cv2.imencode("." + dst_format, cvim)
        except cv2.error as error:
            raise CvBridgeError(str(error)) from error
        message = CompressedImage(format=dst_format)
        message.data.frombytes(data.tobytes())
        return message

    def encoding_to_dtype_with_channels(self, encoding: str) -> tuple[str, int]:
        """NumPy's type name and the number of channels: ``bgr8`` -> (``uint8``, 3).

        Raises:
            CvBridgeError: Unknown encoding.
        """
        try:
            parsed = parse(encoding)
        except ValueError as error:
            raise CvBridgeError(str(error)) from error
        return parsed.dtype, parsed.channels

    def dtype_with_channels_to_cvtype2(self, dtype: np.dtype, n_channels: int) -> str:
        """OpenCV's name of a type: ``uint8``, 3 -> ``8UC3``.

        Raises:
            CvBridgeError: OpenCV has no such type.
        """
        for depth, name in DEPTHS.items():
            if name == dtype.name:
                return f"{depth}C{n_channels}"
        raise CvBridgeError(f"OpenCV has no type for {dtype}")


def _pixels(message: Image, dtype: np.dtype, channels: int) -> np.ndarray:
    """Copy the pixels out of the message's rows, which may be padded, in native byte order."""
    row_size = message.width * channels * dtype.itemsize
    if message.step < row_size:
        raise ValueError(f"step is {message.step}, but a row takes {row_size} bytes")
    if len(message.data) < message.height * message.step:
        raise ValueError(
            f"{len(message.data)} bytes of data, but {message.height} rows take {message.step} each"
        )
    data = np.asarray(message.data, dtype=np.uint8)[: message.height * message.step]
    rows = data.reshape(message.height, message.step)[:, :row_size]
    stored = np.ascontiguousarray(rows).view(
        dtype.newbyteorder(">" if message.is_bigendian else "<")
    )
    shape = (message.height, message.width) + ((channels,) if channels > 1 else ())
    return stored.reshape(shape).astype(dtype)

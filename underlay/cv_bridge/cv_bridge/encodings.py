"""What the encoding names of ``sensor_msgs/Image`` mean, and how to convert between them."""

from __future__ import annotations

import re
from dataclasses import dataclass

import cv2
import numpy as np

DEPTHS = {
    "8U": "uint8",
    "8S": "int8",
    "16U": "uint16",
    "16S": "int16",
    "32S": "int32",
    "32F": "float32",
    "64F": "float64",
}
"""OpenCV's depth names and NumPy's."""

_CHANNELS = {"GRAY": 1, "RGB": 3, "BGR": 3, "RGBA": 4, "BGRA": 4}

_YUV = {"yuv422": "UYVY", "yuv422_yuy2": "YUY2"}

# ROS names a Bayer pattern by its first two pixels, OpenCV by the second row's second and third.
_BAYER = {"rggb": "BayerBG", "bggr": "BayerRG", "gbrg": "BayerGR", "grbg": "BayerGB"}


@dataclass(frozen=True)
class Encoding:
    """One encoding.

    Attributes:
        name: As in ``sensor_msgs/Image``.
        dtype: NumPy's name of a channel's type.
        channels: Values per pixel.
        colour: OpenCV's name of the colour layout, or None for plain numbers such as ``8UC3``.
    """

    name: str
    dtype: str
    channels: int
    colour: str | None


def parse(name: str) -> Encoding:
    """Look an encoding up by its name.

    Raises:
        ValueError: There is no such encoding.
    """
    if name in _YUV:
        return Encoding(name, "uint8", 2, _YUV[name])
    if match := re.fullmatch(r"(mono|rgba?|bgra?|bayer_(\w{4}))(8|16)", name):
        kind, pattern, bits = match.groups()
        if pattern is None:
            colour = "GRAY" if kind == "mono" else kind.upper()
            return Encoding(name, f"uint{bits}", _CHANNELS[colour], colour)
        if pattern in _BAYER:
            return Encoding(name, f"uint{bits}", 1, _BAYER[pattern])
    if match := re.fullmatch(rf"({'|'.join(DEPTHS)})(?:C(\d+))?", name):
        return Encoding(name, DEPTHS[match[1]], int(match[2] or 1), None)
    raise ValueError(f"Unrecognized image encoding [{name}]")


def convert(image: np.ndarray, source: Encoding, target: Encoding) -> np.ndarray:
    """Convert an image's colours, then its depth (8 and 16 bits share one range of brightness).

    Raises:
        ValueError: No such conversion makes sense.
    """
    if source.colour is None or target.colour is None:
        if source.colour is None and target.colour is not None:
            raise ValueError(f"[{source.name}] is not a color format, but [{target.name}] is")
        if source.channels != target.channels:
            raise ValueError(f"[{source.name}] and [{target.name}] differ in their channels")
    elif source.colour != target.colour:
        image = cv2.cvtColor(image, _conversion_code(source, target))
    return _convert_depth(image, target.dtype)


def _conversion_code(source: Encoding, target: Encoding) -> int:
    if source.colour in _YUV.values():
        name = f"COLOR_YUV2{target.colour}_{source.colour}"
    else:
        name = f"COLOR_{source.colour}2{target.colour}"
    is_bayer_to_alpha = source.colour in _BAYER.values() and target.channels == 4
    if target.colour not in _CHANNELS or is_bayer_to_alpha:
        raise ValueError(f"Unsupported conversion from [{source.name}] to [{target.name}]")
    return getattr(cv2, name)


def _convert_depth(image: np.ndarray, dtype: str) -> np.ndarray:
    if image.dtype == dtype:
        return image
    scale = {("uint8", "uint16"): 65535 / 255, ("uint16", "uint8"): 255 / 65535}
    values = image * scale.get((image.dtype.name, dtype), 1.0)
    if np.issubdtype(dtype, np.floating):
        return values.astype(dtype)
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values), limits.min, limits.max).astype(dtype)

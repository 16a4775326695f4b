"""An image and its masks at the network's resolution."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import cv2
import numpy as np

from casapose_ros.data.bop import GroundTruth
from casapose_ros.data.targets import instance_numbers
from casapose_ros.errors import DatasetError
from casapose_ros.geometry import resize_image
from casapose_ros.types import CameraModel


def check_aspect(camera: CameraModel, size: tuple[int, int], name: str) -> None:
    """Whether images can be resized to the network's input without distorting them.

    Raises:
        DatasetError: They cannot; the message calls them ``name``.
    """
    if abs(camera.width * size[1] - camera.height * size[0]) > max(size):
        raise DatasetError(
            f"{name}: {camera.width}x{camera.height} has another aspect ratio than the network's "
            f"input {size[0]}x{size[1]}"
        )


def resize_frame(
    image: np.ndarray,
    truths: Sequence[GroundTruth],
    masks: Iterable[np.ndarray],
    classes: Mapping[int, int],
    size: tuple[int, int],
) -> tuple[np.ndarray, np.ndarray]:
    """Image and labels at network resolution.

    Args:
        image: (H, W, 3) uint8 RGB.
        truths: The N objects in it.
        masks: N of (H, W) bool, their visible pixels.
        classes: Class ids by BOP id; other objects are background.
        size: (width, height) of the network's input.

    Returns:
        The image, and the labels as ``frame_cache.FrameCache`` has them: of every pixel the one at
        its centre. (At half the size that is a corner of four pixels, of which one is taken:
        outlines are sharp, but lie a quarter of a pixel off. Keypoints do not.)
    """
    numbers = instance_numbers(truths, classes)
    labels = np.zeros(image.shape[:2], np.uint8)
    for index, (_, mask) in enumerate(zip(truths, masks, strict=True)):
        if index in numbers:
            labels[mask] = numbers[index]
    return (
        resize_image(image, size),
        cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST_EXACT),
    )

"""Training crops as people can judge them: image, labels, what guides decoder 2, keypoints."""

from __future__ import annotations

import cv2
import numpy as np

from casapose_ros.training.crops import class_map
from casapose_ros.visualisation import class_colour, segmentation_picture

CROPS_PER_ROW = 2
SIDE_PX = 256
"""Each tile is scaled up to at least this."""
GAP_PX = 4
POINT_BITS = 4


def batch_picture(inputs: dict[str, np.ndarray], targets: dict[str, np.ndarray]) -> np.ndarray:
    """A sheet of all crops of a batch, four tiles each.

    The tiles are the image; the same with its labels; with the guide (grey where decoder 2 is
    guided by the network's own estimate); and with the keypoints of the instances that are visible,
    those of equivalent poses as dots.

    Args:
        inputs: Of :func:`~casapose_ros.training.batches.make_batch`.
        targets: Of the same.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    crops = []
    for image, instances, classes, guide, keypoints in zip(
        inputs["image"],
        inputs["labels"],
        inputs["classes"],
        inputs["guide"],
        targets["keypoints"],
        strict=True,
    ):
        labels = class_map(instances, classes)
        scale = max(1, -(-SIDE_PX // image.shape[0]))
        tiles = [
            image,
            _overlay(image, segmentation_picture(labels), labels),
            _overlay(image, _guide_picture(guide), guide),
        ]
        tiles = [_scaled(tile, scale) for tile in tiles]
        visible = np.unique(instances[instances > 0]) - 1
        tiles.append(_with_keypoints(tiles[0], keypoints[visible], classes[visible], scale))
        crops.append(np.hstack([_framed(tile) for tile in tiles]))
    crops += [np.zeros_like(crops[0])] * (-len(crops) % CROPS_PER_ROW)
    rows = [crops[i : i + CROPS_PER_ROW] for i in range(0, len(crops), CROPS_PER_ROW)]
    return np.vstack([np.hstack(row) for row in rows])


def _guide_picture(guide: np.ndarray) -> np.ndarray:
    if guide.min() == 255:
        return np.full((*guide.shape, 3), 128, np.uint8)
    return segmentation_picture(guide)


def _overlay(image: np.ndarray, colours: np.ndarray, labels: np.ndarray) -> np.ndarray:
    mixed = image // 3
    mixed[labels > 0] += (colours[labels > 0] * np.float32(0.6)).astype(np.uint8)
    return mixed


def _scaled(tile: np.ndarray, scale: int) -> np.ndarray:
    return tile.repeat(scale, axis=0).repeat(scale, axis=1)


def _framed(tile: np.ndarray) -> np.ndarray:
    return np.pad(tile, ((0, GAP_PX), (0, GAP_PX), (0, 0)))


def _with_keypoints(
    tile: np.ndarray, keypoints: np.ndarray, classes: np.ndarray, scale: int
) -> np.ndarray:
    tile = tile.copy()
    for class_id, poses in zip(classes.tolist(), keypoints, strict=True):
        colour = class_colour(class_id)
        for pose, points in enumerate(poses):
            for number, point in enumerate(points):
                # Pixel centres lie at 0.5 here, at integers in OpenCV.
                x, y = np.round((point * scale - 0.5) * 2**POINT_BITS).astype(int).tolist()
                radius = (5 if number == 0 else 3) if pose == 0 else 1
                cv2.circle(tile, (x, y), radius << POINT_BITS, colour, 1, cv2.LINE_AA, POINT_BITS)
    return tile

"""A picture of many frames and their labels, for people to look at."""

from __future__ import annotations

import colorsys
from pathlib import Path

import cv2
import numpy as np

from casapose_ros.data.bop_writer import write_image

SHEET_COLUMNS, SHEET_FRAMES, TILE = 4, 20, (320, 240)
GOLDEN = 0.618
"""Turn of the colour circle from one object to the next that keeps all of them apart."""


def tile(image: np.ndarray, masks: list[tuple[int, np.ndarray]]) -> np.ndarray:
    """The image above the same with its objects in their colours.

    Args:
        image: (H, W, 3) uint8 RGB.
        masks: BOP id and (H, W) bool mask of each object.

    Returns:
        (2 h, w, 3) uint8 RGB, h and w being the size of a tile.
    """
    labelled = image // 3
    for bop_id, mask in masks:
        colour = 170 * np.array(colorsys.hsv_to_rgb(bop_id * GOLDEN % 1, 0.8, 1))
        labelled[mask] = labelled[mask] + colour.astype(np.uint8)
    pair = [cv2.resize(x, TILE, interpolation=cv2.INTER_AREA) for x in (image, labelled)]
    return np.concatenate(pair)


def write_sheet(tiles: list[np.ndarray], path: Path) -> None:
    """Write tiles of one size in rows, the last one filled up with black."""
    tiles = tiles + [np.zeros_like(tiles[0])] * (-len(tiles) % SHEET_COLUMNS)
    rows = [np.hstack(tiles[i : i + SHEET_COLUMNS]) for i in range(0, len(tiles), SHEET_COLUMNS)]
    write_image(path, np.vstack(rows)[..., ::-1])

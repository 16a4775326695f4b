"""Smooth outlines from one colour per pixel and the labels at the pixels' corners.

A pixel's colour is half that of its centre and an eighth of each corner's. A corner has the colour
of the pixels round it that show the same thing; the floor's is known behind everything. So colours
are computed once per pixel, and outlines are as smooth as with twice the samples.
"""

from __future__ import annotations

import cv2
import numpy as np

ROUND_A_CORNER = ((-1, -1), (-1, 0), (0, -1), (0, 0))
"""Pixels (row, column) round the corner above and to the left of pixel (0, 0)."""


def composed(
    floor: np.ndarray, lit: np.ndarray, labels: np.ndarray, corner_labels: np.ndarray
) -> np.ndarray:
    """Put the instances before the floor.

    Args:
        floor: (H, W, 4) uint8 RGB and anything.
        lit: (H, W, 4) uint8 RGB and anything: the instances, where ``labels`` is not 0.
        labels: (H, W) uint8 of what shows at the pixels' centres, 0 for the floor.
        corner_labels: (H + 1, W + 1) uint8 of what shows at their corners.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    image = cv2.cvtColor(floor, cv2.COLOR_RGBA2RGB)
    shown = labels | corner_labels[:-1, :-1] | corner_labels[1:, 1:]
    rows, columns = np.flatnonzero(shown.any(axis=1)), np.flatnonzero(shown.any(axis=0))
    if not len(rows):
        return image
    top, left = max(rows[0] - 1, 0), max(columns[0] - 1, 0)
    low, right = rows[-1] + 2, columns[-1] + 2
    part = np.s_[top:low, left:right]
    image[part] = _smooth(
        image[part],
        cv2.cvtColor(lit[part], cv2.COLOR_RGBA2RGB),
        np.ascontiguousarray(labels[part]),
        np.ascontiguousarray(corner_labels[top : low + 1, left : right + 1]),
    )
    return image


def _smooth(
    floor: np.ndarray, lit: np.ndarray, labels: np.ndarray, corner_labels: np.ndarray
) -> np.ndarray:
    """:func:`composed` of (H, W, 3) images."""
    centres = np.ascontiguousarray(floor)
    floor = centres.copy()
    cv2.copyTo(lit, labels, centres)
    mixed = _disagreeing(labels, corner_labels)
    corners = _corner_means(centres)
    rows, columns = np.nonzero(mixed)
    corners[rows, columns] = _corner_colours(
        centres, floor, labels, corner_labels[rows, columns], rows, columns
    )
    around = cv2.blur(corners, (2, 2), anchor=(0, 0))[:-1, :-1]
    smooth = cv2.addWeighted(centres, 0.5, around, 0.5, 0)
    # The floor away from instances stays as it is.
    near = cv2.dilate(mixed, np.ones((2, 2), np.uint8), anchor=(0, 0))[:-1, :-1]
    return cv2.copyTo(smooth, cv2.bitwise_or(labels, near), centres)


def _disagreeing(labels: np.ndarray, corner_labels: np.ndarray) -> np.ndarray:
    """(H + 1, W + 1) uint8, not 0 where some pixel round a corner does not show what it shows."""
    padded = cv2.copyMakeBorder(labels, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    square = np.ones((2, 2), np.uint8)
    low = cv2.erode(padded, square, anchor=(0, 0))[:-1, :-1]
    high = cv2.dilate(padded, square, anchor=(0, 0))[:-1, :-1]
    return cv2.bitwise_or(cv2.absdiff(low, corner_labels), cv2.absdiff(high, corner_labels))


def _corner_means(image: np.ndarray) -> np.ndarray:
    """(H + 1, W + 1, 3) means of the pixels round each corner."""
    padded = cv2.copyMakeBorder(image, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    return np.ascontiguousarray(cv2.blur(padded, (2, 2), anchor=(0, 0))[:-1, :-1])


def _corner_colours(
    centres: np.ndarray,
    floor: np.ndarray,
    labels: np.ndarray,
    wanted: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
) -> np.ndarray:
    """(n, 3) colours of n corners from those pixels round them that show what is wanted."""
    height, width = labels.shape
    total = np.zeros((len(rows), 3), np.float32)
    weight = np.full((len(rows), 1), 1e-3, np.float32)
    everything = np.zeros_like(total)
    for row, column in ROUND_A_CORNER:
        index = np.clip(rows + row, 0, height - 1) * width + np.clip(columns + column, 0, width - 1)
        seen = centres.reshape(-1, 3)[index]
        fits = (labels.reshape(-1)[index] == wanted)[:, None]
        total += seen * fits
        weight += fits
        everything += np.where(wanted[:, None] == 0, floor.reshape(-1, 3)[index], seen)
    # What shows at the corner alone has the colour of all pixels round it.
    lonely = (weight < 1) | (wanted == 0)[:, None]
    return np.where(lonely, everything / 4, total / weight) + 0.5

"""Pieces of other frames pasted over the objects of a training crop.

A piece has the outline of a random blob or of a known object, and the texture of what is *not* a
known object in another frame: a piece of a known object would be labelled background where the
network is right to see the object. Labels stay exact: a pixel is background where the piece covers
more than half of it; colours at the outline are mixed as in a camera.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from casapose_ros.data.frame_cache import FrameCache
from casapose_ros.data.targets import present_values

CORNERS = (5, 12)
"""Of the polygon that becomes a blob."""
SILHOUETTES = 0.4
"""Fraction of the pieces that have the outline of a known object."""
FRINGE = np.ones((5, 5), np.uint8)
"""Pixels about a known object that may show it, and are not pasted either."""


@dataclass(frozen=True)
class Piece:
    """Something to paste: ``image`` (h, w, 3) uint8 RGB where ``mask`` (h, w) bool says so."""

    image: np.ndarray
    mask: np.ndarray


def paste_occluders(
    image: np.ndarray,
    labels: np.ndarray,
    frames: FrameCache,
    size: tuple[float, float],
    count: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Paste pieces over objects.

    Args:
        image: (H, W, 3) uint8 RGB.
        labels: (H, W) uint8, as in ``frames``.
        frames: Where pieces come from.
        size: Range of a piece's side, of the square root of the object's visible area.
        count: Number of pieces.
        rng: Where randomness comes from.

    Returns:
        New image and labels; the same where there is no object to cover.
    """
    for _ in range(count):
        numbers = present_values(labels)
        if not len(numbers):
            break
        pixels = np.flatnonzero(labels == rng.choice(numbers))
        side = int(np.clip(rng.uniform(*size) * np.sqrt(len(pixels)), 4, min(labels.shape)))
        row, column = divmod(int(rng.choice(pixels)), labels.shape[1])
        piece = _piece(frames, side, rng)
        image, labels = _paste(image, labels, piece, row - side // 2, column - side // 2)
    return image, labels


def _piece(frames: FrameCache, side: int, rng: np.random.Generator) -> Piece:
    """A square piece of a random frame, mirrored half of the time."""
    texture, known = _random_square(frames, side, rng)
    outline = _silhouette(frames, side, rng) if rng.random() < SILHOUETTES else None
    if outline is None:
        outline = _blob(side, rng)
    mask = outline & ~cv2.dilate(known.astype(np.uint8), FRINGE).astype(bool)
    if rng.random() < 0.5:
        texture, mask = texture[:, ::-1], mask[:, ::-1]
    return Piece(texture, mask)


def _random_square(
    frames: FrameCache, side: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """(side, side, 3) of a frame, and (side, side) bool of where it shows known objects."""
    index = int(rng.integers(len(frames)))
    labels = frames.labels[index]
    height, width = labels.shape
    top, left = (
        rng.integers(0, max(height - side, 0) + 1),
        rng.integers(0, max(width - side, 0) + 1),
    )
    part = np.s_[top : top + side, left : left + side]
    texture, known = frames.images[index][part], labels[part] > 0
    if known.shape != (side, side):  # larger than the frame: filled up by its mirror image
        short = (0, side - known.shape[0]), (0, side - known.shape[1])
        texture = np.pad(texture, (*short, (0, 0)), "symmetric")
        known = np.pad(known, short, "symmetric")
    return texture, known


def _blob(side: int, rng: np.random.Generator) -> np.ndarray:
    """(side, side) bool: a polygon about the middle, its corners sharp or rounded."""
    count = int(rng.integers(*CORNERS))
    angles = np.sort(rng.uniform(0, 2 * np.pi, count))
    radii = rng.uniform(0.35, 1.0, count) * side / 2
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii[:, None] + side / 2
    mask = np.zeros((side, side), np.uint8)
    cv2.fillPoly(mask, [np.round(points).astype(np.int32)], 255)
    if rng.random() < 0.5:
        width = max(side // 4, 1) | 1
        mask = cv2.GaussianBlur(mask, (width, width), 0)
    return mask > 127


def _silhouette(frames: FrameCache, side: int, rng: np.random.Generator) -> np.ndarray | None:
    """(side, side) bool: the visible outline of an object of some frame; None if it has none."""
    labels = frames.labels[int(rng.integers(len(frames)))]
    numbers = present_values(labels[::4, ::4])
    if not len(numbers):
        return None
    mask = (labels == rng.choice(numbers)).astype(np.uint8)
    left, top, width, height = cv2.boundingRect(mask)
    box = mask[top : top + height, left : left + width] * np.uint8(255)
    return cv2.resize(box, (side, side), interpolation=cv2.INTER_LINEAR) > 127


def _paste(
    image: np.ndarray, labels: np.ndarray, piece: Piece, top: int, left: int
) -> tuple[np.ndarray, np.ndarray]:
    """Copies of image and labels with the piece; what lies outside the image is cut off."""
    side = len(piece.mask)
    height, width = labels.shape
    there = np.s_[max(top, 0) : min(top + side, height), max(left, 0) : min(left + side, width)]
    rows, columns = there
    here = np.s_[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    image, labels = image.copy(), labels.copy()
    labels[there][piece.mask[here]] = 0
    # Half covered on a straight outline: what is inside stays above, what is outside below it.
    cover = cv2.blur(piece.mask.astype(np.float32), (3, 3))[here][..., None]
    mixed = image[there] + cover * (piece.image[here].astype(np.float32) - image[there])
    image[there] = np.round(mixed).astype(np.uint8)
    return image, labels

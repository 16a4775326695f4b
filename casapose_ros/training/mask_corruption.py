"""Label maps as a network that is still wrong would draw them.

Decoder 2 is guided by a mask. Trained with true masks alone it never meets the errors that its own
masks have; the ones made here look like them: outlines that wander, holes, parts that are taken for
another object, islands.
"""

from __future__ import annotations

import cv2
import numpy as np

from casapose_ros.data.targets import present_values

MAX_SHIFT_PX = 4.0
"""Farthest that an outline wanders."""
WAVELENGTH_PX = (8, 32)
"""Spacing of the points between which it does so smoothly."""
MAX_KERNEL_PX = 7
MAX_BLOBS = 3
ISLAND = (0.03, 0.12)
"""Size of an island in the background, of the map's side."""


def corrupt_labels(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A copy of a label map with errors; every kind of error is in two maps out of five.

    Args:
        labels: (H, W) uint8 class ids, 0 for background.
        rng: Where randomness comes from.

    Returns:
        (H, W) uint8; classes that the map does not have do not appear.
    """
    labels = labels.copy()
    kinds = (_warp, _grow_or_shrink, _punch_holes, _confuse, _add_islands)
    chosen = rng.random(len(kinds)) < 0.4
    if not chosen.any():
        chosen[0] = True  # the outline is what is always a little wrong
    for kind, used in zip(kinds, chosen, strict=True):
        if used and labels.any():
            labels = kind(labels, rng)
    return labels


def _warp(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Move outlines by a smooth random field."""
    height, width = labels.shape
    spacing = rng.integers(*WAVELENGTH_PX)
    grid = (height // spacing + 2, width // spacing + 2, 2)
    coarse = rng.uniform(-1, 1, grid).astype(np.float32) * np.float32(rng.uniform(1, MAX_SHIFT_PX))
    field = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    field[..., 0] += np.arange(width, dtype=np.float32)
    field[..., 1] += np.arange(height, dtype=np.float32)[:, None]
    return cv2.remap(labels, field, None, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)


def _grow_or_shrink(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each class swallows a margin of the background, or loses one to it."""
    corrupted = labels.copy()
    for class_id in present_values(labels):
        size = int(rng.integers(3, MAX_KERNEL_PX + 1))
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
        mask = (labels == class_id).astype(np.uint8)
        if rng.random() < 0.5:
            grown = cv2.dilate(mask, kernel).astype(bool)
            corrupted[grown & (labels == 0)] = class_id
        else:
            # What lies beyond the border is taken to go on as it is inside.
            kept = cv2.erode(mask, kernel, borderValue=1).astype(bool)
            corrupted[mask.astype(bool) & ~kept] = 0
    return corrupted


def _punch_holes(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Parts of objects that are taken for background."""
    corrupted = labels.copy()
    for _ in range(rng.integers(1, MAX_BLOBS + 1)):
        class_id = rng.choice(present_values(labels))
        corrupted[_blob_on(labels == class_id, rng)] = 0
    return corrupted


def _confuse(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Parts of objects that are taken for another object of the map."""
    classes = present_values(labels)
    if len(classes) < 2:
        return labels
    corrupted = labels.copy()
    for _ in range(rng.integers(1, MAX_BLOBS + 1)):
        class_id, other = rng.choice(classes, 2, replace=False)
        mask = labels == class_id
        corrupted[_blob_on(mask, rng) & mask] = other
    return corrupted


def _add_islands(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Small parts of the background that are taken for an object."""
    background = np.flatnonzero(labels == 0)
    if not len(background):
        return labels
    corrupted = labels.copy()
    for _ in range(rng.integers(1, MAX_BLOBS + 1)):
        size = rng.uniform(*ISLAND) * max(labels.shape)
        blob = _blob(labels.shape, int(rng.choice(background)), size, rng)
        corrupted[blob & (labels == 0)] = rng.choice(present_values(labels))
    return corrupted


def _blob_on(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(H, W) bool: an ellipse about a pixel of the mask, in proportion to it."""
    pixels = np.flatnonzero(mask)
    size = rng.uniform(0.15, 0.7) * np.sqrt(len(pixels))
    return _blob(mask.shape, int(rng.choice(pixels)), size, rng)


def _blob(shape: tuple[int, ...], centre: int, size: float, rng: np.random.Generator) -> np.ndarray:
    """(H, W) bool: an ellipse about a flattened pixel, ``size`` px long."""
    row, column = divmod(centre, shape[1])
    axes = (max(size / 2, 1), max(size / 2 * rng.uniform(0.4, 1), 1))
    blob = np.zeros(shape, np.uint8)
    cv2.ellipse(blob, ((column, row), (2 * axes[0], 2 * axes[1]), rng.uniform(0, 180)), 1, -1)
    return blob.astype(bool)

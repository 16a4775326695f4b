"""What speaks for an outline and what against it: an image, and sums over the inside of lines.

With F(x, y) the sum of a row's values up to x, the sum over the inside of a line is the integral of
F dy along it (Green's theorem). So the sum costs a few dozen lookups, whatever the object's size.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

BACKGROUND, OTHER = -1.0, -0.2
"""What a pixel inside the outline counts that is labelled so; one of the object counts 1. Another
object may be in front."""

Pixels = tuple[np.ndarray, np.ndarray]
"""Rows and columns."""


@dataclass(frozen=True)
class Evidence:
    """A part of an image in which positive values should be inside an outline, negative outside.

    Attributes:
        values: (h, w) float32; beyond them, all is 0.
        corner: (2,) px, x then y, of the part's top left in the image.
    """

    values: np.ndarray
    corner: np.ndarray

    @classmethod
    def of(
        cls,
        labels: np.ndarray,
        class_id: int,
        own: Pixels | None,
        middle: np.ndarray,
        reach: float,
    ) -> Evidence | None:
        """What labels say about an object.

        Args:
            labels: (H, W) uint8 class ids.
            class_id: The object's.
            own: The object's pixels, if others of its class are another instance's.
            middle: (2,) px about which the part lies.
            reach: px from there to its sides.

        Returns:
            None if there is nothing of the image in reach.
        """
        limits = np.array(labels.shape[::-1])
        left, top = np.clip(np.floor(middle - reach), 0, limits).astype(int)
        right, bottom = np.clip(np.ceil(middle + reach), 0, limits).astype(int)
        if left >= right or top >= bottom:
            return None
        labels = labels[top:bottom, left:right]
        values = np.where(labels == 0, np.float32(BACKGROUND), np.float32(OTHER))
        if own is None:
            values[labels == class_id] = 1
        else:
            rows, columns = own
            inside = (rows >= top) & (rows < bottom) & (columns >= left) & (columns < right)
            values[rows[inside] - top, columns[inside] - left] = 1
        return cls(values, np.array([left, top], dtype=np.float64))

    def blurred(self, sigma: float) -> Evidence:
        """Smoothed by a Gaussian, px: a line near an edge feels on which side of it it is."""
        values = cv2.GaussianBlur(self.values, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
        return Evidence(values, self.corner)

    @cached_property
    def _sums(self) -> np.ndarray:
        """(h + 2, w + 1) float32: entry (i, j) sums the first j values of row i - 1."""
        height, width = self.values.shape
        sums = np.zeros((height + 2, width + 1), dtype=np.float32)
        np.cumsum(self.values, axis=1, out=sums[1:-1, 1:])
        return sums

    def inside(self, middles: np.ndarray, rises: np.ndarray) -> np.ndarray:
        """Sums over the inside of lines in N pieces.

        Args:
            middles: (..., N, 2) px of the image.
            rises: (..., N) px, how far y grows along a piece.

        Returns:
            (...) px^2.
        """
        sums = self._sums
        rows, columns = sums.shape
        x = np.clip(middles[..., 0] - self.corner[0], 0, columns - 1 - 1e-6)
        # Row i is about y = i - 0.5.
        y = np.clip(middles[..., 1] - self.corner[1] + 0.5, 0, rows - 1 - 1e-6)
        i, j = y.astype(np.int32), x.astype(np.int32)
        dy, dx = y - i, x - j
        at, flat = i * columns + j, sums.ravel()
        upper = flat[at] * (1 - dx) + flat[at + 1] * dx
        at += columns
        lower = flat[at] * (1 - dx) + flat[at + 1] * dx
        return ((upper * (1 - dy) + lower * dy) * rises).sum(axis=-1)

    def at(self, points: np.ndarray) -> np.ndarray:
        """Values at (N, 2) px of the image, interpolated; (N,)."""
        x, y = (points - self.corner - 0.5).astype(np.float32).T
        return cv2.remap(self.values, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)[:, 0]

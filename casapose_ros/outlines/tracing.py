"""From points to the line around them.

An outline is kept as short pieces of its line, in no order: holes are pieces as well, and what is
between them need not be known. A sum over the pieces gives the area inside, or the sum of an image
inside, by Green's theorem.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

SIDE = 64
"""Cells of a drawing along the longer side of what it shows."""
MARGIN = 2
"""Cells all around: closing does not open again what has grown to a drawing's edge."""
MIN_AREA = 6
"""Cells; smaller holes are gaps between points."""


@dataclass(frozen=True)
class Outline:
    """The line around something, with that of its holes.

    Attributes:
        middles: (N, 2) px, x then y, of the pieces.
        extents: (N, 2) px, from one end to the other. What is inside lies to the right where y
            points down: the sum of x dy is the area.
        anchors: (N,) int, the traced point that each piece is nearest to, roughly.
    """

    middles: np.ndarray
    extents: np.ndarray
    anchors: np.ndarray

    @property
    def area(self) -> float:
        """px^2."""
        return float(self.middles[:, 0] @ self.extents[:, 1])

    @property
    def outwards(self) -> np.ndarray:
        """(N, 2) px, at right angles to the pieces, as long as they are."""
        return self.extents[:, ::-1] * [1, -1]


def trace_outline(points: np.ndarray, pieces: int) -> Outline | None:
    """Trace around points that lie densely where an object is seen.

    Args:
        points: (N, 2) px.
        pieces: About so many, spread evenly over all lines. What lies along a piece counts as at
            its middle: only short ones tell what an edge along the rows just reaches.

    Returns:
        The outline; None of points that are a line.
    """
    x, y = np.ascontiguousarray(points.T)
    low = np.array([x.min(), y.min()])
    cell = max(x.max() - low[0], y.max() - low[1]) / SIDE
    if not cell > 0:
        return None
    columns = ((x - low[0]) / cell + (MARGIN + 0.5)).astype(np.intp)
    rows = ((y - low[1]) / cell + (MARGIN + 0.5)).astype(np.intp)
    shape = rows.max() + 1 + MARGIN, columns.max() + 1 + MARGIN
    drawing, nearest = np.zeros(shape, dtype=np.uint8), np.full(shape, -1)
    drawing[rows, columns], nearest[rows, columns] = 1, np.arange(len(points))
    drawing = cv2.morphologyEx(drawing, cv2.MORPH_CLOSE, np.ones((3, 3), dtype=np.uint8))
    contours, tree = cv2.findContours(drawing, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    lines = [
        _directed(contour[:, 0], parent >= 0)
        for contour, (*_, parent) in zip(contours, tree[0], strict=True)
        if cv2.contourArea(contour) > MIN_AREA
    ]
    if not lines:
        return None
    density = pieces / sum(len(line) for line in lines)
    parts = [_cut(line, max(round(density * len(line)), 3), nearest) for line in lines]
    middles, extents, anchors = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Outline((middles - MARGIN) * cell + low, extents * cell, anchors)


def _directed(line: np.ndarray, is_hole: bool) -> np.ndarray:
    """A closed line of (M, 2) cells, turned such that the area in it counts as it should."""
    following = np.roll(line, -1, axis=0)
    area = np.sum(line[:, 0] * following[:, 1] - following[:, 0] * line[:, 1])
    return line[::-1] if (area > 0) == is_hole else line


def _cut(
    line: np.ndarray, count: int, nearest: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Middles, extents and anchors of the pieces of a closed line of (M, 2) cells."""
    found = nearest[line[:, 1], line[:, 0]]
    # A cell that closing has filled has no point; the last one before it on the line is near.
    last = np.maximum.accumulate(np.where(found >= 0, np.arange(len(found)), -1))
    found = found[np.where(last >= 0, last, np.argmax(found >= 0))]
    stops = np.linspace(0, len(line), count + 1)
    closed = np.vstack([line, line[:1]])
    index = np.arange(len(closed))
    ends = np.stack([np.interp(stops, index, axis) for axis in closed.T], axis=1)
    halfway = ((stops[1:] + stops[:-1]) / 2).astype(int)
    return (ends[1:] + ends[:-1]) / 2, np.diff(ends, axis=0), found[halfway]

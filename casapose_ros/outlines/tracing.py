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
PIECES = {"coarse": 64, "fine": 192}
"""Of an outline, spread evenly over all its lines. What lies along a piece counts as at its middle:
only fine ones tell what an edge along the rows just reaches."""
MIN_AREA = 6
"""Cells; smaller holes are gaps between points."""


@dataclass(frozen=True)
class Outline:
    """The line around something, with that of its holes.

    Attributes:
        middles: (N, 2) px, x then y, of the pieces.
        rises: (N,) px, how far y grows along each piece. The inside is where it makes the sum of
            x * rise, which is the area, positive.
    """

    middles: np.ndarray
    rises: np.ndarray

    @property
    def area(self) -> float:
        """px^2."""
        return float(self.middles[:, 0] @ self.rises)


def trace_outline(points: np.ndarray) -> dict[str, Outline] | None:
    """Trace around points that lie densely where an object is seen.

    Args:
        points: (N, 2) px.

    Returns:
        The outline in ``coarse`` and in ``fine`` pieces; None of points that are a line.
    """
    low, high = points.min(axis=0), points.max(axis=0)
    cell = (high - low).max() / SIDE
    if not cell > 0:
        return None
    cells = np.round((points - low) / cell).astype(int) + MARGIN
    drawing = np.zeros(cells.max(axis=0)[::-1] + 1 + MARGIN, dtype=np.uint8)
    drawing[cells[:, 1], cells[:, 0]] = 1
    drawing = cv2.morphologyEx(drawing, cv2.MORPH_CLOSE, np.ones((3, 3), dtype=np.uint8))
    contours, tree = cv2.findContours(drawing, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    lines = [
        _directed(contour[:, 0].astype(np.float64), parent >= 0)
        for contour, (*_, parent) in zip(contours, tree[0], strict=True)
        if cv2.contourArea(contour) > MIN_AREA
    ]
    if not lines:
        return None
    lines = [(line - MARGIN) * cell + low for line in lines]
    return {name: _cut(lines, count) for name, count in PIECES.items()}


def _directed(line: np.ndarray, is_hole: bool) -> np.ndarray:
    """A closed line of (M, 2) points, turned such that the area in it counts as it should."""
    area = np.sum(line[:, 0] * np.roll(line[:, 1], -1) - np.roll(line[:, 0], -1) * line[:, 1])
    return line[::-1] if (area > 0) == is_hole else line


def _cut(lines: list[np.ndarray], pieces: int) -> Outline:
    """Closed lines of (M, 2) points each, cut into about so many pieces, each into at least 3."""
    density = pieces / sum(len(line) for line in lines)
    middles, rises = [], []
    for line in lines:
        stops = np.linspace(0, len(line), max(round(density * len(line)), 3) + 1)
        closed = np.vstack([line, line[:1]])
        index = np.arange(len(closed))
        ends = np.stack([np.interp(stops, index, axis) for axis in closed.T], axis=1)
        middles.append((ends[1:] + ends[:-1]) / 2)
        rises.append(np.diff(ends[:, 1]))
    return Outline(np.concatenate(middles), np.concatenate(rises))

"""Setting things down on what stands there already: a height field instead of physics.

World frame: metres, floor at z = 0, z up. The field keeps the highest point of each cell of a
grid; a thing comes down straight until some cell of its underside meets the field.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

CELL_M = 0.005
REACH_M = 1.2
"""The field covers a square of twice this edge about the origin."""
CONTACT_M = 0.004
"""Within so much of the first contact the thing is taken to be supported."""
MARGIN_M = 0.003
"""The middle must be so far inside the outline of the contacts, or the thing would tip over."""
NONE = np.float32(1e3)
CELLS = np.ones((3, 3), np.uint8)


@dataclass(frozen=True)
class Relief:
    """A thing in one orientation, seen from above and from below.

    Attributes:
        bottom: (h, w) float32 metres, lowest point of each cell; ``NONE`` where there is none.
        top: (h, w) float32 metres, highest point; ``-NONE`` where there is none.
        corner: Cell (x, y) of the first entry, relative to the thing's origin.
        middle: (2,) metres x, y of its middle, relative to its origin.
    """

    bottom: np.ndarray
    top: np.ndarray
    corner: tuple[int, int]
    middle: np.ndarray

    @classmethod
    def of(cls, points: np.ndarray) -> Relief:
        """The relief of (N, 3) points on a surface, metres, about half a cell from each other."""
        x, y, z = np.ascontiguousarray(points.T, np.float32)
        columns, rows = (np.floor(v * (1 / CELL_M)).astype(np.int32) for v in (x, y))
        corner = int(columns.min()), int(rows.min())
        width, height = columns.max() - corner[0] + 1, rows.max() - corner[1] + 1
        index = (rows - corner[1]) * width + (columns - corner[0])
        bottom, top = (np.full(width * height, v, np.float32) for v in (NONE, -NONE))
        np.minimum.at(bottom, index, z)
        np.maximum.at(top, index, z)
        middle = np.array([x.min() + x.max(), y.min() + y.max()]) / 2
        bottom, top = bottom.reshape(height, width), top.reshape(height, width)
        # Chance leaves single cells without a point.
        bottom = cv2.morphologyEx(bottom, cv2.MORPH_OPEN, CELLS)
        return cls(bottom, cv2.morphologyEx(top, cv2.MORPH_CLOSE, CELLS), corner, middle)

    @property
    def radius(self) -> float:
        """Metres: half the diagonal of what it covers."""
        return float(np.hypot(*self.bottom.shape) * CELL_M / 2)


@dataclass(frozen=True)
class Landing:
    """Where a thing would come to rest.

    Attributes:
        height: Metres that its origin is above the floor.
        above: Metres of the highest thing that it touches; 0 if it stands on the floor alone.
        touching: (h, w) bool, cells of its relief that touch something.
        relief: The thing.
    """

    height: float
    above: float
    touching: np.ndarray
    relief: Relief

    def is_stable(self) -> bool:
        """Whether its middle is above the inside of the outline of what it touches."""
        rows, columns = np.nonzero(self.touching)
        outline = cv2.convexHull(np.stack([columns, rows], axis=1).astype(np.float32) + 0.5)
        if len(outline) < 3:
            return False
        middle = self.relief.middle / CELL_M - self.relief.corner
        inside = cv2.pointPolygonTest(outline, tuple(map(float, middle)), True)
        return bool(inside * CELL_M > MARGIN_M)


class Pile:
    """What stands on the floor so far."""

    def __init__(self) -> None:
        cells = round(2 * REACH_M / CELL_M)
        self._top = np.zeros((cells, cells), np.float32)

    def land(self, relief: Relief, place: Sequence[float]) -> Landing | None:
        """How a thing comes down with its origin over (x, y) metres, snapped to the cells.

        Returns:
            None beyond the field.
        """
        window = self._window(relief, place)
        if window is None:
            return None
        below = self._top[window]
        reach = below - relief.bottom
        height = float(reach.max())
        touching = reach > height - CONTACT_M
        return Landing(height, float(below[touching].max()), touching, relief)

    def add(self, relief: Relief, place: Sequence[float], height: float) -> None:
        """Leave a thing there, its origin at this height."""
        window = self._window(relief, place)
        self._top[window] = np.maximum(self._top[window], relief.top + np.float32(height))

    def _window(self, relief: Relief, place: Sequence[float]) -> tuple[slice, slice] | None:
        height, width = relief.bottom.shape
        x, y = (
            round(p / CELL_M) + c + len(self._top) // 2
            for p, c in zip(place, relief.corner, strict=True)
        )
        if min(x, y) < 0 or max(x + width, y + height) > len(self._top):
            return None
        return slice(y, y + height), slice(x, x + width)


def snapped(place: Sequence[float]) -> tuple[float, float]:
    """The nearest place on the grid, metres."""
    return round(place[0] / CELL_M) * CELL_M, round(place[1] / CELL_M) * CELL_M

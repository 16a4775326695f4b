"""Where an outline of known shape fits best, and how large it is there: all places are tried."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from casapose_ros.outlines.evidence import Evidence
from casapose_ros.outlines.tracing import trace_outline

ZOOMS = np.geomspace(0.7, 2.6, 17)
"""Sizes that are tried, of that of the keypoints' pose: this mostly is too far away."""
SHIFT = 0.3
"""How far the centre is moved at most, in half diameters."""
SHIFTS = 5
"""Places that are tried along each axis."""
FINER_LEVELS, FINER_STEPS, FINER = 2, 5, 0.5
"""Around the best, so many times, with so many zooms and shifts along each axis, which range over
two steps of the time before, and then over this part of it."""
PIECES = 64

MIN_COVER = 0.3
"""Of the outline's area, the least that what it covers has to count, or it is not there."""


@dataclass(frozen=True)
class Place:
    """Where an outline fits.

    Attributes:
        middle: (2,) px of what was the origin of its points.
        zoom: Its size, in that of its points.
        cover: What it covers, of its area: 1 where all its pixels are the object's.
    """

    middle: np.ndarray
    zoom: float
    cover: float


def reach(points: np.ndarray, half_width: float) -> float:
    """How far from where a search begins its trials go, px; see :func:`find_place`."""
    return ZOOMS[-1] * float(np.abs(points).max()) + SHIFT * half_width


def find_place(
    points: np.ndarray, evidence: Evidence, middle: np.ndarray, half_width: float
) -> Place | None:
    """Move and scale an outline until it covers most of what it should.

    Args:
        points: (N, 2) px, densely where the object is seen, from its centre.
        evidence: What to cover.
        middle: (2,) px where the search begins.
        half_width: px; the search goes over :data:`SHIFT` of it.

    Returns:
        The place; None if what the outline covers is not the object, or if it is best at the
        smallest or largest size tried.
    """
    outline = trace_outline(points, PIECES)
    if outline is None:
        return None
    zoom, zooms, ratio = 1.0, ZOOMS, ZOOMS[1] / ZOOMS[0]
    shifts = np.linspace(-SHIFT * half_width, SHIFT * half_width, SHIFTS)
    step = shifts[1] - shifts[0]
    for level in range(1 + FINER_LEVELS):
        places = middle + np.stack(np.meshgrid(shifts, shifts), axis=-1).reshape(-1, 2)
        sizes = (zoom * zooms)[:, None, None]
        pieces = places[:, None] + (sizes * outline.middles)[:, None]
        covered = evidence.inside(pieces, sizes * outline.extents[:, 1])
        z, p = np.unravel_index(covered.argmax(), covered.shape)
        if level == 0 and z in (0, len(zooms) - 1):
            return None
        middle, zoom, best = places[p], float(sizes[z, 0, 0]), float(covered[z, p])
        zooms = np.geomspace(1 / ratio, ratio, FINER_STEPS)
        shifts = np.linspace(-step, step, FINER_STEPS)
        ratio, step = ratio**FINER, FINER * step
    cover = best / (outline.area * zoom**2)
    return None if cover < MIN_COVER else Place(middle, zoom, cover)

"""Laying an outline over the network's labels: where it is, and how large.

With the rotation that the keypoints give, the outline is moved and scaled until it covers most
of the object's pixels and least of the background. Pixels of other objects hardly count: those may
be in front. The sum over an outline's inside is one over its line (Green's theorem): with F(x, y)
the sum of a row's values up to x, it is the integral of F dy. So a trial costs a few dozen lookups,
whatever the object's size, and all trials are one array.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from casapose_ros import geometry
from casapose_ros.outlines.tracing import Outline, trace_outline
from casapose_ros.types import CameraModel, ObjectModel

BACKGROUND, OTHER = -0.8, -0.2
"""What a pixel inside the outline counts that is labelled so; one of the object counts 1. At these
values outlines on renders are neither too large nor too small (docs/ablations.md)."""

ZOOMS = np.geomspace(0.7, 2.6, 17)
"""Sizes that are tried, of that of the keypoints' pose: this mostly is too far away."""
SHIFT = 0.3
"""How far the centre is moved at most, in half diameters."""
SHIFTS = 5
"""Places that are tried along each axis."""
FINER_LEVELS, FINER_STEPS, FINER = 3, 5, 0.5
"""Around the best, so many times, with so many zooms and shifts along each axis, which range over
two steps of the time before, and then over this part of it."""

MIN_COVER = 0.3
"""Of the outline's area, the least that what it covers has to count, or it is not there."""


EDGE_ERROR = 1.0
"""px of the network: error of an outline's half width, over its cover (docs/ablations.md)."""
SHIFT_ERROR = 2.0
"""Error of the centre across the view in terms of that of the half width."""


@dataclass(frozen=True)
class FittedOutline:
    """Where an object's outline lies.

    Attributes:
        centre: (3,) metres, camera frame: the object's centre (keypoint 0).
        cover: What the outline covers, of its area: 1 where all its pixels are the object's.
        covariance: (3, 3) m^2 of the centre.
    """

    centre: np.ndarray
    cover: float
    covariance: np.ndarray


def fit_outline(
    surface: np.ndarray,
    obj: ObjectModel,
    R_cam_obj: np.ndarray,
    t_cam_obj: np.ndarray,
    labels: np.ndarray,
    camera: CameraModel,
    own: tuple[np.ndarray, np.ndarray] | None = None,
) -> FittedOutline | None:
    """Find where and how far away an object's outline fits the labels best.

    Args:
        surface: (N, 3) points of the object's surface, in diameters from its centre.
        obj: The object.
        R_cam_obj: (3, 3) rotation; stays as it is.
        t_cam_obj: (3,) metres, where the search begins.
        labels: (H, W) uint8 class ids.
        camera: The camera, of the labels' size.
        own: Rows and columns of the object's pixels, if others of its class are another
            instance's; None if all are its own.

    Returns:
        The place; None if there is none: what the outline covers is not the object, or it is best
        at the smallest or largest size tried.
    """
    centre = geometry.transform(R_cam_obj, t_cam_obj, obj.keypoints[:1])[0]
    points = geometry.transform(obj.diameter * R_cam_obj, centre, surface)
    if centre[2] <= 0 or points[:, 2].min() <= 0:
        return None
    pixels = geometry.project(np.vstack([centre, points]), np.eye(3), np.zeros(3), camera)
    outlines = trace_outline(pixels[1:] - pixels[0]) if np.isfinite(pixels).all() else None
    if outlines is None:
        return None
    distance = np.linalg.norm(centre)
    half_width = np.sqrt(camera.K[0, 0] * camera.K[1, 1]) * obj.diameter / (2 * distance)
    reach = ZOOMS[-1] * np.abs(outlines["fine"].middles).max() + SHIFT * half_width
    window = _window(pixels[0], reach, labels.shape)
    if window is None:
        return None
    corner, sums = _row_sums(labels, obj.class_id, own, window)
    found = _search(sums, outlines, pixels[0] - corner, SHIFT * half_width)
    if found is None:
        return None
    place, zoom, covered = found
    cover = covered / (outlines["fine"].area * zoom**2)
    if cover < MIN_COVER:
        return None
    pixel = geometry.undistort_pixels((place + corner)[None], camera)[0] - geometry.PIXEL_CENTRE
    ray = np.linalg.solve(camera.K, [*pixel, 1.0])
    if not np.isfinite(ray).all():
        return None
    ray, distance = ray / np.linalg.norm(ray), distance / zoom
    relative = EDGE_ERROR / (min(cover, 1.0) * half_width * zoom)
    along = np.outer(ray, ray)
    across = (SHIFT_ERROR * relative * obj.diameter / 2) ** 2 * (np.eye(3) - along)
    return FittedOutline(distance * ray, cover, (relative * distance) ** 2 * along + across)


def _search(
    sums: np.ndarray, outlines: dict[str, Outline], place: np.ndarray, reach: float
) -> tuple[np.ndarray, float, float] | None:
    """The place (2,) px and zoom at which an outline covers most, and how much that is.

    None if it is the smallest or largest zoom that is tried.
    """
    zooms, shifts = ZOOMS, np.linspace(-reach, reach, SHIFTS)
    zoom, ratio, step = 1.0, ZOOMS[1] / ZOOMS[0], shifts[1] - shifts[0]
    for level in range(1 + FINER_LEVELS):
        outline = outlines["fine" if level else "coarse"]
        places = place + np.stack(np.meshgrid(shifts, shifts), axis=-1).reshape(-1, 2)
        covered = _covered(sums, outline, places, zoom * zooms)
        z, p = np.unravel_index(covered.argmax(), covered.shape)
        if level == 0 and z in (0, len(zooms) - 1):
            return None
        place, zoom, best = places[p], float(zoom * zooms[z]), float(covered[z, p])
        zooms = np.geomspace(1 / ratio, ratio, FINER_STEPS)
        shifts = np.linspace(-step, step, FINER_STEPS)
        ratio, step = ratio**FINER, FINER * step
    return place, zoom, best


def _window(
    middle: np.ndarray, reach: float, shape: tuple[int, int]
) -> tuple[int, int, int, int] | None:
    """First and last row and column of what may be covered; None if that is outside the image."""
    limits = np.array(shape[::-1])
    low = np.clip(np.floor(middle - reach), 0, limits).astype(int)
    high = np.clip(np.ceil(middle + reach), 0, limits).astype(int)
    return None if (low >= high).any() else (low[1], high[1], low[0], high[0])


def _row_sums(
    labels: np.ndarray,
    class_id: int,
    own: tuple[np.ndarray, np.ndarray] | None,
    window: tuple[int, int, int, int],
) -> tuple[np.ndarray, np.ndarray]:
    """Corner (2,) px, x then y, of a window and the sums of its rows from their left ends.

    Returns:
        The corner and (h + 2, w + 1) float32: entry (i, j) sums the first j pixels of row i - 1.
    """
    top, bottom, left, right = window
    labels = labels[top:bottom, left:right]
    values = np.where(labels == 0, np.float32(BACKGROUND), np.float32(OTHER))
    if own is None:
        values[labels == class_id] = 1
    else:
        rows, cols = own
        inside = (rows >= top) & (rows < bottom) & (cols >= left) & (cols < right)
        values[rows[inside] - top, cols[inside] - left] = 1
    sums = np.zeros((values.shape[0] + 2, values.shape[1] + 1), dtype=np.float32)
    np.cumsum(values, axis=1, out=sums[1:-1, 1:])
    return np.array([left, top], dtype=np.float64), sums


def _covered(
    sums: np.ndarray, outline: Outline, places: np.ndarray, sizes: np.ndarray
) -> np.ndarray:
    """What outlines of (S,) sizes at (P, 2) places cover, (S, P)."""
    scaled = sizes[:, None, None] * outline.middles
    x = places[:, 0, None] + scaled[:, None, :, 0]
    y = places[:, 1, None] + scaled[:, None, :, 1]
    return (_interpolate(sums, x, y) @ outline.rises) * sizes[:, None]


def _interpolate(sums: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Sums of rows at any x and y, px of the window; beyond it there is nothing more to sum."""
    rows, columns = sums.shape[0], sums.shape[1]
    x = np.clip(x, 0, columns - 1 - 1e-6)
    y = np.clip(y + 0.5, 0, rows - 1 - 1e-6)  # row i is about y = i - 0.5
    i, j = y.astype(np.int32), x.astype(np.int32)
    dy, dx = y - i, x - j
    at = i * columns + j
    flat = sums.ravel()
    upper = flat[at] * (1 - dx) + flat[at + 1] * dx
    at += columns
    lower = flat[at] * (1 - dx) + flat[at + 1] * dx
    return upper * (1 - dy) + lower * dy

"""What is printed on the faces of the demo objects.

A texture has to tell a network from a small patch which face it sees and where on it. So on each
face the hue runs along one axis and the lightness along the other, and the hue ranges of an
object's faces do not overlap. A crisp pattern tells the objects apart, a glyph and a frame give
sharp features at known places.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

GLYPH_SHARE = 0.45
"""Height of the letters over the diameter of the face's inner circle."""
FRAME_MM = 3.5
BLACK = np.array([20, 20, 20], dtype=np.float32)
WHITE = np.array([255, 255, 255], dtype=np.float32)


@dataclass(frozen=True)
class FaceStyle:
    """How one face is painted.

    Attributes:
        corner_colours: (2, 2, 3) RGB 0..255 at [bottom, top][left, right] of the bounding box.
        pattern: A key of ``PATTERNS``.
        glyph: The large letter, or an empty string.
        frame: (3,) RGB of the line along the edges.
    """

    corner_colours: np.ndarray
    pattern: str
    glyph: str
    frame: np.ndarray


def corner_colours(hue: float, span: float, flipped: bool) -> np.ndarray:
    """Corner colours of a face: hue to the right, from deep to light upwards.

    Args:
        hue: Middle of the hue range, 0..1 round the colour circle.
        span: Width of the hue range.
        flipped: Deep at the top and light at the bottom instead.

    Returns:
        (2, 2, 3) float32 RGB 0..255, [bottom, top][left, right].
    """
    deep, light = (0.95, 0.6), (0.55, 1.0)
    rows = (light, deep) if flipped else (deep, light)
    colours = [
        [colorsys.hsv_to_rgb((hue + side * span / 2) % 1, *row) for side in (-1, 1)] for row in rows
    ]
    return 255 * np.array(colours, dtype=np.float32)


def paint_face(
    outline: np.ndarray, style: FaceStyle, px_per_mm: float, margin_px: int = 0
) -> np.ndarray:
    """Paint a face's bounding rectangle.

    Args:
        outline: (n, 2) mm corners in the face's frame (x right, y up), all >= 0.
        style: What to paint.
        px_per_mm: Resolution.
        margin_px: Extra pixels on all four sides; the painting goes on there, so that filtering
            a texture never mixes in a neighbour.

    Returns:
        (H, W, 3) uint8 RGB, top row = largest y.
    """
    width, height = outline.max(axis=0)
    columns = np.arange(-margin_px, round(width * px_per_mm) + margin_px)
    rows = np.arange(-margin_px, round(height * px_per_mm) + margin_px)
    right, up = (columns + 0.5) / px_per_mm, height - (rows + 0.5) / px_per_mm
    x, y = np.meshgrid(right.astype(np.float32), up.astype(np.float32))
    image = _gradient(x / np.float32(width), y / np.float32(height), style.corner_colours)
    inside = _distance_inside(outline, x, y)
    image = PATTERNS[style.pattern](image, x, y, inside)
    centre, radius = inner_circle(outline)
    if style.glyph:
        at = (centre[0] * px_per_mm + margin_px, (height - centre[1]) * px_per_mm + margin_px)
        image = _draw_glyph(image, style.glyph, at, 2 * GLYPH_SHARE * radius * px_per_mm)
    image = _over(image, style.frame, inside < FRAME_MM)
    return np.clip(np.round(image), 0, 255).astype(np.uint8)


def inner_circle(outline: np.ndarray) -> tuple[np.ndarray, float]:
    """Centre (2,) and radius of about the largest circle inside a convex polygon."""
    low, high = outline.min(axis=0), outline.max(axis=0)
    x, y = np.meshgrid(*(np.linspace(a, b, 121) for a, b in zip(low, high, strict=True)))
    inside = _distance_inside(outline, x, y)
    # A rectangle has a whole segment of best centres: take the middle of the good ones.
    best = inside > inside.max() - 0.01 * inside.max()
    return np.array([x[best].mean(), y[best].mean()]), float(inside.max())


def _distance_inside(outline: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Distance of points to the nearest edge line, positive inside an anticlockwise polygon."""
    edges = np.roll(outline, -1, axis=0) - outline
    edges /= np.linalg.norm(edges, axis=1, keepdims=True)
    return np.min(
        [ex * (y - py) - ey * (x - px) for (px, py), (ex, ey) in zip(outline, edges, strict=True)],
        axis=0,
    )


def _gradient(u: np.ndarray, v: np.ndarray, corners: np.ndarray) -> np.ndarray:
    u, v = np.clip(u, 0, 1)[..., None], np.clip(v, 0, 1)[..., None]
    bottom = corners[0, 0] * (1 - u) + corners[0, 1] * u
    top = corners[1, 0] * (1 - u) + corners[1, 1] * u
    return bottom * (1 - v) + top * v


def _over(image: np.ndarray, colour: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return np.where(mask[..., None], colour, image)


def _checks(image: np.ndarray, x: np.ndarray, y: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """A mosaic of 12.5 mm tiles, every second one darker."""
    odd = (np.floor(x / 12.5) + np.floor(y / 12.5)) % 2 == 1
    return np.where(odd[..., None], image * 0.76, image)


def _dots(image: np.ndarray, x: np.ndarray, y: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """White dots of 7 mm every 15 mm."""
    return _over(image, WHITE, np.hypot(x % 15 - 7.5, y % 15 - 7.5) < 3.5)


def _stripes(image: np.ndarray, x: np.ndarray, y: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Dark diagonal stripes, 4 mm of every 16."""
    return _over(image, BLACK, (x + y) / np.sqrt(2) % 16 < 4)


def _rings(image: np.ndarray, x: np.ndarray, y: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """White lines parallel to the edges."""
    return _over(image, WHITE, inside % 9 > 6.5)


def _bands(image: np.ndarray, x: np.ndarray, y: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Dark bands across, 5 mm of every 18."""
    return _over(image, BLACK, y % 18 < 5)


def _bricks(image: np.ndarray, x: np.ndarray, y: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Bricks of 20 x 10 mm with white joints."""
    shifted = x + 10 * (np.floor(y / 10) % 2)
    return _over(image, WHITE, (y % 10 < 1.6) | (shifted % 20 < 1.6))


def _crosses(image: np.ndarray, x: np.ndarray, y: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Black crosses every 18 mm."""
    dx, dy = np.abs(x % 18 - 9), np.abs(y % 18 - 9)
    return _over(image, BLACK, (np.minimum(dx, dy) < 1.5) & (np.maximum(dx, dy) < 6))


def _petals(image: np.ndarray, x: np.ndarray, y: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """White contours and black spokes: on a hexagon the same after every turn of 60 degrees."""
    dx, dy = x - (x.min() + x.max()) / 2, y - (y.min() + y.max()) / 2
    image = _over(image, WHITE, inside % 12 > 8)
    spoke = np.abs((np.degrees(np.arctan2(dy, dx)) + 30) % 60 - 30)
    return _over(image, BLACK, (spoke < 8) & (np.hypot(dx, dy) > 8))


PATTERNS: dict[str, Callable[..., np.ndarray]] = {
    "checks": _checks,
    "dots": _dots,
    "stripes": _stripes,
    "rings": _rings,
    "bands": _bands,
    "bricks": _bricks,
    "crosses": _crosses,
    "petals": _petals,
}


def _draw_glyph(
    image: np.ndarray, glyph: str, centre: tuple[float, float], height: float
) -> np.ndarray:
    """Write a white letter with a black rim, its box centred on ``centre`` px."""
    font_file = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans-Bold.ttf"
    # A capital of DejaVu Sans Bold is 0.73 of the font size.
    font = ImageFont.truetype(str(font_file), round(height / 0.73))
    rim = max(1, round(height * 0.07))
    layers = []
    for stroke in (rim, 0):
        mask = Image.new("L", image.shape[1::-1])
        draw = ImageDraw.Draw(mask)
        left, top, right, bottom = draw.textbbox((0, 0), glyph, font=font)
        corner = (centre[0] - (left + right) / 2, centre[1] - (top + bottom) / 2)
        draw.text(corner, glyph, fill=255, font=font, stroke_width=stroke)
        layers.append(np.asarray(mask, dtype=np.float32)[..., None] / 255)
    for layer, colour in zip(layers, (BLACK, WHITE), strict=True):
        image = image * (1 - layer) + colour * layer
    return image

"""Procedural pictures for tables, walls and distractors: no real photo is ever needed.

Every function takes a generator and returns (size, size, 3) uint8 RGB.
"""

from __future__ import annotations

import colorsys
import math

import cv2
import numpy as np

SOFTNESS_PX = 0.8
"""Patterns with hard edges would show their pixels when they are enlarged."""


def random_colour(rng: np.random.Generator) -> np.ndarray:
    """(3,) float32 RGB in 0..255; greys and pastels as often as saturated colours."""
    saturation = rng.uniform() ** 1.5
    return 255 * np.float32(colorsys.hsv_to_rgb(rng.uniform(), saturation, rng.uniform(0.1, 1)))


def random_texture(rng: np.random.Generator, size: int = 256) -> np.ndarray:
    """One of all the patterns below, with some grain over it."""
    pattern = PATTERNS[rng.integers(len(PATTERNS))]
    image = cv2.GaussianBlur(pattern(rng, size), (0, 0), SOFTNESS_PX)
    grain = noise(rng, size, octaves=2, coarsest=size // 4) - 0.5
    return np.clip(image + grain[..., None] * rng.uniform(0, 60), 0, 255).astype(np.uint8)


def two_toned(image: np.ndarray, dark: np.ndarray, light: np.ndarray) -> np.ndarray:
    """The same pattern between two colours ((3,) RGB, 0..255) instead of its own."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    low, high = np.percentile(grey, (2, 98))
    weight = np.clip((grey - low) / max(high - low, 1), 0, 1)
    return np.round(_mix(weight, np.float32(dark), np.float32(light))).astype(np.uint8)


def noise(rng: np.random.Generator, size: int, octaves: int = 5, coarsest: int = 4) -> np.ndarray:
    """(size, size) float32 fractal noise in 0..1; ``coarsest`` cells across at first."""
    total = np.zeros((size, size), np.float32)
    for octave in range(octaves):
        cells = min(coarsest * 2**octave, size)
        grid = rng.random((cells, cells), dtype=np.float32)
        total += cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC) / 2**octave
    low, high = total.min(), total.max()
    return (total - low) / (high - low)


def _mix(weight: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a + weight[..., None] * (b - a)


def _axes(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates in 0..1 along two perpendicular, randomly turned directions."""
    angle = rng.uniform(0, 2 * math.pi)
    cosine, sine = math.cos(angle), math.sin(angle)  # Python's: NumPy's would make float64 arrays
    x = np.arange(size, dtype=np.float32) / size
    y = x[:, None]
    return x * cosine + y * sine, y * cosine - x * sine


def plain(rng: np.random.Generator, size: int) -> np.ndarray:
    return np.tile(random_colour(rng), (size, size, 1))


def clouds(rng: np.random.Generator, size: int) -> np.ndarray:
    return _mix(noise(rng, size), random_colour(rng), random_colour(rng))


def gradient(rng: np.random.Generator, size: int) -> np.ndarray:
    u, _ = _axes(rng, size)
    weight = (u - u.min()) / (u.max() - u.min())
    return _mix(weight, random_colour(rng), random_colour(rng))


def stripes(rng: np.random.Generator, size: int) -> np.ndarray:
    u, _ = _axes(rng, size)
    wave = np.sin(u * rng.uniform(15, 150))
    weight = np.clip(wave * rng.uniform(1, 8) + 0.5, 0, 1)
    return _mix(weight, random_colour(rng), random_colour(rng))


def checks(rng: np.random.Generator, size: int) -> np.ndarray:
    u, v = _axes(rng, size)
    cells = rng.uniform(4, 24)
    weight = ((np.floor(u * cells) + np.floor(v * cells)) % 2).astype(np.float32)
    return _mix(weight, random_colour(rng), random_colour(rng))


def wood(rng: np.random.Generator, size: int) -> np.ndarray:
    u, v = _axes(rng, size)
    warp = noise(rng, size, octaves=3, coarsest=3)
    rings = np.sin((u * rng.uniform(20, 60) + warp * rng.uniform(2, 10)) + v)
    boards = np.floor(u * rng.uniform(2, 8)) * 13.0
    weight = np.clip(0.5 + 0.3 * rings + 0.2 * np.sin(boards), 0, 1)
    hue, value = rng.uniform(0.04, 0.11), rng.uniform(0.35, 0.9)
    dark = 255 * np.float32(colorsys.hsv_to_rgb(hue, 0.6, value * 0.7))
    bright = 255 * np.float32(colorsys.hsv_to_rgb(hue, 0.45, value))
    return _mix(weight, dark, bright)


def speckles(rng: np.random.Generator, size: int) -> np.ndarray:
    """Terrazzo or worn paint: noise cut at a level, over clouds."""
    level = rng.uniform(0.55, 0.75)
    mask = (noise(rng, size, octaves=3, coarsest=24) > level).astype(np.float32)
    return _mix(mask, clouds(rng, size), random_colour(rng))


def clutter(rng: np.random.Generator, size: int) -> np.ndarray:
    """A blurred heap of shapes with the statistics of a photographed room."""
    image = np.ascontiguousarray(clouds(rng, size))
    for _ in range(rng.integers(10, 60)):
        colour = random_colour(rng).tolist()
        centre = rng.uniform(0, size, 2)
        extent = size * rng.uniform(0.02, 0.3, 2)
        turned = (tuple(centre.tolist()), tuple(extent.tolist()), rng.uniform(0, 180))
        if rng.random() < 0.6:
            corners = cv2.boxPoints(turned).astype(np.int32)
            cv2.fillConvexPoly(image, corners, colour, cv2.LINE_AA)
        else:
            cv2.ellipse(image, turned, colour, -1, cv2.LINE_AA)
    return cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, max(0.012 * size, 0.3)))


def collage(rng: np.random.Generator, size: int) -> np.ndarray:
    """Magazines and posters: turned rectangles of other patterns, some with lines of print."""
    image = np.ascontiguousarray(clouds(rng, size))
    patterns = (plain, clouds, gradient, stripes, checks, speckles, clutter, printed)
    for _ in range(rng.integers(4, 12)):
        width, height = (size * rng.uniform(0.2, 0.7, 2)).astype(int)
        paper = patterns[rng.integers(len(patterns))](rng, max(width, height))[:height, :width]
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(0, 360), 1.0)
        turn[:, 2] += rng.uniform(0, size, 2) - [width / 2, height / 2]
        paper = np.ascontiguousarray(paper, np.float32)
        cv2.warpAffine(
            paper, turn, (size, size), image, cv2.INTER_LINEAR, borderMode=cv2.BORDER_TRANSPARENT
        )
    return image


def printed(rng: np.random.Generator, size: int) -> np.ndarray:
    """Lines of words, as they look from too far to be read, and a block or two."""
    paper, ink = random_colour(rng) * 0.3 + 178, random_colour(rng) * 0.4
    image = np.tile(paper, (size, size, 1)).astype(np.float32)
    line = int(rng.integers(max(size // 40, 3), max(size // 10, 5)))
    for top in range(line, size - line, 2 * line):
        x = line
        while x < size - line:
            word = int(line * rng.uniform(0.7, 4))
            shade = rng.uniform(0.5, 1)
            image[top : top + line, x : min(x + word, size - line)] += shade * (ink - paper)
            x += word + line // 2
    for _ in range(rng.integers(0, 3)):
        x, y, width, height = (size * rng.uniform(0, 0.5, 4)).astype(int)
        image[y : y + height, x : x + width] = random_colour(rng)
    return image


def boards(rng: np.random.Generator, size: int) -> np.ndarray:
    """Squares of two colours drawn at random on a grid, with margins: signs, tiles, game boards."""
    cells = int(rng.integers(4, 20))
    grid = (rng.random((cells, cells)) < rng.uniform(0.3, 0.7)).astype(np.float32)
    weight = cv2.resize(grid, (size, size), interpolation=cv2.INTER_NEAREST)
    gap = (np.arange(size) * cells / size) % rng.integers(1, 4) < rng.uniform(0, 0.5)
    weight[gap] = 0
    weight[:, gap] = 0
    if rng.random() < 0.5:
        return _mix(weight, np.float32([235, 235, 235]), np.float32([25, 25, 25]))
    return _mix(weight, random_colour(rng), random_colour(rng))


PATTERNS = (
    plain,
    clouds,
    gradient,
    stripes,
    checks,
    wood,
    speckles,
    clutter,
    collage,
    printed,
    boards,
)

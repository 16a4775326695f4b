"""Photometric augmentation of training crops (paper section 4, "Augmentation").

The camera's own effects are part of rendered frames already; this varies what the same frame
looks like from one epoch to the next. Brightness and contrast are one table of 256 values per
channel, and noise is one random byte per value looked up in a table of quantiles: both take a tenth
of the time of the same in floating point.
"""

from __future__ import annotations

import cv2
import numpy as np
from scipy.special import ndtri

LEVELS = np.arange(256, dtype=np.float32)
IDENTITY = np.repeat(LEVELS[:, None], 3, axis=1)
"""The table that changes nothing, (256, 3)."""
QUANTILES = (LEVELS.astype(np.float64) + 0.5) / 256
NORMAL = ndtri(QUANTILES)
LAPLACE = -np.sign(QUANTILES - 0.5) * np.log1p(-2 * np.abs(QUANTILES - 0.5)) / np.sqrt(2)
"""Values at 256 levels of probability, of distributions with standard deviation 1."""
MAX_HIT = 0.05
"""Largest fraction of the pixels that dropout, salt and pepper hit."""


def augment_image(image: np.ndarray, rng: np.random.Generator, strength: float = 1.0) -> np.ndarray:
    """Blur, hue and saturation, brightness, contrast and noise, each some of the time.

    Args:
        image: (H, W, 3) uint8 RGB.
        rng: Where randomness comes from.
        strength: Factor of all ranges; 1 is the paper's, 0 changes nothing.

    Returns:
        A new image of the same shape and type.
    """
    if strength == 0:
        return image.copy()
    if rng.random() < 0.3:
        blur = (_gaussian, _average, _median, _motion, _bilateral)[rng.integers(5)]
        image = blur(image, rng, strength)
    if rng.random() < 0.5:
        image = _shift_hue_saturation(image, rng, strength)
    tables = IDENTITY
    if rng.random() < 0.7:
        tables = _brightness(tables, rng, strength)
    if rng.random() < 0.5:
        contrast = (_gamma, _sigmoid, _logarithm, _linear)[rng.integers(4)]
        tables = contrast(np.clip(tables, 0, 255), rng, strength)
    image = cv2.LUT(image, _rounded(tables)[None])
    if rng.random() < 0.3:
        noise = (_normal, _laplace, _shot, _dropout, _salt_and_pepper)[rng.integers(5)]
        image = noise(image, rng, strength)
    return image


def _rounded(values: np.ndarray) -> np.ndarray:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


def _gaussian(image: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    return cv2.GaussianBlur(image, (0, 0), max(rng.uniform(0, 2) * strength, 0.1))


def _average(image: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    size = _kernel_size(rng.uniform(3, 7), strength)
    return cv2.blur(image, (size, size))


def _median(image: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    return cv2.medianBlur(image, _kernel_size(rng.uniform(3, 7), strength) | 1)


def _motion(image: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Along a line, at any angle."""
    size = _kernel_size(rng.uniform(3, 7), strength) | 1
    line = np.zeros((size, size), np.uint8)
    line[size // 2] = 255
    centre = (size // 2, size // 2)
    turn = cv2.getRotationMatrix2D(centre, rng.uniform(0, 180), 1)
    kernel = cv2.warpAffine(line, turn, (size, size)).astype(np.float32)
    return cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT_101)


def _bilateral(image: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    diameter = _kernel_size(rng.uniform(1, 7), strength)
    colours, reach = rng.uniform(10, 100, 2)
    return cv2.bilateralFilter(image, diameter, colours * strength, reach)


def _kernel_size(size: float, strength: float) -> int:
    """Side of a kernel that does less with less strength, and nothing at 1."""
    return max(1 + round((size - 1) * strength), 1)


def _shift_hue_saturation(
    image: np.ndarray, rng: np.random.Generator, strength: float
) -> np.ndarray:
    """By up to 15 of 255 each: the hue by 21 degrees."""
    hue, saturation = rng.uniform(-15, 15, 2) * strength
    tables = IDENTITY.copy()
    tables[:, 0] = np.round(tables[:, 0] + hue) % 256
    tables[:, 1] += saturation
    tables[0, 1] = 0  # grey has no hue to be saturated with
    hsv = cv2.LUT(cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL), _rounded(tables)[None])
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL)


def _brightness(tables: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    channels = 3 if rng.random() < 0.5 else 1
    factor = 1 + strength * rng.uniform(-0.25, 0.25, channels)
    return tables * factor + strength * rng.uniform(-10, 10, channels)


def _gamma(tables: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    return 255 * (tables / 255) ** (1 + strength * rng.uniform(-0.25, 0.25))


def _sigmoid(tables: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Steeper or flatter about a grey near the middle; black and white stay."""
    gain, middle = rng.uniform(3, 7), rng.uniform(0.4, 0.6)

    def curve(x):
        return 1 / (1 + np.exp(gain * (middle - x)))

    steep = (curve(tables / 255) - curve(0)) / (curve(1) - curve(0))
    return tables + min(strength, 1) * (255 * steep - tables)


def _logarithm(tables: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Lighter shadows: log2(1 + x), times a gain."""
    lighter = 255 * np.log2(1 + tables / 255) * rng.uniform(0.75, 1)
    return tables + min(strength, 1) * (lighter - tables)


def _linear(tables: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    return (tables - 127.5) * (1 + strength * rng.uniform(-0.3, 0.3)) + 127.5


def _normal(image: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    return _add(image, _draw(NORMAL * rng.uniform(0, 0.04 * 255) * strength, image, rng))


def _laplace(image: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    return _add(image, _draw(LAPLACE * rng.uniform(0, 0.04 * 255) * strength, image, rng))


def _shot(image: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Poisson's, of many photons: the variance of a count is its mean."""
    deviation = np.sqrt(LEVELS) * np.float32(rng.uniform(0.1, 1.0) * strength)
    return _add(image, _draw(NORMAL, image, rng) * cv2.LUT(image, deviation))


def _draw(table: np.ndarray, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Float32 noise of the image's shape, in half of the images the same in all channels."""
    grey = rng.random() < 0.5
    shape = image.shape[:2] if grey else image.shape
    levels = np.frombuffer(rng.bytes(int(np.prod(shape))), np.uint8).reshape(shape)
    noise = cv2.LUT(levels, table.astype(np.float32))
    return cv2.merge([noise] * 3) if grey else noise


def _add(image: np.ndarray, noise: np.ndarray) -> np.ndarray:
    return cv2.add(image, noise, dtype=cv2.CV_8U)


def _dropout(image: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Black values, in half of the images whole pixels."""
    shape = image.shape[:2] if rng.random() < 0.5 else image.shape
    image = image.copy()
    image[_hits(shape, rng, strength)] = 0
    return image


def _salt_and_pepper(image: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    hits = _hits(image.shape[:2], rng, strength)
    image = image.copy()
    image[hits] = 255 * rng.integers(0, 2, (np.count_nonzero(hits), 1), np.uint8)
    return image


def _hits(shape: tuple[int, ...], rng: np.random.Generator, strength: float) -> np.ndarray:
    """(shape) bool, true for up to 5 % of the values."""
    levels = np.frombuffer(rng.bytes(2 * int(np.prod(shape))), np.uint16).reshape(shape)
    return levels < rng.uniform(0, MAX_HIT) * min(strength, 1) * 65536

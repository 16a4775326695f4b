"""Photometric augmentation of training crops (paper section 4, "Augmentation").

The camera's own effects are part of rendered frames already; this varies what the same frame
looks like from one epoch to the next.
"""

from __future__ import annotations

import cv2
import numpy as np


def augment_image(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Blur, hue and saturation, brightness, contrast and noise, each some of the time.

    Args:
        image: (H, W, 3) uint8 RGB.
        rng: Where randomness comes from.

    Returns:
        A new image of the same shape and type.
    """
    if rng.random() < 0.3:
        image = _blur(image, rng)
    if rng.random() < 0.5:
        image = _shift_hue_saturation(image, rng)
    values = image.astype(np.float32)
    if rng.random() < 0.7:
        values = _brightness(values, rng)
    if rng.random() < 0.5:
        values = _contrast(values, rng)
    if rng.random() < 0.4:
        values = _noise(values, rng)
    return np.clip(values, 0, 255).astype(np.uint8)


def _blur(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    kind = rng.integers(3)
    if kind == 0:
        return cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 2.0))
    if kind == 1:
        return cv2.blur(image, (3, 3))
    return cv2.medianBlur(image, 3)


def _shift_hue_saturation(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV).astype(np.int16)
    hsv[..., 0] = (hsv[..., 0] + rng.integers(-8, 9)) % 180  # OpenCV's hue is in steps of 2 deg
    hsv[..., 1] = np.clip(hsv[..., 1] + rng.integers(-15, 16), 0, 255)
    return cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB)


def _brightness(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    per_channel = 3 if rng.random() < 0.5 else 1
    factor = rng.uniform(0.75, 1.25, per_channel).astype(np.float32)
    return values * factor + rng.uniform(-10, 10, per_channel).astype(np.float32)


def _contrast(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if rng.random() < 0.5:
        gamma = rng.uniform(0.75, 1.25)
        return 255.0 * (np.clip(values, 0, 255) / 255.0) ** np.float32(gamma)
    return (values - 127.5) * np.float32(rng.uniform(0.7, 1.3)) + 127.5


def _noise(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    kind = rng.integers(3)
    if kind == 0:
        return values + rng.normal(0, rng.uniform(1, 10), values.shape).astype(np.float32)
    if kind == 1:
        return rng.poisson(np.clip(values, 0, None) / 4.0).astype(np.float32) * 4.0
    noisy = values.copy()
    hit = rng.random(values.shape[:2]) < rng.uniform(0.0, 0.05)
    noisy[hit] = rng.choice([0.0, 255.0], size=(int(hit.sum()), 1))
    return noisy

"""Photometric augmentation of training crops (paper section 4, "Augmentation").

The camera's own effects are part of rendered frames already; this varies what the same frame
looks like from one epoch to the next.
"""

from __future__ import annotations

import cv2
import numpy as np


def augment_image(image: np.ndarray, rng: np.random.Generator, strength: float = 1.0) -> np.ndarray:
    """Blur, hue and saturation, brightness, contrast and noise, each some of the time.

    Args:
        image: (H, W, 3) uint8 RGB.
        rng: Where randomness comes from.
        strength: Factor of all ranges; 1 is the paper's, 0 changes nothing.

    Returns:
        A new image of the same shape and type.
    """
    if rng.random() < 0.3:
        image = _blur(image, rng, strength)
    if rng.random() < 0.5:
        image = _shift_hue_saturation(image, rng, strength)
    values = image.astype(np.float32)
    if rng.random() < 0.7:
        values = _brightness(values, rng, strength)
    if rng.random() < 0.5:
        values = _contrast(values, rng, strength)
    if rng.random() < 0.3:
        values = _noise(values, rng, strength)
    return np.clip(values, 0, 255).astype(np.uint8)


def _blur(image: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    return cv2.GaussianBlur(image, (0, 0), max(rng.uniform(0, 2.0) * strength, 0.1))


def _shift_hue_saturation(
    image: np.ndarray, rng: np.random.Generator, strength: float
) -> np.ndarray:
    hue, saturation = np.round(rng.uniform(-15, 15, 2) * strength).astype(int)
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV).astype(np.int16)
    hsv[..., 0] = (hsv[..., 0] + hue // 2) % 180  # OpenCV's hue is in steps of 2 degrees
    hsv[..., 1] = np.clip(hsv[..., 1] + saturation, 0, 255)
    return cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB)


def _brightness(values: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    channels = 3 if rng.random() < 0.5 else 1
    factor = 1 + strength * rng.uniform(-0.25, 0.25, channels)
    offset = strength * rng.uniform(-10, 10, channels)
    return values * factor.astype(np.float32) + offset.astype(np.float32)


def _contrast(values: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    if rng.random() < 0.5:
        gamma = np.float32(1 + strength * rng.uniform(-0.25, 0.25))
        return 255.0 * (np.clip(values, 0, 255) / 255.0) ** gamma
    factor = np.float32(1 + strength * rng.uniform(-0.3, 0.3))
    return (values - 127.5) * factor + 127.5


def _noise(values: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    if rng.random() < 0.2:
        noisy = values.copy()
        hit = rng.random(values.shape[:2], np.float32) < rng.uniform(0.0, 0.05) * strength
        noisy[hit] = rng.choice(np.float32([0, 255]), size=(int(hit.sum()), 1))
        return noisy
    noise = rng.standard_normal(values.shape, np.float32) * np.float32(strength)
    if rng.random() < 0.5:
        return values + noise * np.float32(rng.uniform(1, 10))
    # Shot noise: the variance of a photon count is its mean.
    return values + noise * np.sqrt(np.clip(values, 0, None)) * np.float32(rng.uniform(0.2, 2))

"""What a real camera does to a rendered picture: blur, exposure, vignette, noise, JPEG.

Images are (H, W, 3) uint8 RGB; every function is deterministic in the generator passed in.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from casapose_ros.data.ranges import check_ranges


@dataclass(frozen=True)
class EffectsConfig:
    """Ranges from which each frame draws; probabilities in 0..1.

    Attributes:
        defocus_probability: How often the lens is out of focus.
        defocus_px: Radius of the blur disc, px.
        motion_probability: How often the camera moved.
        motion_px: Length of the motion, px.
        exposure_stops: Brightness factor as a power of two.
        white_balance: Largest factor (and its inverse) on the red and blue channels.
        vignette: Brightness lost in the corners, 0..1.
        shot_noise: Variance per grey level of signal (photon noise), grey levels.
        read_noise: Standard deviation at black, grey levels.
        jpeg_probability: How often the camera compressed the image.
        jpeg_quality: JPEG quality, 1..100.
    """

    defocus_probability: float = 0.4
    defocus_px: tuple[float, float] = (0.5, 2.0)
    motion_probability: float = 0.2
    motion_px: tuple[float, float] = (2.0, 7.0)
    exposure_stops: tuple[float, float] = (-0.5, 0.4)
    white_balance: tuple[float, float] = (1.0, 1.15)
    vignette: tuple[float, float] = (0.0, 0.3)
    shot_noise: tuple[float, float] = (0.0, 0.3)
    read_noise: tuple[float, float] = (0.5, 3.0)
    jpeg_probability: float = 0.4
    jpeg_quality: tuple[int, int] = (60, 98)

    def __post_init__(self) -> None:
        check_ranges(self)


def settle(config: EffectsConfig, rng: np.random.Generator) -> EffectsConfig:
    """One camera's settings: every range drawn once, so that a video does not flicker."""
    drawn = {}
    for name, value in vars(config).items():
        if name.endswith("probability"):
            drawn[name] = float(rng.random() < value)
        elif name == "jpeg_quality":
            drawn[name] = (int(rng.integers(value[0], value[1] + 1)),) * 2
        else:
            drawn[name] = (float(rng.uniform(*value)),) * 2
    return EffectsConfig(**drawn)


def apply_effects(image: np.ndarray, config: EffectsConfig, rng: np.random.Generator) -> np.ndarray:
    """Draw every effect once and apply them in the order of light through lens and sensor."""
    if rng.random() < config.defocus_probability:
        image = defocus(image, rng.uniform(*config.defocus_px))
    if rng.random() < config.motion_probability:
        image = motion_blur(image, rng.uniform(*config.motion_px), rng.uniform(0, np.pi))
    balance = rng.uniform(*config.white_balance, 2) ** rng.choice([-1.0, 1.0], 2)
    gain = 2 ** rng.uniform(*config.exposure_stops) * np.array([balance[0], 1, balance[1]])
    image = expose(image, gain, rng.uniform(*config.vignette))
    image = add_noise(image, rng.uniform(*config.shot_noise), rng.uniform(*config.read_noise), rng)
    if rng.random() < config.jpeg_probability:
        low, high = config.jpeg_quality
        image = jpeg(image, int(rng.integers(low, high + 1)))
    return image


def defocus(image: np.ndarray, radius: float) -> np.ndarray:
    """Blur with a disc of the given radius in px; its edge is antialiased."""
    reach = int(np.ceil(radius + 0.5))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    return _convolve(image, np.clip(radius + 0.5 - np.hypot(x, y), 0, 1))


def motion_blur(image: np.ndarray, length: float, angle: float) -> np.ndarray:
    """Blur along a line of ``length`` px; angle in radians from x towards y (down)."""
    reach = int(np.ceil(length / 2 + 0.5))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    along = x * np.cos(angle) + y * np.sin(angle)
    across = y * np.cos(angle) - x * np.sin(angle)
    weight = np.clip(length / 2 + 0.5 - np.abs(along), 0, 1) * np.clip(1 - np.abs(across), 0, 1)
    return _convolve(image, weight)


def expose(image: np.ndarray, gain: np.ndarray, vignette: float) -> np.ndarray:
    """Scale linear light by (3,) RGB factors and darken the corners by ``vignette`` (0..1).

    Works on the square of the grey levels (gamma 2), as the renderer does.
    """
    height, width = image.shape[:2]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)
    falloff = np.sqrt(1 - vignette * (x * x + y * y) / 2)
    scale = falloff[..., None] * np.sqrt(gain).astype(np.float32)
    return np.minimum(image * scale + 0.5, 255).astype(np.uint8)


def add_noise(image: np.ndarray, shot: float, read: float, rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise of variance ``read**2 + shot * grey level``, independent per channel."""
    levels = np.arange(256, dtype=np.float32)
    deviation = np.sqrt(read**2 + shot * levels)[image]
    noisy = image + deviation * rng.standard_normal(image.shape, dtype=np.float32)
    return np.clip(noisy + 0.5, 0, 255).astype(np.uint8)


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    """Compress and decompress."""
    _, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1])


def _convolve(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    kernel = (kernel / kernel.sum()).astype(np.float32)
    return cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REFLECT_101)

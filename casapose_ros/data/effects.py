"""What a real camera does to a rendered picture, in the order of light through lens and sensor.

Blur, exposure, vignette, colour mosaic, noise, colour processing, sharpening, JPEG. Images are
(H, W, 3) uint8 RGB; every function is deterministic in the generator passed in.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import cv2
import numpy as np

from casapose_ros.data.ranges import check_ranges
from casapose_ros.errors import ConfigError

NOISE_TABLE = 1 << 21
"""Normal numbers that are drawn once; each picture uses a stretch of them."""
SHARPENING_SIGMA_PX = 1.2
MIDDLE_GREY = 110
LUMINANCE = np.array([0.3, 0.59, 0.11])


@dataclass(frozen=True)
class EffectsConfig:
    """Ranges from which each frame draws; probabilities in 0..1.

    Attributes:
        defocus_probability: How often the lens is out of focus.
        defocus_px: Radius of the blur disc, px.
        motion_probability: How often the camera moved.
        motion_px: Length of the motion, px.
        auto_exposure: How far the camera corrects the brightness so that the picture's mean comes
            to a middle grey: 0 not at all, 1 wholly.
        exposure_stops: Further brightness factor as a power of two; what gets too bright is cut.
        white_balance: Largest factor (and its inverse) on the red and blue channels.
        vignette: Brightness lost in the corners, 0..1.
        bayer_probability: How often each pixel measured one colour only, as behind a colour
            mosaic, and the others were interpolated; noise then becomes coloured blotches.
        shot_noise: Variance per grey level of signal (photon noise), grey levels.
        read_noise: Standard deviation at black, grey levels.
        saturation: Factor on the distance from grey.
        contrast: Factor on the distance from middle grey.
        sharpening: Share of the difference to a blurred picture that the camera adds.
        jpeg_probability: How often the camera compressed the image.
        jpeg_quality: JPEG quality, 1..100.
    """

    defocus_probability: float = 0.4
    defocus_px: tuple[float, float] = (0.5, 2.0)
    motion_probability: float = 0.2
    motion_px: tuple[float, float] = (2.0, 7.0)
    auto_exposure: tuple[float, float] = (0.0, 0.0)
    exposure_stops: tuple[float, float] = (-0.5, 0.4)
    white_balance: tuple[float, float] = (1.0, 1.15)
    vignette: tuple[float, float] = (0.0, 0.3)
    bayer_probability: float = 0.3
    shot_noise: tuple[float, float] = (0.0, 0.3)
    read_noise: tuple[float, float] = (0.5, 3.0)
    saturation: tuple[float, float] = (1.0, 1.0)
    contrast: tuple[float, float] = (1.0, 1.0)
    sharpening: tuple[float, float] = (0.0, 0.0)
    jpeg_probability: float = 0.4
    jpeg_quality: tuple[int, int] = (60, 98)

    def __post_init__(self) -> None:
        check_ranges(self)
        if not 0 <= self.vignette[0] <= self.vignette[1] <= 1:
            raise ConfigError(f"vignette: expected 0 to 1, got {self.vignette}")


@dataclass(frozen=True)
class Photograph:
    """A picture as a camera delivers it.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        jpeg: The file it was decoded from, or None if the camera did not compress it.
    """

    image: np.ndarray
    jpeg: bytes | None = None


def photograph(image: np.ndarray, config: EffectsConfig, rng: np.random.Generator) -> Photograph:
    """Draw every effect once and apply them in order."""
    if rng.random() < config.defocus_probability:
        image = defocus(image, rng.uniform(*config.defocus_px))
    if rng.random() < config.motion_probability:
        image = motion_blur(image, rng.uniform(*config.motion_px), rng.uniform(0, np.pi))
    balance = rng.uniform(*config.white_balance, 2) ** rng.choice([-1.0, 1.0], 2)
    correction = metered_gain(image) ** rng.uniform(*config.auto_exposure)
    stops = rng.uniform(*config.exposure_stops)
    gain = correction * 2**stops * np.array([balance[0], 1, balance[1]])
    image = expose(image, gain, rng.uniform(*config.vignette))
    noise = rng.uniform(*config.shot_noise), rng.uniform(*config.read_noise)
    if rng.random() < config.bayer_probability:
        mosaic = add_noise(colour_mosaic(image), *noise, rng)
        image = demosaic(mosaic, edge_aware=rng.random() < 0.5)
    else:
        image = add_noise(image, *noise, rng)
    image = process_colours(image, rng.uniform(*config.saturation), rng.uniform(*config.contrast))
    image = sharpen(image, rng.uniform(*config.sharpening))
    if rng.random() < config.jpeg_probability:
        low, high = config.jpeg_quality
        data = jpeg(image, int(rng.integers(low, high + 1)))
        return Photograph(decoded(data), data)
    return Photograph(image)


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
    levels = np.arange(256)[:, None] * np.sqrt(gain)
    image = cv2.LUT(image, np.minimum(levels + 0.5, 255).astype(np.uint8).reshape(256, 1, 3))
    if vignette == 0:
        return image
    height, width = image.shape[:2]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)
    falloff = cv2.sqrt(1 - np.float32(vignette) * (x * x + y * y) / 2)
    return cv2.multiply(image, cv2.merge([falloff] * 3), dtype=cv2.CV_8U)


def metered_gain(image: np.ndarray) -> float:
    """Factor on linear light that brings the mean grey to the middle, by two stops at most."""
    mean = max(float(np.mean(cv2.mean(image)[:3])), 1.0)
    return float(np.clip((MIDDLE_GREY / mean) ** 2, 1 / 4, 4))


def colour_mosaic(image: np.ndarray) -> np.ndarray:
    """(H, W) uint8: red at even rows and columns, blue at odd ones, green elsewhere."""
    mosaic = image[..., 1].copy()
    mosaic[::2, ::2] = image[::2, ::2, 0]
    mosaic[1::2, 1::2] = image[1::2, 1::2, 2]
    return mosaic


def demosaic(mosaic: np.ndarray, edge_aware: bool) -> np.ndarray:
    """Interpolate the colours that :func:`colour_mosaic` left out, as cameras do."""
    # OpenCV names a mosaic by its second row's second and third pixel.
    code = cv2.COLOR_BayerBG2RGB_EA if edge_aware else cv2.COLOR_BayerBG2RGB
    return cv2.cvtColor(mosaic, code)


def add_noise(image: np.ndarray, shot: float, read: float, rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise of variance ``read**2 + shot * grey level``, independent per number.

    Args:
        image: (H, W) or (H, W, 3) uint8.
        shot: Variance per grey level.
        read: Standard deviation at black, grey levels.
        rng: Chooses where in a fixed table of normal numbers the noise is read.
    """
    levels = np.arange(256, dtype=np.float32)
    deviation = cv2.LUT(image, np.sqrt(read**2 + shot * levels, dtype=np.float32))
    table = _normal_numbers(max(NOISE_TABLE, 2 * image.size))
    start = int(rng.integers(len(table) - image.size))
    numbers = table[start : start + image.size].reshape(image.shape)
    return cv2.add(image, cv2.multiply(deviation, numbers, dst=deviation), dtype=cv2.CV_8U)


def process_colours(image: np.ndarray, saturation: float, contrast: float) -> np.ndarray:
    """Move colours from or towards grey, and grey levels from or towards the middle."""
    if saturation == 1 and contrast == 1:
        return image
    grey = np.tile(LUMINANCE, (3, 1))
    matrix = contrast * (saturation * np.eye(3) + (1 - saturation) * grey)
    return cv2.transform(image, np.c_[matrix, np.full(3, 127.5 * (1 - contrast))])


def sharpen(image: np.ndarray, amount: float) -> np.ndarray:
    """Add the difference to a blurred picture."""
    if amount == 0:
        return image
    blurred = cv2.GaussianBlur(image, (0, 0), SHARPENING_SIGMA_PX)
    return cv2.addWeighted(image, 1 + amount, blurred, -amount, 0)


def jpeg(image: np.ndarray, quality: int) -> bytes:
    """The picture as a JPEG file."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def decoded(data: bytes) -> np.ndarray:
    """The picture of an image file."""
    bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


@functools.lru_cache(maxsize=1)
def _normal_numbers(count: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(count, dtype=np.float32)


def _convolve(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    kernel = (kernel / kernel.sum()).astype(np.float32)
    return cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REFLECT_101)

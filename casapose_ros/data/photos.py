"""A folder of the user's photographs as textures for what surrounds the known objects."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np

from casapose_ros.errors import ConfigError

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}
CROP = (0.5, 1.0)
"""Edge of a crop as a share of the photo's shorter side."""
BEHIND_TRANSPARENT = 128
"""Grey level behind transparent parts."""


def find_photos(folder: Path) -> list[Path]:
    """All image files in a folder and those inside it, in the order of their names.

    Raises:
        ConfigError: It is no folder, or has no image, or one that does not begin like an image.
    """
    if not folder.is_dir():
        raise ConfigError(f"photos: {folder} is not a folder")
    found = sorted(p for p in folder.rglob("*") if _is_photo(p))
    if not found:
        raise ConfigError(f"photos: {folder} has no image ({', '.join(sorted(SUFFIXES))})")
    for path in found:
        if not cv2.haveImageReader(str(path)):
            raise _unreadable(path)
    return found


def photos_digest(folder: Path) -> str:
    """SHA-256 of the names and sizes of all photos, as hex digits.

    Raises:
        ConfigError: As :func:`find_photos`.
    """
    lines = (f"{p.relative_to(folder).as_posix()}\t{p.stat().st_size}" for p in find_photos(folder))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def photo_crops(rng: np.random.Generator, folder: Path, count: int, size: int) -> list[np.ndarray]:
    """Random square crops, no photo twice before each has been used.

    Args:
        rng: Source of chance.
        folder: Where the photos are.
        count: How many crops.
        size: Edge in px to which they are resized.

    Returns:
        (size, size, 3) uint8 RGB each.

    Raises:
        ConfigError: As :func:`find_photos`, or a photo cannot be read.
    """
    photos = find_photos(folder)
    order = np.concatenate([rng.permutation(len(photos)) for _ in range(-(-count // len(photos)))])
    return [_crop(rng, _read(photos[i]), size) for i in order[:count]]


def _is_photo(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


def _unreadable(path: Path) -> ConfigError:
    return ConfigError(f"photos: {path} is not an image that can be read: mend or remove it")


def _crop(rng: np.random.Generator, image: np.ndarray, size: int) -> np.ndarray:
    height, width = image.shape[:2]
    edge = max(round(min(height, width) * rng.uniform(*CROP)), 1)
    top, left = rng.integers(height - edge + 1), rng.integers(width - edge + 1)
    shrinks = edge > size
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    part = image[top : top + edge, left : left + edge]
    return cv2.resize(part, (size, size), interpolation=interpolation)


def _read(path: Path) -> np.ndarray:
    """(H, W, 3) uint8 RGB."""
    # Cameras write how they were held into JPEG files, which the other mode ignores.
    mode = cv2.IMREAD_COLOR if path.suffix.lower() in (".jpg", ".jpeg") else cv2.IMREAD_UNCHANGED
    try:
        image = cv2.imread(str(path), mode)
    except cv2.error as error:  # more pixels than OpenCV takes
        raise _unreadable(path) from error
    if image is not None and image.dtype == np.uint16:
        image = (image // 257).astype(np.uint8)
    if image is None or image.dtype != np.uint8:
        raise _unreadable(path)
    if image.ndim == 2:
        return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
    if image.shape[2] == 4:
        opaque = image[..., 3:] / 255
        mixed = image[..., :3] * opaque + BEHIND_TRANSPARENT * (1 - opaque)
        image = np.round(mixed).astype(np.uint8)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)

"""The image files of a BOP scene: which there are, and what is in them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from casapose_ros.errors import DatasetError
from casapose_ros.types import CameraModel

IMAGE_FOLDERS = ("rgb", "gray")
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
DEPTH_SUFFIXES = (".png", ".tif", ".tiff")


def list_images(scene: Path) -> dict[str, Path]:
    """The colour (or grey) images in a scene folder, by name without suffix.

    Raises:
        DatasetError: It has no folder of images.
    """
    for folder in IMAGE_FOLDERS:
        if (scene / folder).is_dir():
            return _images_in(scene / folder, IMAGE_SUFFIXES)
    raise DatasetError(f"{scene}: no image folder ({' or '.join(IMAGE_FOLDERS)})")


def list_depths(scene: Path) -> dict[str, Path]:
    """The depth images in a scene folder, if it has any; TIFF in some of BOP's sets (ITODD)."""
    folder = scene / "depth"
    return _images_in(folder, DEPTH_SUFFIXES) if folder.is_dir() else {}


def list_masks(scene: Path) -> dict[str, Path]:
    """The masks of the visible pixels in a scene folder, by file name; PNG in all of BOP's sets."""
    return {path.name: path for path in (scene / "mask_visib").glob("*.png")}


def load_image(path: Path, mode: int, camera: CameraModel | None = None) -> np.ndarray:
    """Read an image file.

    Args:
        path: The file.
        mode: OpenCV's ``IMREAD_...``.
        camera: What the image has to be as large as.

    Raises:
        DatasetError: It cannot be read, ends too soon, or has another size.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}") from error
    # From memory: cv2.imread would fill up what is missing of a JPEG file.
    image = cv2.imdecode(np.frombuffer(content, np.uint8), mode) if content else None
    if image is None:
        raise DatasetError(f"{path}: not a readable image, or the file ends too soon")
    if camera is not None and image.shape[:2] != (camera.height, camera.width):
        raise DatasetError(
            f"{path}: {image.shape[1]}x{image.shape[0]} px, "
            f"but the scene's images have {camera.width}x{camera.height}"
        )
    return image


def _images_in(folder: Path, suffixes: tuple[str, ...]) -> dict[str, Path]:
    """Hidden files are what a writer that was killed leaves behind."""
    found = (p for p in folder.iterdir() if not p.name.startswith("."))
    return {p.stem: p for p in found if p.suffix.lower() in suffixes}

"""Where ``camera_node`` gets its images: a folder, a video, a webcam or a renderer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from casapose_ros.errors import ConfigError, ImageError
from casapose_ros.types import CameraModel, ObjectPose

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")


@dataclass(frozen=True)
class Picture:
    """One image of a source.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        truth: What it shows, where that is known, with the visible fraction as score; else None.
    """

    image: np.ndarray
    truth: tuple[ObjectPose, ...] | None = None


class Source(Protocol):
    """Gives one picture after the other."""

    camera: CameraModel | None
    """The calibration; None if it is not known."""

    def read(self) -> Picture | None:
        """The next picture; None at the end.

        Raises:
            ImageError: The picture cannot be read.
        """

    def close(self) -> None:
        """Let go of files and devices."""


class FolderSource:
    """The images of a folder in the order of their names.

    Args:
        path: The folder.
        camera: Their calibration, if known.
        loop: Start anew at the end.

    Raises:
        ConfigError: There is no image in it.
    """

    def __init__(self, path: str | Path, camera: CameraModel | None, loop: bool) -> None:
        files = (p for p in Path(path).iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
        self._files: Sequence[Path] = sorted(files)
        if not self._files:
            raise ConfigError(f"no image in {path}; known: {', '.join(IMAGE_SUFFIXES)}")
        self.camera = camera
        self._loop = loop
        self._next = 0

    def read(self) -> Picture | None:
        if self._next == len(self._files):
            if not self._loop:
                return None
            self._next = 0
        file = self._files[self._next]
        self._next += 1
        image = cv2.imread(str(file), cv2.IMREAD_COLOR)
        if image is None:
            raise ImageError(f"{file} cannot be read as an image")
        return Picture(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))

    def close(self) -> None:
        pass


class VideoSource:
    """A video file or a webcam.

    Args:
        source: The file, or the device as ``0`` or ``/dev/video0``.
        camera: The calibration, if known.
        loop: Start a file anew at its end.

    Raises:
        ConfigError: OpenCV cannot open it.
    """

    def __init__(self, source: str, camera: CameraModel | None, loop: bool) -> None:
        self._source = source
        self._capture = cv2.VideoCapture(int(source) if source.isdigit() else source)
        if not self._capture.isOpened():
            raise ConfigError(
                f"cannot open {source!r}: neither a video that OpenCV reads nor a webcam"
            )
        # A webcam's driver must not queue images: the newest is wanted. Files ignore this.
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        self.camera = camera
        self._loop = loop

    def read(self) -> Picture | None:
        read, image = self._capture.read()
        if not read and self._loop:
            self._capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
            read, image = self._capture.read()
        return Picture(cv2.cvtColor(image, cv2.COLOR_BGR2RGB)) if read else None

    def close(self) -> None:
        self._capture.release()

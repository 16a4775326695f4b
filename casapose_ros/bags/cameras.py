"""The calibration that belongs to an image of a bag."""

from __future__ import annotations

import numpy as np

from casapose_ros.bags.index import CameraInfos
from casapose_ros.bags.storage import Losses
from casapose_ros.errors import CameraError
from casapose_ros.types import CameraModel


class CameraTrack:
    """Finds the calibration of each image of one camera.

    That is the one with the image's stamp. Where there is none, for example because the recording
    of ``camera_info`` began late, it is the nearest one before or after, provided that there is no
    doubt: if these two differ, only the one that fits the image's size will do.

    Args:
        infos: Calibrations of the camera.
        rectified: Whether its images are rectified.
        losses: Told about calibrations that cannot be used.

    Raises:
        CameraError: None of them can be used.
    """

    def __init__(self, infos: CameraInfos, rectified: bool, losses: Losses) -> None:
        cameras = [c.rectified if rectified else c.raw for c in infos.calibrations]
        numbers = np.array([infos.calibration(i) for i in range(len(infos))], dtype=np.int64)
        usable = np.array([isinstance(camera, CameraModel) for camera in cameras], dtype=bool)
        for number, camera in enumerate(cameras):
            if not usable[number]:
                times = int(np.sum(numbers == number))
                losses.count("calibration", "not usable", camera, times)
        self._cameras = cameras
        stamps = np.array(infos.stamps, dtype=np.int64)[usable[numbers]]
        order = np.argsort(stamps, kind="stable")
        self._stamps, self._numbers = stamps[order], numbers[usable[numbers]][order]
        if not len(stamps):
            raise CameraError(next(camera for camera in cameras if isinstance(camera, str)))

    def has(self, stamp: int) -> bool:
        """Whether there is a calibration of this very stamp."""
        first, last = self._of_stamp(stamp)
        return first < last

    def camera(self, stamp: int, size: tuple[int, int]) -> CameraModel:
        """The calibration of an image.

        Args:
            stamp: The image's, nanoseconds.
            size: Its width and height in px.

        Raises:
            CameraError: No calibration fits, or it is in doubt which one does.
        """
        first, last = self._of_stamp(stamp)
        if first == last:
            first, last = max(first - 1, 0), min(last + 1, len(self._stamps))
        cameras = [self._cameras[i] for i in sorted(set(self._numbers[first:last].tolist()))]
        fitting = [camera for camera in cameras if (camera.width, camera.height) == size]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            raise CameraError("between two different calibrations")
        found = ", ".join(sorted({f"{camera.width}x{camera.height}" for camera in cameras}))
        raise CameraError(f"of {size[0]}x{size[1]} px, but its camera_info says {found}")

    def _of_stamp(self, stamp: int) -> tuple[int, int]:
        """Where the calibrations of a stamp begin and end among the sorted ones."""
        first, last = (
            int(np.searchsorted(self._stamps, stamp, side)) for side in ("left", "right")
        )
        return first, last

"""Checksums by which a report, its log and the data are known again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from casapose_ros.data.bop import BopFrame
from casapose_ros.errors import DatasetError


def records_sha256(log: Path) -> str:
    """SHA-256 of a finished log of frames, for ``Origin.records_sha256``.

    Raises:
        DatasetError: The file cannot be read.
    """
    try:
        with log.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DatasetError(f"{log}: cannot be read: {error.strerror}") from error


def data_sha256(frames: Iterable[BopFrame]) -> str:
    """SHA-256 of all that a record takes from BOP frames: cameras, truths, images and masks.

    Of the image files it takes size and time of the last change, since reading them all would
    take as long as many a run.

    Raises:
        DatasetError: An image or a mask is gone.
    """
    digest = hashlib.sha256()
    for frame in frames:
        camera = frame.camera
        truths = [
            (true.bop_id, true.R_cam_obj.tolist(), true.t_cam_obj.tolist(), true.visib_fract)
            for true in frame.objects
        ]
        files = [frame.image_path, *(true.mask_path for true in frame.objects)]
        known = (
            (frame.scene_id, frame.image_id),
            (camera.K.tolist(), camera.width, camera.height),
            truths,
            [_state(path) for path in files],
        )
        digest.update(json.dumps(known).encode() + b"\n")
    return digest.hexdigest()


def _state(path: Path | None) -> tuple[str, int, int] | None:
    """Name, bytes and milliseconds of the last change; None where there is no file."""
    if path is None:
        return None
    try:
        state = path.stat()
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}") from error
    return path.name, state.st_size, state.st_mtime_ns // 1_000_000

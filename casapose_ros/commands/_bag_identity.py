"""What tells bags, and ways to read them, from others: in a report, and in the log of a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from casapose_ros.errors import DatasetError

if TYPE_CHECKING:
    from casapose_ros.bags.choosing import BagOptions
    from casapose_ros.types import CameraModel


def short_names(paths: Sequence[str]) -> list[str]:
    """What to call different paths: the last folder, or as many as tell it from the others."""
    parts = [Path(path).resolve().parts for path in paths]
    names = []
    for own in parts:
        length = 1
        while length < len(own) and sum(p[-length:] == own[-length:] for p in parts) > 1:
            length += 1
        names.append("/".join(own[-length:]))
    return names


def plain_options(options: BagOptions) -> dict[str, Any]:
    """What changes the frames, as plain values for the log."""
    return {
        "image_topics": list(options.image_topics),
        "info_topics": list(options.info_topics),
        "truth_topics": list(options.truth_topics),
        "truth_files": [str(file) for file in options.truth_files],
        "camera": None if options.camera is None else _plain_camera(options.camera),
        "rectified": options.rectified,
        "limit": options.limit,
    }


def _plain_camera(camera: CameraModel) -> dict[str, Any]:
    return {
        "K": camera.K.ravel().tolist(),
        "size": [camera.width, camera.height],
        "distortion_model": camera.distortion_model,
        "distortion": camera.distortion.ravel().tolist(),
    }


def fingerprints(bags: Sequence[Path], options: BagOptions) -> list[list[Any]]:
    """Name, bytes and time of the last change (ns) of all files that are read.

    A run that goes on with others would mix two recordings under the same names.

    Raises:
        DatasetError: A file cannot be read.
    """
    from casapose_ros.bags.opening import find_files
    from casapose_ros.bags.storage import Losses

    files = [file for bag in bags for file in find_files(bag, Losses())]
    # The last messages of a killed recorder lie beside the file.
    logs = (file.with_name(f"{file.name}-wal") for file in files)
    truths = (_scene_files(path) for path in options.truth_files)
    beside = [*logs, *(file for found in truths for file in found)]
    try:
        files += [file for file in beside if file.exists()]
        stats = [file.stat() for file in files]
    except OSError as error:
        raise DatasetError(f"{error.filename}: cannot be read: {error.strerror}") from error
    return [[f.name, stat.st_size, stat.st_mtime_ns] for f, stat in zip(files, stats, strict=True)]


def _scene_files(path: Path) -> list[Path]:
    scene = path if path.is_dir() else path.parent
    return [scene / "scene_gt.json", scene / "scene_gt_info.json"]

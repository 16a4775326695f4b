"""Camera calibrations on disk: ROS ``camera_calibration`` YAML and BOP ``camera.json``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from casapose_ros.errors import CameraError
from casapose_ros.types import CameraModel

OTHER_MODEL_NAMES = {"fisheye": "equidistant", "": "none"}
"""Names that some calibration tools write, and the name of ``sensor_msgs/CameraInfo``."""


def load_camera(path: str | Path) -> CameraModel:
    """Read a calibration file of either kind; which one it is shows in its keys.

    Args:
        path: A file written by ROS' ``camera_calibration`` (``camera_matrix``,
            ``distortion_coefficients``, ``image_width``, ...), or a BOP ``camera.json`` (``fx``,
            ``fy``, ``cx``, ``cy``, ``width``, ``height``).

    Returns:
        The camera of the raw, distorted image.

    Raises:
        CameraError: The file is missing, is neither kind, lacks an entry or holds nonsense.
    """
    path = Path(path)
    try:
        values = yaml.safe_load(path.read_text())  # JSON is YAML
    except (FileNotFoundError, IsADirectoryError) as error:
        raise CameraError(f"{path}: no such camera file") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CameraError(f"{path}: neither YAML nor JSON: {error}") from error
    if not isinstance(values, dict):
        raise CameraError(f"{path}: expected a mapping, got {type(values).__name__}")
    try:
        if "camera_matrix" in values:
            return _from_ros(values)
        if "fx" in values:
            return _from_bop(values)
    except CameraError as error:
        raise CameraError(f"{path}: {error}") from error
    raise CameraError(
        f"{path}: no camera calibration; expected 'camera_matrix' (as ROS camera_calibration "
        f"writes it) or 'fx' (BOP camera.json), got {', '.join(map(str, values)) or 'nothing'}"
    )


def _from_ros(values: dict[str, Any]) -> CameraModel:
    model = str(values.get("distortion_model", "plumb_bob"))
    distortion = _matrix(values, "distortion_coefficients")
    if distortion.size == 0:
        model = "none"
    return CameraModel(
        K=_matrix(values, "camera_matrix"),
        width=_size(values, "image_width"),
        height=_size(values, "image_height"),
        distortion=distortion,
        distortion_model=OTHER_MODEL_NAMES.get(model, model),
    )


def _from_bop(values: dict[str, Any]) -> CameraModel:
    fx, fy, cx, cy = (float(_numbers(values, key, ())) for key in ("fx", "fy", "cx", "cy"))
    K = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
    return CameraModel(K, _size(values, "width"), _size(values, "height"))


def _matrix(values: dict[str, Any], key: str) -> np.ndarray:
    """An entry with ``rows``, ``cols`` and ``data``."""
    entry = _entry(values, key)
    if not isinstance(entry, dict):
        raise CameraError(f"{key}: expected rows, cols and data, got {entry!r:.60}")
    shape = _size(entry, "rows", least=0), _size(entry, "cols", least=0)
    return _numbers(entry, "data", (shape[0] * shape[1],), f"{key}: ").reshape(shape)


def _size(values: dict[str, Any], key: str, least: int = 1) -> int:
    value = _entry(values, key)
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise CameraError(f"{key}: expected an integer of at least {least}, got {value!r:.60}")
    return value


def _numbers(
    values: dict[str, Any], key: str, shape: tuple[int, ...], where: str = ""
) -> np.ndarray:
    value = _entry(values, key)
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise CameraError(f"{where}{key}: expected numbers, got {value!r:.60}") from error
    if array.shape != shape:
        raise CameraError(f"{where}{key}: expected {shape} numbers, got {array.shape}")
    return array


def _entry(values: dict[str, Any], key: str) -> Any:
    if key not in values:
        raise CameraError(f"{key} is missing; it has {', '.join(map(str, values))}")
    return values[key]

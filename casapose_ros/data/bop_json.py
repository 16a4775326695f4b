"""The JSON files of a BOP scene, entry by entry: what is wrong in them is named."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from casapose_ros.errors import DatasetError


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        DatasetError: There is no such file, or it holds something else.
    """
    try:
        values = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise DatasetError(f"{path}: no such file") from error
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: broken JSON: {error}") from error
    if not isinstance(values, dict):
        raise DatasetError(f"{path}: expected a JSON object, got {type(values).__name__}")
    return values


def object_entries(values: Any, where: str) -> list[dict[str, Any]]:
    """One JSON object per object in an image.

    Args:
        values: What the file has.
        where: The file and the image, for messages.

    Raises:
        DatasetError: It is something else.
    """
    if not isinstance(values, list):
        raise DatasetError(f"{where}: expected a list with its objects, got {brief(values)}")
    for index, value in enumerate(values):
        if not isinstance(value, dict):
            raise DatasetError(
                f"{where}, object {index}: expected a JSON object, got {brief(value)}"
            )
    return values


def object_info(extra: dict[str, Any], where: str) -> dict[str, Any]:
    """What is known about an object besides its pose; None stands for what is not.

    Args:
        extra: An entry of ``scene_gt_info.json``.
        where: The file, the image and the object, for messages.

    Raises:
        DatasetError: A value is of another kind.
    """
    kinds: dict[str, tuple[Callable[[Any], Any], str]] = {
        "visib_fract": (finite, "a number"),
        "px_count_all": (int, "a whole number"),
        "px_count_visib": (int, "a whole number"),
        "bbox_obj": (_box, "four numbers"),
        "bbox_visib": (_box, "four numbers"),
    }
    values = dict.fromkeys(kinds)
    for name, (convert, expected) in kinds.items():
        if extra.get(name) is None:
            continue
        try:
            values[name] = convert(extra[name])
        except (TypeError, ValueError, OverflowError) as error:
            raise DatasetError(
                f"{where}: {name} must be {expected}, got {brief(extra[name])}"
            ) from error
    return values


def _box(values: Any) -> tuple[int, int, int, int]:
    x, y, width, height = values
    return int(x), int(y), int(width), int(height)


def finite(value: Any) -> float:
    """A number.

    Raises:
        ValueError: It is none, or is not finite.
        TypeError: It is not even text.
    """
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"not finite: {number}")
    return number


def brief(value: Any) -> str:
    """The beginning of a value, for messages."""
    return repr(value)[:80]

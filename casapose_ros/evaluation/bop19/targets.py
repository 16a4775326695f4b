"""What BOP-19 asks for in each image: so many instances of such an object."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from casapose_ros.errors import DatasetError
from casapose_ros.evaluation.matching import TrueObject

TARGETS_FILE = "test_targets_bop19.json"
"""Lies in the data set's folder."""
MIN_VISIBILITY = 0.1
"""Instances that show at least this fraction of themselves are counted where there is no file."""


@dataclass(frozen=True)
class Target:
    """One line of a targets file.

    Attributes:
        scene_id: Number of the scene.
        image_id: Number of the image in the scene.
        bop_id: The object.
        count: Instances to find (``inst_count``).
    """

    scene_id: int
    image_id: int
    bop_id: int
    count: int


def read_targets(path: Path) -> list[Target]:
    """Read ``test_targets_bop19.json``.

    Raises:
        DatasetError: The file is missing, is no JSON list, or an entry is malformed or there twice.
    """
    try:
        entries = json.loads(path.read_text())
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: broken JSON: {error}") from error
    if not isinstance(entries, list):
        raise DatasetError(f"{path}: expected a list of targets, got {type(entries).__name__}")
    targets = [_target(entry, f"{path}: target {i}") for i, entry in enumerate(entries)]
    seen = set()
    for i, target in enumerate(targets):
        key = (target.scene_id, target.image_id, target.bop_id)
        if key in seen:
            raise DatasetError(f"{path}: target {i}: scene, image and object {key} are there twice")
        seen.add(key)
    return targets


def count_visible(truths: Iterable[TrueObject]) -> dict[str, int]:
    """What is asked for in an image of a data set without a targets file, by object name."""
    counts: dict[str, int] = {}
    for truth in truths:
        if truth.visibility >= MIN_VISIBILITY:
            counts[truth.name] = counts.get(truth.name, 0) + 1
    return counts


def _target(entry: Any, where: str) -> Target:
    keys = ("scene_id", "im_id", "obj_id", "inst_count")
    values = [entry.get(key) for key in keys] if isinstance(entry, dict) else [None]
    if not all(type(value) is int and value >= 0 for value in values):
        raise DatasetError(f"{where}: expected numbers {', '.join(keys)}, got {entry!r}")
    return Target(*values)

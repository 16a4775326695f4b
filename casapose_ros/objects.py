"""Descriptions of objects as JSON: in an object set's ``objects.json`` and inside model bundles.

Metres everywhere. Reading is strict: a wrong or missing entry is named together with its object.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from casapose_ros.errors import ConfigError
from casapose_ros.types import NUM_KEYPOINTS, ObjectModel, Symmetries

FORMAT_VERSION = 1
NAME_PATTERN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
KEYS = (
    "name",
    "class_id",
    "bop_id",
    "diameter",
    "box_min",
    "box_max",
    "keypoints",
    "symmetries_discrete",
    "symmetries_continuous",
)
SCAN_KEY = "T_reference_obj"
"""Only of objects that are another scan of one; see :class:`~casapose_ros.types.ObjectModel`."""


def write_objects(path: str | Path, objects: Sequence[ObjectModel]) -> None:
    """Write an ``objects.json`` file.

    Raises:
        ConfigError: The objects would not be accepted by :func:`read_objects`.
    """
    objects_from_json(objects_to_json(objects), str(path))
    document = {"format": FORMAT_VERSION, "objects": objects_to_json(objects)}
    Path(path).write_text(json.dumps(document, indent=1) + "\n")


def read_objects(path: str | Path) -> tuple[ObjectModel, ...]:
    """Read an ``objects.json`` file.

    Raises:
        ConfigError: The file is missing, is no JSON, has another format version or bad entries.
    """
    path = Path(path)
    try:
        document = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid JSON: {error}") from error
    if not isinstance(document, dict) or "objects" not in document:
        raise ConfigError(f"{path}: expected a mapping with 'format' and 'objects'")
    if document.get("format") != FORMAT_VERSION:
        raise ConfigError(
            f"{path}: format {document.get('format')!r} is unknown; this version reads "
            f"{FORMAT_VERSION}: write the object set again with 'casapose objects'"
        )
    return objects_from_json(document["objects"], str(path))


def objects_to_json(objects: Sequence[ObjectModel]) -> list[dict[str, Any]]:
    """Describe objects in plain values; :func:`objects_from_json` is the inverse."""
    return [_entry(obj) for obj in objects]


def objects_digest(objects: Sequence[ObjectModel]) -> str:
    """The same for objects that are the same to 0.01 mm: a set may be made anew elsewhere."""
    values = json.dumps(_rounded(objects_to_json(objects)))
    return hashlib.sha256(values.encode() + b"\n").hexdigest()[:16]


def reference_keypoints(obj: ObjectModel) -> np.ndarray:
    """(9, 3) metres: the keypoints in the frame of the mesh that the object's was aligned to."""
    T = np.eye(4) if obj.T_reference_obj is None else obj.T_reference_obj
    return obj.keypoints @ T[:3, :3].T + T[:3, 3]


def objects_from_json(entries: Any, where: str = "objects") -> tuple[ObjectModel, ...]:
    """Read object descriptions back from plain values.

    Args:
        entries: What :func:`objects_to_json` returned.
        where: What to call the source in messages.

    Returns:
        The objects, ordered by class id 1..K.

    Raises:
        ConfigError: No objects, an unknown or missing key, a value of the wrong type or shape,
            a repeated name or BOP id, or class ids that are not 1..K.
    """
    if not isinstance(entries, list) or not entries:
        raise ConfigError(f"{where}: expected a list of at least one object, got {entries!r:.80}")
    objects = [_object(entry, f"{where}: object {i}") for i, entry in enumerate(entries)]
    for field in ("name", "bop_id"):
        values = [getattr(obj, field) for obj in objects]
        repeated = sorted({value for value in values if values.count(value) > 1})
        if repeated:
            raise ConfigError(f"{where}: {field} {repeated[0]!r} is used more than once")
    objects.sort(key=lambda obj: obj.class_id)
    class_ids = [obj.class_id for obj in objects]
    if class_ids != list(range(1, len(objects) + 1)):
        raise ConfigError(f"{where}: class ids must be 1..{len(objects)}, got {class_ids}")
    return tuple(objects)


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(part) for part in value]
    return round(value, 5) + 0.0 if isinstance(value, float) else value


def _entry(obj: ObjectModel) -> dict[str, Any]:
    entry = {
        "name": obj.name,
        "class_id": obj.class_id,
        "bop_id": obj.bop_id,
        "diameter": obj.diameter,
        "box_min": obj.box_min.tolist(),
        "box_max": obj.box_max.tolist(),
        "keypoints": obj.keypoints.tolist(),
        "symmetries_discrete": obj.symmetries.discrete.tolist(),
        "symmetries_continuous": [
            {"axis": np.asarray(axis).tolist(), "offset": np.asarray(offset).tolist()}
            for axis, offset in obj.symmetries.continuous
        ],
    }
    if obj.T_reference_obj is not None:
        entry[SCAN_KEY] = obj.T_reference_obj.tolist()
    return entry


def _object(entry: Any, where: str) -> ObjectModel:
    _check_keys(entry, KEYS, where, (SCAN_KEY,))
    name = entry["name"]
    if not isinstance(name, str) or not NAME_PATTERN.fullmatch(name):
        raise ConfigError(
            f"{where}: name {name!r} must be letters, digits, '_', '-' and '.' only: "
            "it becomes a TF frame"
        )
    where = f"{where} ({name})"
    obj = ObjectModel(
        name=name,
        class_id=_positive_int(entry["class_id"], f"{where}: class_id"),
        bop_id=_positive_int(entry["bop_id"], f"{where}: bop_id"),
        keypoints=_array(entry["keypoints"], (NUM_KEYPOINTS, 3), f"{where}: keypoints"),
        diameter=float(_array(entry["diameter"], (), f"{where}: diameter")),
        box_min=_array(entry["box_min"], (3,), f"{where}: box_min"),
        box_max=_array(entry["box_max"], (3,), f"{where}: box_max"),
        symmetries=_symmetries(entry, where),
        T_reference_obj=_scan_transform(entry, where),
    )
    if obj.diameter <= 0:
        raise ConfigError(f"{where}: diameter must be positive metres, got {obj.diameter}")
    if np.any(obj.box_max < obj.box_min):
        raise ConfigError(f"{where}: box_max {obj.box_max} lies below box_min {obj.box_min}")
    return obj


def _scan_transform(entry: dict[str, Any], where: str) -> np.ndarray | None:
    if SCAN_KEY not in entry:
        return None
    T = _array(entry[SCAN_KEY], (4, 4), f"{where}: {SCAN_KEY}")
    if not _is_rotation(T[:3, :3]) or not np.array_equal(T[3], [0, 0, 0, 1]):
        raise ConfigError(f"{where}: {SCAN_KEY} is no rigid transform: {T.tolist()}")
    return T


def _symmetries(entry: dict[str, Any], where: str) -> Symmetries:
    values = entry["symmetries_discrete"]
    count = len(values) if isinstance(values, list) else 0
    discrete = _array(values or np.zeros((0, 4, 4)), (count, 4, 4), f"{where}: symmetries_discrete")
    for transform in discrete:
        R = transform[:3, :3]
        if not _is_rotation(R):
            raise ConfigError(f"{where}: a discrete symmetry is no rotation: {R.tolist()}")
    where = f"{where}: symmetries_continuous"
    if not isinstance(entry["symmetries_continuous"], list):
        raise ConfigError(f"{where}: expected a list, got {entry['symmetries_continuous']!r}")
    continuous = []
    for item in entry["symmetries_continuous"]:
        _check_keys(item, ("axis", "offset"), where)
        axis = _array(item["axis"], (3,), f"{where}: axis")
        if not np.any(axis):
            raise ConfigError(f"{where}: the axis is zero")
        continuous.append((axis, _array(item["offset"], (3,), f"{where}: offset")))
    return Symmetries(discrete, tuple(continuous))


def _is_rotation(R: np.ndarray) -> bool:
    return np.allclose(R @ R.T, np.eye(3), atol=1e-3) and np.linalg.det(R) > 0


def _check_keys(entry: Any, keys: Sequence[str], where: str, optional: Sequence[str] = ()) -> None:
    if not isinstance(entry, dict):
        raise ConfigError(f"{where}: expected a mapping, got {type(entry).__name__}")
    known = [*keys, *optional]
    for key in entry:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
            raise ConfigError(f"{where}: unknown key {key!r}; {hint}")
    missing = [key for key in keys if key not in entry]
    if missing:
        raise ConfigError(f"{where}: missing {', '.join(missing)}")


def _positive_int(value: Any, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigError(f"{where}: expected an integer of at least 1, got {value!r}")
    return value


def _array(value: Any, shape: tuple[int, ...], where: str) -> np.ndarray:
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"{where}: expected numbers of shape {shape}, got {value!r:.80}"
        ) from error
    if array.shape != shape or not np.all(np.isfinite(array)):
        raise ConfigError(f"{where}: expected finite numbers of shape {shape}, got {value!r:.80}")
    return array

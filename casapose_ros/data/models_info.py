"""BOP's ``models_info.json``: size and symmetries of each model, in millimetres on disk.

Format: https://github.com/thodan/bop_toolkit/blob/master/docs/bop_datasets_format.md
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from casapose_ros.errors import DatasetError, MeshError
from casapose_ros.types import ObjectModel, Symmetries

MM = 1000.0
MODELS_INFO = "models_info.json"
SAME_OBJECT = 0.05
"""Difference of size or place up to which two models may be one object, of its diameter."""


@dataclass(frozen=True)
class ModelInfo:
    """One entry: everything in metres.

    Attributes:
        diameter: Largest distance between two vertices.
        box_min: (3,) corner of the axis-aligned box.
        box_max: (3,) opposite corner.
        symmetries: See :class:`~casapose_ros.types.Symmetries`.
    """

    diameter: float
    box_min: np.ndarray
    box_max: np.ndarray
    symmetries: Symmetries


def read_models_info(path: str | Path) -> dict[int, ModelInfo]:
    """Read a ``models_info.json``, by BOP id.

    Raises:
        MeshError: The file is missing, is no JSON, or an entry lacks a value.
    """
    path = Path(path)
    try:
        entries = json.loads(path.read_text())
        return {int(bop_id): _model_info(entry) for bop_id, entry in entries.items()}
    except FileNotFoundError as error:
        raise MeshError(f"{path}: no such file") from error
    except KeyError as error:
        raise MeshError(f"{path}: an entry lacks {error}") from error
    except (AttributeError, TypeError, ValueError) as error:
        raise MeshError(f"{path}: not a BOP models_info.json: {error}") from error


def check_same(path: Path, info: ModelInfo | ObjectModel, obj: ObjectModel, owner: str) -> None:
    """Whether a model of a data set is an object that someone else has by the same id.

    Args:
        path: Where the data set's models are described.
        info: The data set's.
        obj: The other's.
        owner: Whose that is.

    Raises:
        DatasetError: It has another size, or another place in its own frame.
    """
    if abs(info.diameter - obj.diameter) > SAME_OBJECT * info.diameter:
        raise DatasetError(
            f"{path}: object {obj.bop_id} is {info.diameter:.4f} m across, {obj.name!r}, which "
            f"{owner} has by this id, {obj.diameter:.4f} m: not the same object"
        )
    apart = np.abs([info.box_min - obj.box_min, info.box_max - obj.box_max]).max()
    if apart > SAME_OBJECT * info.diameter:
        raise DatasetError(
            f"{path}: the box of object {obj.bop_id} begins at {_metres(info.box_min)}, that of "
            f"{obj.name!r}, which {owner} has by this id, at {_metres(obj.box_min)}: another "
            "origin, or another mesh; two scans of one object are brought together by 'casapose "
            "objects --align-to', see docs/training.md"
        )


def write_models_info(path: str | Path, objects: Sequence[ObjectModel]) -> None:
    """Write the sizes and symmetries of objects in BOP's form."""
    entries = {str(obj.bop_id): _entry(obj) for obj in objects}
    Path(path).write_text(json.dumps(entries, indent=2) + "\n")


def symmetries_from_bop(entry: dict[str, Any]) -> Symmetries:
    """Read ``symmetries_discrete`` (16 numbers each) and ``symmetries_continuous`` in mm.

    Raises:
        KeyError, TypeError, ValueError: The entry is malformed.
    """
    rows = entry.get("symmetries_discrete", [])
    discrete = np.asarray(rows, dtype=np.float64).reshape(len(rows), 4, 4)
    discrete[:, :3, 3] /= MM
    continuous = tuple(
        (
            np.asarray(item["axis"], dtype=np.float64).reshape(3),
            np.asarray(item["offset"], dtype=np.float64).reshape(3) / MM,
        )
        for item in entry.get("symmetries_continuous", [])
    )
    return Symmetries(discrete, continuous)


def _model_info(entry: dict[str, Any]) -> ModelInfo:
    box_min = np.array([entry[f"min_{axis}"] for axis in "xyz"], dtype=np.float64) / MM
    size = np.array([entry[f"size_{axis}"] for axis in "xyz"], dtype=np.float64) / MM
    return ModelInfo(
        float(entry["diameter"]) / MM, box_min, box_min + size, symmetries_from_bop(entry)
    )


def _entry(obj: ObjectModel) -> dict[str, Any]:
    size = (obj.box_max - obj.box_min) * MM
    entry: dict[str, Any] = {"diameter": obj.diameter * MM}
    entry |= {f"min_{axis}": float(obj.box_min[i] * MM) for i, axis in enumerate("xyz")}
    entry |= {f"size_{axis}": float(size[i]) for i, axis in enumerate("xyz")}
    discrete = obj.symmetries.discrete.copy()
    discrete[:, :3, 3] *= MM
    if len(discrete):
        entry["symmetries_discrete"] = discrete.reshape(-1, 16).tolist()
    if obj.symmetries.continuous:
        entry["symmetries_continuous"] = [
            {"axis": np.asarray(axis).tolist(), "offset": (np.asarray(offset) * MM).tolist()}
            for axis, offset in obj.symmetries.continuous
        ]
    return entry


def _metres(point: np.ndarray) -> str:
    return "(" + ", ".join(f"{value:.4f}" for value in point) + ") m"

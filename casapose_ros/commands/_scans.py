"""A data set whose meshes are other scans of the objects than those that a model was trained with.

The two scans' frames differ, and the data set's poses are those of its own. An object set made
with ``casapose objects --align-to`` has the model's keypoints in the frames of the data set's
scans: with these in their place, the model's poses are the data set's.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from casapose_ros.commands._measuring import Method
from casapose_ros.errors import DatasetError

if TYPE_CHECKING:
    from casapose_ros.estimator import PoseEstimator
    from casapose_ros.evaluation.running import LoadEstimator
    from casapose_ros.types import ObjectModel

FOLDERS = ("models_aligned", "models_eval", "models")
"""Where in a data set an object set may lie; the first is for sets beside BOP's own meshes."""
SAME_POINT = 1e-4
"""Metres; keypoints farther apart are other keypoints."""
ABSENT = 1_000_000
"""BOP ids from here on are no data set's."""


def for_scans_of(dataset: Path, method: Method) -> Method:
    """The method with its objects as the data set's scans have them; as it is for other data sets.

    Objects without a scan there count as absent, whatever else the data set calls by their number.

    Raises:
        DatasetError: The data set's scans were aligned to other meshes than the model's.
    """
    from casapose_ros.objects import objects_digest, read_objects

    folders = [dataset / name for name in FOLDERS if (dataset / name / "objects.json").is_file()]
    for folder in folders:
        scans = {o.name: o for o in read_objects(folder / "objects.json")}
        if any(scan.T_reference_obj is not None for scan in scans.values()):
            objects = _as_scanned(method.objects, scans, folder)
            load = partial(_load, method.load, objects)
            noted = {"scans": folder.name, "scan_objects": objects_digest(objects)}
            settings = {**method.settings, **noted}
            return replace(method, objects=objects, load=load, settings=settings)
    return method


def _as_scanned(
    known: Sequence[ObjectModel], scans: dict[str, ObjectModel], folder: Path
) -> tuple[ObjectModel, ...]:
    free = itertools.count(ABSENT)
    objects = []
    for obj in known:
        if obj.name in scans:
            _check_points(obj, scans[obj.name], folder)
            objects.append(replace(scans[obj.name], class_id=obj.class_id))
        else:
            objects.append(replace(obj, bop_id=next(free)))
    return tuple(objects)


def _check_points(known: ObjectModel, scan: ObjectModel, folder: Path) -> None:
    """The scan's keypoints have to be the model's: in the scan's frame, or in the reference's."""
    from casapose_ros.objects import reference_keypoints

    distance = min(
        np.linalg.norm(points - known.keypoints, axis=1).max()
        for points in (scan.keypoints, reference_keypoints(scan))
    )
    if distance > SAME_POINT:
        raise DatasetError(
            f"{folder}: {known.name} was not aligned to the model's mesh, its keypoints are up to "
            f"{1000 * distance:.1f} mm away; make the folder again with 'casapose objects "
            "--align-to' and the object set that the model was trained with"
        )


def _load(load: LoadEstimator, objects: tuple[ObjectModel, ...]) -> PoseEstimator:
    from casapose_ros.estimator import PoseEstimator

    loaded = load()
    return PoseEstimator(
        loaded.predictor,
        objects,
        loaded.input_size,
        loaded.config,
        loaded.calibration,
        loaded.name,
    )

"""Folders of small evaluations whose every outcome is chosen, for what reads such folders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from made_reports import CAMERA, NO_BOP

from casapose_ros import geometry
from casapose_ros.evaluation.fingerprints import records_sha256
from casapose_ros.evaluation.matching import Reference, TrueObject
from casapose_ros.evaluation.record_log import RecordLog, RunHeader
from casapose_ros.evaluation.records import FrameRecord
from casapose_ros.evaluation.reporting.assembling import assemble
from casapose_ros.evaluation.reporting.report import Origin
from casapose_ros.evaluation.reporting.writing import write_json, write_matches_csv
from casapose_ros.types import ObjectModel, ObjectPose

HALF = 0.05
NAMES = ("cube", "block")
MISSED = None
"""In place of a shift: nothing was found."""

Shifts = Mapping[str, float | None]
"""By object name, how far its estimate is off in x, metres, or ``MISSED``."""


def write_run(
    folder: Path,
    shifts: Sequence[Shifts],
    model: str = "one",
    data: str = "boxes",
    min_visibility: float = 0.4,
    names: Sequence[str] = NAMES,
    first_frame: int = 0,
    seconds: float = 0.1,
    hidden: Sequence[str] = (),
) -> Path:
    """Write what ``compare`` reads of an evaluation.

    Args:
        folder: Made.
        shifts: One per frame; the objects named there are in it.
        model: Name of the model.
        data: Name of the data set.
        min_visibility: Of the targets; true objects show half of themselves.
        names: What the model knows.
        first_frame: Number of the first frame.
        seconds: Per image.
        hidden: Objects that show a fifth of themselves.
    """
    references = {name: _reference(name, i) for i, name in enumerate(names, start=1)}
    records = [
        _record(first_frame + i, mine, references, seconds, hidden) for i, mine in enumerate(shifts)
    ]
    folder.mkdir(parents=True)
    with RecordLog(folder / "frames.jsonl", RunHeader(model, "", (data,))) as log:
        for record in records:
            log.append(record)
    origin = Origin(
        model=model,
        data=data,
        created="2025-01-01T12:00:00",
        parts=("test",),
        records_sha256=records_sha256(folder / "frames.jsonl"),
    )
    report = assemble(records, references, origin, min_visibility, bop=NO_BOP)
    write_json(report, folder / "report.json")
    write_matches_csv(report.judgements, folder / "matches.csv")
    return folder


def _record(
    number: int,
    shifts: Shifts,
    references: dict[str, Reference],
    seconds: float,
    hidden: Sequence[str],
) -> FrameRecord:
    rng = np.random.default_rng(number)
    truths, poses = [], []
    for name, shift in shifts.items():
        R = geometry.rotation_from_vector(rng.normal(size=3))
        t = np.array([*rng.uniform(-0.1, 0.1, 2), 0.8])
        truths.append(TrueObject(name, R, t, 0.2 if name in hidden else 0.5))
        if shift is not MISSED and name in references:
            poses.append(_pose(references[name].model, R, t + [shift, 0, 0]))
    return FrameRecord(
        name=f"{number:06d}",
        source="boxes",
        camera=CAMERA,
        poses=tuple(poses),
        truths=tuple(truths),
        mask_ious={n: 0.0 if shift is MISSED else 0.9 - abs(shift) for n, shift in shifts.items()},
        times={"network": seconds},
        network_size=(640, 480),
    )


def _reference(name: str, class_id: int) -> Reference:
    corners = HALF * np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    keypoints = np.concatenate([np.zeros((1, 3)), corners])
    diameter = float(2 * np.sqrt(3) * HALF)
    model = ObjectModel(name, class_id, class_id, keypoints, diameter, corners[0], corners[-1])
    return Reference(model, corners)


def _pose(model: ObjectModel, R: np.ndarray, t: np.ndarray) -> ObjectPose:
    return ObjectPose(
        name=model.name,
        class_id=model.class_id,
        instance_id=0,
        score=0.9,
        R_cam_obj=R,
        t_cam_obj=t,
        covariance=np.eye(6),
        keypoints=geometry.project(model.keypoints, R, t, CAMERA),
        keypoint_covariances=np.tile(np.eye(2), (9, 1, 1)),
        box=(0.0, 0.0, 10.0, 10.0),
        visible_pixels=1000,
        reprojection_error=0.5,
    )

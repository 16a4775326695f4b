"""The errors of the estimates that answer for one target, against every true instance of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from casapose_ros.errors import DatasetError
from casapose_ros.evaluation.bop19 import errors
from casapose_ros.evaluation.bop19.depth import RenderDepth
from casapose_ros.evaluation.matching import Reference, TrueObject
from casapose_ros.evaluation.records import FrameRecord
from casapose_ros.types import CameraModel, ObjectPose

REFERENCE_WIDTH = 640
"""Projection distances count as in an image of this width, px."""


@dataclass(frozen=True)
class TargetErrors:
    """All errors of one object in one image; E estimates, G true instances.

    Attributes:
        frame: Name of the image.
        name: The object's name.
        estimates: (E,) places in the record's poses, best score first.
        valid: (G,) bool, the instances that may be found, in the record's order.
        vsd: (E, G, 10) per tolerance tau; None without a depth image.
        mssd: (E, G) fractions of the diameter.
        mspd: (E, G) px, in an image ``REFERENCE_WIDTH`` wide.
    """

    frame: str
    name: str
    estimates: tuple[int, ...]
    valid: np.ndarray
    vsd: np.ndarray | None
    mssd: np.ndarray
    mspd: np.ndarray


def compare(
    record: FrameRecord,
    reference: Reference,
    count: int,
    measured: np.ndarray | None = None,
    render: RenderDepth | None = None,
) -> TargetErrors:
    """Hold the best estimates of one object in one image against the truth.

    Args:
        record: The image.
        reference: The object.
        count: Instances asked for: so many estimates are looked at, and so many true instances,
            the most visible ones, are valid.
        measured: (H, W) metres, the depth image; None leaves VSD out.
        render: Draws the depth of an object; needed with ``measured``.

    Raises:
        DatasetError: The depth image is of another size than the camera's.
    """
    name = reference.model.name
    chosen = best(record.poses, name, count)
    estimates = [record.poses[i] for i in chosen]
    truths = [truth for truth in record.truths if truth.name == name]
    pairs = [[(estimate, truth) for truth in truths] for estimate in estimates]
    shape = (len(estimates), len(truths))
    scale = REFERENCE_WIDTH / record.camera.width
    mssd = [[_mssd(e, t, reference) for e, t in row] for row in pairs]
    mspd = [[scale * _mspd(e, t, reference, record.camera) for e, t in row] for row in pairs]
    vsd = None
    if measured is not None:
        _check_size(measured, record)
        vsd = _vsd(estimates, truths, reference, measured, record.camera, render)
    return TargetErrors(
        frame=record.name,
        name=name,
        estimates=tuple(chosen),
        valid=most_visible(truths, count),
        vsd=vsd,
        mssd=np.reshape(mssd, shape),
        mspd=np.reshape(mspd, shape),
    )


def best(poses: tuple[ObjectPose, ...], name: str, count: int) -> list[int]:
    """Places of the ``count`` estimates of an object with the highest scores.

    Of equal scores the first counts as higher; no score at all (NaN) as the lowest.
    """
    mine = [i for i, pose in enumerate(poses) if pose.name == name]
    mine.sort(key=lambda i: (math.isnan(poses[i].score), -poses[i].score))
    return mine[:count]


def most_visible(truths: list[TrueObject], count: int) -> np.ndarray:
    """(G,) bool, the ``count`` instances that show most of themselves, of equal ones the first."""
    order = sorted(range(len(truths)), key=lambda i: -truths[i].visibility)
    valid = np.zeros(len(truths), dtype=bool)
    valid[order[:count]] = True
    return valid


def _mssd(estimate: ObjectPose, truth: TrueObject, reference: Reference) -> float:
    """MSSD as a fraction of the diameter; infinite where the benchmark does not compute it."""
    diameter = reference.model.diameter
    if not np.linalg.norm(estimate.t_cam_obj - truth.t_cam_obj) < diameter:
        return float("inf")
    return errors.mssd(*_poses(estimate, truth), reference.points, reference.transforms) / diameter


def _mspd(
    estimate: ObjectPose, truth: TrueObject, reference: Reference, camera: CameraModel
) -> float:
    poses = _poses(estimate, truth)
    return errors.mspd(*poses, reference.points, reference.transforms, camera)


def _vsd(
    estimates: list[ObjectPose],
    truths: list[TrueObject],
    reference: Reference,
    measured: np.ndarray,
    camera: CameraModel,
    render: RenderDepth,
) -> np.ndarray:
    """(E, G, 10); 1 where the benchmark does not compute it."""
    result = np.ones((len(estimates), len(truths), len(errors.STEPS)))
    model = reference.model
    near = [
        [_may_overlap(e.t_cam_obj, t.t_cam_obj, model.diameter) for t in truths] for e in estimates
    ]
    depths = [
        render(model.name, t.R_cam_obj, t.t_cam_obj, camera)
        if any(row[j] for row in near)
        else None
        for j, t in enumerate(truths)
    ]
    for i, estimate in enumerate(estimates):
        if not (any(near[i]) and np.all(np.isfinite(estimate.R_cam_obj))):
            continue
        depth = render(model.name, estimate.R_cam_obj, estimate.t_cam_obj, camera)
        for j in np.flatnonzero(near[i]):
            result[i, j] = errors.vsd(depth, depths[j], measured, camera.K, model.diameter)
    return result


def _may_overlap(t_a: np.ndarray, t_b: np.ndarray, diameter: float) -> bool:
    """Whether the benchmark sees the images of two spheres about the object's origins overlap."""
    if t_a[2] == 0 or t_b[2] == 0:
        return False
    apart = np.linalg.norm(t_a[:2] / t_a[2] - t_b[:2] / t_b[2])
    return bool(apart < diameter / 2 * (1 / t_a[2] + 1 / t_b[2]))


def _poses(estimate: ObjectPose, truth: TrueObject) -> tuple[np.ndarray, ...]:
    return estimate.R_cam_obj, estimate.t_cam_obj, truth.R_cam_obj, truth.t_cam_obj


def _check_size(measured: np.ndarray, record: FrameRecord) -> None:
    expected = (record.camera.height, record.camera.width)
    if measured.shape != expected:
        raise DatasetError(
            f"{record.name}: its depth image is {measured.shape[1]}x{measured.shape[0]} px, the "
            f"camera's images are {expected[1]}x{expected[0]}"
        )

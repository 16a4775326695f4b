"""Reports of made-up runs with known mistakes, small or with everything that a page can show."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from casapose_ros import geometry
from casapose_ros.evaluation import bop19
from casapose_ros.evaluation.delivery import Delivery, Drops, SentImage
from casapose_ros.evaluation.matching import Reference, TrueObject
from casapose_ros.evaluation.records import FrameRecord
from casapose_ros.evaluation.reporting.assembling import assemble
from casapose_ros.evaluation.reporting.pictures import Picture
from casapose_ros.evaluation.reporting.report import Origin, Report
from casapose_ros.types import CameraModel, ObjectModel, ObjectPose

CAMERA = CameraModel(np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]]), 640, 480)
HALF = 0.05
"""Half the side of every cube, metres."""
NO_BOP = "nobody asked for it"


def made_report(objects: int = 2, frames: int = 4, bags: int = 1, **settings) -> Report:
    """A run over cubes that stand side by side; every frame has the same three mistakes.

    Object 0 is half a side off, object 1 was missed if there are more than two, and the last
    object has a second estimate far away. The scores fall from object to object.

    Args:
        objects: How many there are, all of them in every frame.
        frames: How many images.
        bags: How many sources they come from, in turn.
        settings: For ``assemble``.
    """
    references = {name: _reference(name, i) for i, name in enumerate(_names(objects), start=1)}
    records = (
        replace(_record(index, references), source=f"bag {index % bags}") for index in range(frames)
    )
    settings = {"bop": NO_BOP} | settings
    return assemble(records, references, made_origin(), 0.4, **settings)


@lru_cache
def full_report(objects: int = 2, frames: int = 4) -> Report:
    """The same with every optional part."""
    references = {name: _reference(name, i) for i, name in enumerate(_names(objects), start=1)}
    records = [_record(index, references) for index in range(frames)]
    return made_report(
        objects,
        frames,
        bop=bop19.evaluate(records, references),
        problems=("the bag ends in the middle of a message",),
        ignored={77: 3},
        delivery=made_delivery(),
    )


def made_origin() -> Origin:
    """A model whose name has to be escaped."""
    return Origin(
        model="demo <8>",
        data="held_out",
        created="2025-01-01T12:00:00",
        parts=("test",),
        network_size=(256, 192),
        weights_sha256="abc123",
        software={"casapose_ros": "0.1.0"},
        machine={"CPU": "abacus"},
    )


def made_delivery() -> Delivery:
    """Four images, one of which gave way to a newer one."""
    images = [
        SentImage(10**9 * i, sent=0.1 * i, late=0.001, latency=t - 0.01, age=t)
        for i, t in enumerate((0.06, 0.07, 0.08))
    ]
    images.append(SentImage(3 * 10**9, sent=0.3, late=0.0))
    return Delivery(tuple(images), Drops(busy=1), speed=1.0, reliable=False, warm_up=2.5)


def worst_pictures(count: int) -> list[Picture]:
    """Frames in one colour each."""
    images = (np.full((48, 64, 3), (200, 10 * i, 10), np.uint8) for i in range(count))
    return [Picture(f"scene/{i:06d}", "bar <missed>", image) for i, image in enumerate(images)]


def _names(objects: int) -> list[str]:
    return [f"object_{i:02d}" for i in range(objects)]


def _reference(name: str, class_id: int) -> Reference:
    corners = HALF * np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    keypoints = np.concatenate([np.zeros((1, 3)), corners])
    diameter = float(2 * np.sqrt(3) * HALF)
    box = (corners[0], corners[-1])
    return Reference(ObjectModel(name, class_id, class_id, keypoints, diameter, *box), corners)


def _record(index: int, references: dict[str, Reference]) -> FrameRecord:
    names = list(references)
    truths, poses = [], []
    for i, name in enumerate(names):
        R = geometry.rotation_from_vector([0.4, -0.2, 0.1 * index])
        t = np.array([0.2 * (i % 6) - 0.5, 0.2 * (i // 6) - 0.4, 1.5])
        truths.append(TrueObject(name, R, t, 1.0))
        if i == 1 and len(names) > 2:
            continue
        shift = np.array([HALF if i == 0 else 0.001, 0, 0])
        poses.append(_pose(references[name], R, t + shift, 0.9 - 0.5 * i / len(names)))
    if names:
        poses.append(_pose(references[names[-1]], np.eye(3), np.array([0.0, 0, 4]), 0.2))
    return FrameRecord(
        name=f"000000/{index:06d}",
        source="held_out",
        camera=CAMERA,
        poses=tuple(poses),
        truths=tuple(truths),
        mask_ious=dict.fromkeys(names, 0.8),
        times={"network": 0.1 + 0.01 * index, "pnp": 0.002},
        network_size=(256, 192),
        scene_id=0,
        image_id=index,
    )


def _pose(reference: Reference, R: np.ndarray, t: np.ndarray, score: float) -> ObjectPose:
    model = reference.model
    return ObjectPose(
        name=model.name,
        class_id=model.class_id,
        instance_id=0,
        score=score,
        R_cam_obj=R,
        t_cam_obj=t,
        covariance=1e-4 * np.eye(6),
        keypoints=geometry.project(model.keypoints, R, t, CAMERA),
        keypoint_covariances=np.tile(np.eye(2), (9, 1, 1)),
        box=(0.0, 0.0, 10.0, 10.0),
        visible_pixels=1000,
        reprojection_error=0.5,
    )

"""A cube, a bar with a symmetry, and poses of them."""

import dataclasses

import numpy as np
import pytest

from casapose_ros import geometry
from casapose_ros.evaluation.matching import Match, Outcome, PoseErrors, Reference, TrueObject
from casapose_ros.types import CameraModel, ObjectModel, ObjectPose, Symmetries

HALF_TURN = np.diag([-1.0, -1, 1, 1])


def make_reference(name: str, class_id: int, symmetries: Symmetries) -> Reference:
    half = 0.05
    corners = half * np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    keypoints = np.concatenate([np.zeros((1, 3)), corners])
    diameter = float(2 * np.sqrt(3) * half)
    model = ObjectModel(
        name, class_id, class_id + 10, keypoints, diameter, corners[0], corners[-1], symmetries
    )
    return Reference(model, corners)


@pytest.fixture
def camera() -> CameraModel:
    return CameraModel(np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]]), 640, 480)


@pytest.fixture
def references() -> dict[str, Reference]:
    return {
        "cube": make_reference("cube", 1, Symmetries()),
        "bar": make_reference("bar", 2, Symmetries(discrete=HALF_TURN[None])),
    }


@pytest.fixture
def true_object():
    def make(name="cube", x=0.0, rotation=(0.4, -0.2, 0.1), visibility=1.0) -> TrueObject:
        R = geometry.rotation_from_vector(rotation)
        return TrueObject(name, R, np.array([x, 0.02, 0.6]), visibility)

    return make


@pytest.fixture
def estimate_of(references, camera):
    """An estimate of a true object, moved by (3,) metres and turned by a (3, 3) rotation."""

    def make(truth, shift=(0, 0, 0), turn=None, score=0.9, name=None) -> ObjectPose:
        reference = references[name or truth.name]
        R = truth.R_cam_obj @ (np.eye(3) if turn is None else turn)
        t = truth.t_cam_obj + np.asarray(shift, dtype=float)
        return dataclasses.replace(
            any_pose(reference.model.name, score),
            class_id=reference.model.class_id,
            R_cam_obj=R,
            t_cam_obj=t,
            keypoints=geometry.project(reference.model.keypoints, R, t, camera),
        )

    return make


def any_pose(name: str, score: float) -> ObjectPose:
    return ObjectPose(
        name=name,
        class_id=1,
        instance_id=0,
        score=score,
        R_cam_obj=np.eye(3),
        t_cam_obj=np.array([0, 0, 1.0]),
        covariance=np.eye(6),
        keypoints=np.zeros((9, 2)),
        keypoint_covariances=np.zeros((9, 2, 2)),
        box=(0.0, 0.0, 10.0, 10.0),
        visible_pixels=1000,
        reprojection_error=0.5,
    )


FRAME = "000000/000001"


@pytest.fixture
def estimate():
    """A match of an estimate with given errors."""

    def make(
        name="cube", relative=0.0, score=0.9, visibility=1.0, frame=FRAME, truth=0, **errors
    ) -> Match:
        outcome = Outcome.CORRECT if relative < 0.1 else Outcome.WRONG
        values = dict.fromkeys(("projection", "rotation", "translation", "keypoints"), 0.0)
        result = PoseErrors(add=0.2 * relative, add_relative=relative, **(values | errors))
        return Match(frame, name, outcome, score, visibility, result, truth, {truth: relative})

    return make


@pytest.fixture
def missed():
    """A match of a true object without estimate."""

    def make(name="cube", visibility=1.0, frame=FRAME, truth=0) -> Match:
        return Match(frame, name, Outcome.MISSED, None, visibility, PoseErrors(), truth)

    return make


@pytest.fixture
def absent():
    """A match of an estimate of an object that is not in the image."""

    def make(name="cube", score=0.9, frame=FRAME) -> Match:
        return Match(frame, name, Outcome.ABSENT, score, None, PoseErrors())

    return make

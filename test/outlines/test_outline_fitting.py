"""Poses that fit keypoints and outline: better than either, and certain where there is reason."""

from dataclasses import replace

import numpy as np
import pytest
from box_surfaces import box_surface
from exact_fields import CAMERA, box_object, random_pose, silhouette

from casapose_ros import geometry
from casapose_ros.outlines import Pose, fit_outline, fitting
from casapose_ros.outlines.evidence import OTHER, Evidence
from casapose_ros.types import CameraModel

BOX = box_object()
SURFACE = box_surface(BOX)
SMALL = geometry.resize_camera(CAMERA, 320, 240)
VAGUE = np.diag([0.02, 0.02, 0.2, 0.3, 0.3, 0.3]) ** 2
"""Metres and radians, squared."""


def spoiled(R, t, rng, degrees=12.0):
    """A pose from keypoints that are unsure: turned, moved, and too far away."""
    axis = rng.normal(size=3)
    turn = np.radians(degrees) * axis / np.linalg.norm(axis)
    moved = rng.uniform(1.0, 1.4) * t + rng.uniform(-0.008, 0.008, 3)
    return Pose(geometry.rotation_from_vector(turn) @ R, moved, VAGUE)


def errors(pose, R, t):
    """Degrees, part of the distance, mean metres between the same points."""
    points = BOX.keypoints[1:]
    there = geometry.transform(R, t, points)
    here = geometry.transform(pose.R_cam_obj, pose.t_cam_obj, points)
    angle = np.degrees(geometry.rotation_angle(pose.R_cam_obj, R))
    return angle, pose.t_cam_obj[2] / t[2] - 1, np.linalg.norm(here - there, axis=1).mean()


def fit(pose, labels, camera=SMALL, obj=BOX, **more):
    fitted = fit_outline(pose, SURFACE, obj, labels, camera, 0.05, **more)
    return fitted and fitted.pose


def test_poses_get_better_in_every_way():
    before, after = [], []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        R, t = random_pose(rng, 0.4, 0.7)
        pose = spoiled(R, t, rng)
        fitted = fit(pose, silhouette(BOX, R, t, SMALL).astype(np.uint8))
        before.append(errors(pose, R, t))
        after.append(errors(fitted, R, t))
    (turn, deep, apart), (was_turned, was_deep, was_apart) = (
        np.median(np.abs(each), axis=0) for each in (after, before)
    )
    assert turn < 0.5 * was_turned
    assert deep < 0.015 and was_deep > 0.1
    assert apart < 0.1 * was_apart and apart < 0.06 * BOX.diameter


def test_the_pull_is_how_the_evidence_changes_with_the_pose():
    """By small steps along each of the six ways."""
    R, t = random_pose(np.random.default_rng(2), 0.5, 0.6)
    labels = silhouette(BOX, R, t, SMALL).astype(np.uint8)
    pose = Pose(geometry.rotation_from_vector([0.1, -0.15, 0.1]) @ R, 1.05 * t, VAGUE)
    problem = fitting._Problem(
        pose, np.linalg.inv(VAGUE), BOX.keypoints[0] + BOX.diameter * SURFACE, SMALL, 0.05
    )
    middle = geometry.project(BOX.keypoints[:1], R, t, SMALL)[0]
    evidence = Evidence.of(labels, 1, None, middle, 200.0).blurred(3.0)
    view = problem.see(pose)
    pull = evidence.at(view.outline.middles) @ fitting._swept(view, SMALL)

    def inside(step):
        outline = problem.see(fitting._moved(pose, step)).outline
        return evidence.inside(outline.middles, outline.extents[:, 1])

    sizes = np.array([0.004, 0.004, 0.02, 0.06, 0.06, 0.06])
    measured = np.array([inside(s) - inside(-s) for s in np.diag(sizes)]) / (2 * sizes)
    scale = np.abs(pull * sizes).max()
    np.testing.assert_allclose(pull * sizes, measured * sizes, atol=0.1 * scale)


def test_certain_keypoints_outweigh_the_outline():
    R, t = random_pose(np.random.default_rng(4), 0.5, 0.6)
    labels = silhouette(BOX, R, t, SMALL).astype(np.uint8)
    wrong = Pose(R, 1.1 * t, VAGUE)
    certain = replace(wrong, covariance=1e-8 * np.eye(6))
    assert abs(errors(fit(wrong, labels), R, t)[1]) < 0.02
    assert errors(fit(certain, labels), R, t)[1] == pytest.approx(0.1, abs=0.005)


def test_the_covariance_is_smaller_and_allows_for_masks_that_are_too_large():
    R, t = random_pose(np.random.default_rng(5), 0.5, 0.6)
    fitted = fit(Pose(R, t, VAGUE), silhouette(BOX, R, t, SMALL).astype(np.uint8))
    assert np.linalg.eigvalsh(fitted.covariance).min() > 0
    assert (np.diag(fitted.covariance) < np.diag(VAGUE)).all()
    half_width = SMALL.K[0, 0] * BOX.diameter / 2 / np.linalg.norm(t)
    assert np.sqrt(fitted.covariance[2, 2]) > 0.8 * fitting.EDGE_ERROR * t[2] / half_width


def test_the_cover_is_what_the_outline_encloses_of_its_object():
    R, t = random_pose(np.random.default_rng(4), 0.5, 0.6)
    labels = silhouette(BOX, R, t, SMALL).astype(np.uint8)
    certain = Pose(R, t, 1e-8 * np.eye(6))
    right = np.arange(labels.shape[1]) > np.median(np.nonzero(labels)[1])

    def cover(of_the_right_half):
        changed = np.where(right & (labels == 1), of_the_right_half, labels).astype(np.uint8)
        return fit_outline(certain, SURFACE, BOX, changed, SMALL, 0.05).cover

    assert 0.93 < cover(1) <= 1.01
    assert cover(2) == pytest.approx(cover(1) / 2 + OTHER / 2, abs=0.05)


def test_distortion_is_taken_out():
    K = CAMERA.K.copy()
    camera = CameraModel(K, 640, 480, np.array([-0.3, 0.1, 0, 0, 0]), "plumb_bob")
    small = geometry.resize_camera(camera, 320, 240)
    straight = geometry.resize_camera(CameraModel(K, 640, 480), 320, 240)
    R, t = random_pose(np.random.default_rng(5), 0.5, 0.5, 0.0)
    t = t + [0.2, 0.12, 0]
    labels = silhouette(BOX, R, t, small).astype(np.uint8)
    pose = Pose(R, 1.2 * t, VAGUE)
    assert errors(fit(pose, labels, small), R, t)[2] < 0.015
    assert errors(fit(pose, labels, straight), R, t)[2] > 0.03


@pytest.mark.parametrize("case", ["nothing there", "behind", "beside the image"])
def test_without_an_outline_there_is_no_pose(case):
    R, t = np.eye(3), np.array([0.0, 0.0, 0.6])
    labels = silhouette(BOX, R, t, SMALL).astype(np.uint8)
    if case == "nothing there":
        labels = np.zeros_like(labels)
    start = {"behind": -t, "beside the image": t + [5.0, 0.0, 0.0]}.get(case, t)
    assert fit(Pose(R, start, VAGUE), labels) is None

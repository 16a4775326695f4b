"""Outlines laid over labels: the place they are in comes out, whatever hides a part of it."""

import numpy as np
import pytest
from box_surfaces import box_surface
from exact_fields import CAMERA, box_object, random_pose, silhouette

from casapose_ros import geometry
from casapose_ros.outlines import fit_outline
from casapose_ros.types import CameraModel

BOX = box_object()
SURFACE = box_surface(BOX)
SMALL = geometry.resize_camera(CAMERA, 320, 240)


def fit(R, t, labels, camera=SMALL, **more):
    return fit_outline(SURFACE, BOX, R, t, labels, camera, **more)


def centre_of(R, t):
    return geometry.transform(R, t, BOX.keypoints[:1])[0]


def errors(fitted, centre, camera=SMALL):
    """Of the distance, as a part of it, and across the view, px."""
    distance = np.linalg.norm(fitted.centre) / np.linalg.norm(centre) - 1
    ends = np.stack([fitted.centre, centre])
    seen = geometry.project(ends, np.eye(3), np.zeros(3), camera)
    return distance, np.linalg.norm(seen[0] - seen[1])


@pytest.mark.parametrize("seed", range(20))
def test_a_pose_that_is_too_far_away_comes_back(seed):
    rng = np.random.default_rng(seed)
    R, t = random_pose(rng, 0.4, 0.7)
    labels = silhouette(BOX, R, t, SMALL).astype(np.uint8)
    moved = t * rng.uniform(1.0, 1.8) + [0.008, -0.006, 0]
    fitted = fit(R, moved, labels)
    distance, across = errors(fitted, centre_of(R, t))
    assert abs(distance) < 0.025 and across < 1.2
    assert 0.9 < fitted.cover <= 1.02
    assert np.linalg.eigvalsh(fitted.covariance).min() > 0


def test_on_average_outlines_are_neither_too_large_nor_too_small():
    distances = []
    for seed in range(40):
        R, t = random_pose(np.random.default_rng(100 + seed), 0.4, 0.7)
        labels = silhouette(BOX, R, t, SMALL).astype(np.uint8)
        distances.append(errors(fit(R, 1.2 * t, labels), centre_of(R, t))[0])
    assert abs(np.mean(distances)) < 0.006


def test_what_another_object_hides_does_not_count_as_missing():
    R, t = random_pose(np.random.default_rng(3), 0.5, 0.6)
    labels = silhouette(BOX, R, t, SMALL).astype(np.uint8)
    rows, cols = np.nonzero(labels)
    hidden = cols > np.quantile(cols, 0.65)
    labels[:, int(np.quantile(cols, 0.65)) :] = 2
    whole = silhouette(BOX, R, t, SMALL).astype(np.uint8)
    background = whole.copy()
    background[rows[hidden], cols[hidden]] = 0
    by_object = errors(fit(R, 1.2 * t, labels), centre_of(R, t))[0]
    by_unknown = errors(fit(R, 1.2 * t, background), centre_of(R, t))[0]
    assert abs(by_object) < 0.08 and by_unknown > 2 * abs(by_object)
    open_view = fit(R, 1.2 * t, whole)
    half_seen = fit(R, 1.2 * t, labels)
    assert half_seen.cover < open_view.cover
    assert np.trace(half_seen.covariance) > np.trace(open_view.covariance)


def test_at_the_images_edge_what_is_outside_does_not_count():
    R = np.eye(3)
    for x in (-0.32, 0.33):
        t = np.array([x, 0.0, 0.6])
        labels = silhouette(BOX, R, t, SMALL).astype(np.uint8)
        inside = labels.any(axis=0)
        assert inside[0] or inside[-1]
        distance, _ = errors(fit(R, 1.15 * t, labels), centre_of(R, t))
        assert abs(distance) < 0.06


def test_distortion_is_taken_out():
    K = CAMERA.K.copy()
    camera = CameraModel(K, 640, 480, np.array([-0.3, 0.1, 0, 0, 0]), "plumb_bob")
    small = geometry.resize_camera(camera, 320, 240)
    R, t = random_pose(np.random.default_rng(5), 0.5, 0.5, 0.0)
    t = t + [0.2, 0.12, 0]
    labels = silhouette(BOX, R, t, small).astype(np.uint8)
    distance, across = errors(fit(R, 1.2 * t, labels, small), centre_of(R, t), small)
    assert abs(distance) < 0.03 and across < 1
    straight = geometry.resize_camera(CameraModel(K, 640, 480), 320, 240)
    _, wrong = errors(fit(R, 1.2 * t, labels, straight), centre_of(R, t), small)
    assert wrong > 3


def test_pixels_of_another_instance_are_not_the_objects():
    R = np.eye(3)
    t, other = np.array([0.0, 0.0, 0.6]), np.array([0.115, 0.0, 0.6])
    mask = silhouette(BOX, R, t, SMALL)
    labels = (mask | silhouette(BOX, R, other, SMALL)).astype(np.uint8)
    own = fit(R, 1.3 * t, labels, own=np.nonzero(mask))
    both = fit(R, 1.3 * t, labels)
    assert abs(errors(own, centre_of(R, t))[0]) < 0.03
    assert abs(errors(both, centre_of(R, t))[0]) > 0.05


@pytest.mark.parametrize("case", ["nothing there", "elsewhere", "behind", "too large", "far off"])
def test_where_it_does_not_fit_there_is_no_place(case):
    R, t = np.eye(3), np.array([0.0, 0.0, 0.6])
    labels = silhouette(BOX, R, t, SMALL).astype(np.uint8)
    start = t
    if case == "nothing there":
        labels = np.zeros_like(labels)
    elif case == "elsewhere":
        start = t + [0.25, 0.0, 0.0]
    elif case == "behind":
        start = -t
    elif case == "too large":
        labels = np.ones_like(labels)
    else:
        start = t + [5.0, 0.0, 0.0]  # outside the image
    assert fit(R, start, labels) is None


def test_the_order_of_the_axes_is_that_of_images():
    """A box twice as wide as high: turned by a quarter it does not fit."""
    flat = box_object(size=(0.16, 0.06, 0.02))
    R, t = np.eye(3), np.array([0.03, 0.01, 0.6])
    quarter = geometry.rotation_from_vector([0, 0, np.pi / 2])
    labels = silhouette(flat, R, t, SMALL).astype(np.uint8)
    right = fit_outline(box_surface(flat), flat, R, t, labels, SMALL)
    wrong = fit_outline(box_surface(flat), flat, quarter, t, labels, SMALL)
    assert right.cover > 0.93 and (wrong is None or wrong.cover < 0.8)

"""Outlines laid over labels: the place they are in comes out, whatever hides a part of it."""

import numpy as np
import pytest
from box_surfaces import box_surface
from exact_fields import CAMERA, box_object, random_pose, silhouette

from casapose_ros import geometry
from casapose_ros.outlines.evidence import Evidence
from casapose_ros.outlines.search import find_place, reach

BOX = box_object()
SURFACE = BOX.keypoints[0] + BOX.diameter * box_surface(BOX)
SMALL = geometry.resize_camera(CAMERA, 320, 240)


def search(R, t, labels, **more):
    """Place found for a pose, and where its centre was seen."""
    middle = geometry.project(BOX.keypoints[:1], R, t, SMALL)[0]
    points = geometry.project(SURFACE, R, t, SMALL) - middle
    half_width = SMALL.K[0, 0] * BOX.diameter / (2 * t[2])
    evidence = Evidence.of(labels, 1, more.get("own"), middle, reach(points, half_width))
    return find_place(points, evidence, middle, half_width)


def true_place(R, t, start):
    """Where the centre is, and how much larger it is than where the search started."""
    middle = geometry.project(BOX.keypoints[:1], R, t, SMALL)[0]
    centres = [geometry.transform(R, each, BOX.keypoints[:1])[0] for each in (start, t)]
    return middle, np.linalg.norm(centres[0]) / np.linalg.norm(centres[1])


@pytest.mark.parametrize("seed", range(20))
def test_a_pose_that_is_too_far_away_comes_back(seed):
    rng = np.random.default_rng(seed)
    R, t = random_pose(rng, 0.4, 0.7)
    start = t * rng.uniform(1.0, 1.8) + [0.008, -0.006, 0]
    place = search(R, start, silhouette(BOX, R, t, SMALL).astype(np.uint8))
    middle, zoom = true_place(R, t, start)
    assert place.zoom == pytest.approx(zoom, rel=0.05)
    assert np.linalg.norm(place.middle - middle) < 1.5
    assert 0.85 < place.cover <= 1.02


def test_on_average_outlines_are_neither_too_large_nor_too_small():
    ratios = []
    for seed in range(40):
        R, t = random_pose(np.random.default_rng(100 + seed), 0.4, 0.7)
        place = search(R, 1.05 * t, silhouette(BOX, R, t, SMALL).astype(np.uint8))
        ratios.append(place.zoom / true_place(R, t, 1.05 * t)[1])
    assert np.mean(ratios) == pytest.approx(1, abs=0.008)


def test_what_another_object_hides_does_not_count_as_missing():
    R, t = random_pose(np.random.default_rng(3), 0.5, 0.6)
    whole = silhouette(BOX, R, t, SMALL).astype(np.uint8)
    columns = np.arange(320) > np.quantile(np.nonzero(whole)[1], 0.65)
    behind_object, behind_unknown = whole.copy(), whole.copy()
    behind_object[:, columns] = 2
    behind_unknown[:, columns] = 0
    zoom = true_place(R, t, 1.2 * t)[1]
    errors = [search(R, 1.2 * t, each).zoom / zoom - 1 for each in (behind_object, behind_unknown)]
    assert abs(errors[0]) < 0.08 and abs(errors[1]) > 2 * abs(errors[0])


def test_at_the_images_edge_what_is_outside_does_not_count():
    R = np.eye(3)
    for x in (-0.32, 0.33):
        t = np.array([x, 0.0, 0.6])
        labels = silhouette(BOX, R, t, SMALL).astype(np.uint8)
        seen = labels.any(axis=0)
        assert seen[0] or seen[-1]
        place = search(R, 1.1 * t, labels)
        assert place.zoom == pytest.approx(true_place(R, t, 1.1 * t)[1], rel=0.06)


def test_pixels_of_another_instance_are_not_the_objects():
    R, t, other = np.eye(3), np.array([0.0, 0.0, 0.6]), np.array([0.115, 0.0, 0.6])
    mask = silhouette(BOX, R, t, SMALL)
    labels = (mask | silhouette(BOX, R, other, SMALL)).astype(np.uint8)
    middle, zoom = true_place(R, t, 1.3 * t)
    own = search(R, 1.3 * t, labels, own=np.nonzero(mask))
    both = search(R, 1.3 * t, labels)
    assert own.zoom == pytest.approx(zoom, rel=0.03)
    assert np.linalg.norm(own.middle - middle) < 2 < np.linalg.norm(both.middle - middle)


@pytest.mark.parametrize("case", ["nothing there", "elsewhere", "too large"])
def test_where_it_does_not_fit_there_is_no_place(case):
    R, t = np.eye(3), np.array([0.0, 0.0, 0.6])
    labels = silhouette(BOX, R, t, SMALL).astype(np.uint8)
    start = t + [0.25, 0.0, 0.0] if case == "elsewhere" else t
    if case == "nothing there":
        labels = np.zeros_like(labels)
    elif case == "too large":
        labels = np.ones_like(labels)
    assert search(R, start, labels) is None

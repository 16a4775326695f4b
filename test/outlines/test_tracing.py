"""Traced outlines: their areas are those of the shapes, holes are holes."""

import cv2
import numpy as np
import pytest
from box_surfaces import box_surface
from exact_fields import CAMERA, box_object, random_pose

from casapose_ros import geometry
from casapose_ros.outlines.tracing import trace_outline

RNG = np.random.default_rng(0)
RADII = np.sqrt(RNG.uniform(0.25, 1, 20_000)) * 40
ANGLES = RNG.uniform(0, 2 * np.pi, 20_000)
RING = np.stack([RADII * np.cos(ANGLES), RADII * np.sin(ANGLES)], axis=1) + [200, -30]


def test_a_hole_is_not_inside():
    outline = trace_outline(RING, 192)
    assert outline.area == pytest.approx(np.pi * (40**2 - 20**2), rel=0.02)
    np.testing.assert_allclose(outline.extents.sum(axis=0), 0, atol=1e-9)
    away = outline.middles - [200, -30]
    distance = np.linalg.norm(away, axis=1)
    outer = distance > 30
    assert distance[outer] == pytest.approx(40, abs=1.5)
    assert distance[~outer] == pytest.approx(20, abs=1.5)
    outwards = (outline.outwards * away).sum(axis=1) / distance
    assert outwards[outer].sum() == pytest.approx(2 * np.pi * 40, rel=0.03)
    assert outwards[~outer].sum() == pytest.approx(-2 * np.pi * 20, rel=0.03)


def test_pieces_know_the_point_beside_them():
    outline = trace_outline(RING, 192)
    apart = np.linalg.norm(RING[outline.anchors] - outline.middles, axis=1)
    assert np.median(apart) < 1.5 and apart.max() < 5


def test_two_parts_are_both_inside():
    apart = np.concatenate([RING, RING + [100, 0]])
    alone = trace_outline(RING, 192).area
    assert trace_outline(apart, 192).area == pytest.approx(2 * alone, rel=0.04)


@pytest.mark.parametrize("pieces", [64, 192])
def test_outlines_of_boxes_are_neither_too_large_nor_too_small(pieces):
    box = box_object()
    surface = box.keypoints[0] + box.diameter * box_surface(box)
    ratios = []
    for seed in range(40):
        R, t = random_pose(np.random.default_rng(seed), 0.3, 0.8)
        outline = trace_outline(geometry.project(surface, R, t, CAMERA), pieces)
        corners = geometry.project(box.keypoints[1:], R, t, CAMERA)
        area = cv2.contourArea(cv2.convexHull(corners.astype(np.float32)))
        ratios.append(np.sqrt(outline.area / area))
        assert abs(len(outline.middles) - pieces) <= 2
    assert np.mean(ratios) == pytest.approx(1, abs=0.008)
    assert np.abs(np.array(ratios) - 1).max() < 0.015


@pytest.mark.parametrize("points", [np.ones((9, 2)), np.array([[0.0, 0], [9, 0], [5, 0]])])
def test_a_point_or_a_line_has_no_outline(points):
    assert trace_outline(points, 64) is None

"""Traced outlines: their areas are those of the shapes, holes are holes."""

import cv2
import numpy as np
import pytest
from box_surfaces import box_surface
from exact_fields import CAMERA, box_object, random_pose

from casapose_ros import geometry
from casapose_ros.outlines.tracing import trace_outline

RNG = np.random.default_rng(0)
RING = np.sqrt(RNG.uniform(0.25, 1, (20_000, 1))) * 40
ANGLE = RNG.uniform(0, 2 * np.pi, 20_000)
RING = RING * np.stack([np.cos(ANGLE), np.sin(ANGLE)], axis=1) + [200, -30]


def test_a_hole_is_not_inside():
    outline = trace_outline(RING)["fine"]
    assert outline.area == pytest.approx(np.pi * (40**2 - 20**2), rel=0.02)
    assert abs(outline.rises.sum()) < 1e-9
    # The same from the sum over y: the pieces go around the shape.
    assert outline.middles.mean(axis=0) == pytest.approx([200, -30], abs=2)


def test_two_parts_are_both_inside():
    apart = np.concatenate([RING, RING + [100, 0]])
    assert trace_outline(apart)["fine"].area == pytest.approx(
        2 * trace_outline(RING)["fine"].area, rel=0.04
    )


def test_outlines_of_boxes_are_neither_too_large_nor_too_small():
    box = box_object()
    surface = box.keypoints[0] + box.diameter * box_surface(box)
    ratios = []
    for seed in range(40):
        R, t = random_pose(np.random.default_rng(seed), 0.3, 0.8)
        outline = trace_outline(geometry.project(surface, R, t, CAMERA))["fine"]
        corners = geometry.project(box.keypoints[1:], R, t, CAMERA)
        area = cv2.contourArea(cv2.convexHull(corners.astype(np.float32)))
        ratios.append(np.sqrt(outline.area / area))
    assert np.mean(ratios) == pytest.approx(1, abs=0.005)
    assert np.abs(np.array(ratios) - 1).max() < 0.01


@pytest.mark.parametrize("points", [np.ones((9, 2)), np.array([[0.0, 0], [9, 0], [5, 0]])])
def test_a_point_or_a_line_has_no_outline(points):
    assert trace_outline(points) is None

"""Depth images of single objects."""

from dataclasses import replace

import numpy as np
import pytest
from convex_depth import ConvexSolid
from exact_fields import random_pose
from rendered import box_mesh, require_gl

from casapose_ros.data.depth_rendering import DepthRenderer
from casapose_ros.data.rendering import Renderer
from casapose_ros.errors import RenderError
from casapose_ros.types import CameraModel

CAMERA = CameraModel(np.array([[150, 0, 83.3], [0, 140, 55.1], [0, 0, 1]]), 160, 120)
BOX = box_mesh((0.12, 0.08, 0.06), offset=(0.01, -0.02, 0.015))
ANY_POSE = (np.eye(3), np.array([0, 0, 0.5]))


@pytest.fixture(scope="module")
def renderer():
    require_gl()
    with DepthRenderer({"box": BOX, "cube": box_mesh()}) as made:
        yield made


def test_depth_is_that_of_the_solid_at_the_pixels_centres(renderer):
    solid = ConvexSolid(BOX.vertices)
    rng = np.random.default_rng(0)
    for _ in range(30):
        R, t = random_pose(rng, near=0.25, far=0.6)
        drawn, exact = renderer.render("box", R, t, CAMERA), solid.depth(R, t, CAMERA)
        assert drawn.dtype == np.float32 and drawn.shape == (120, 160)
        both = (drawn > 0) & (exact > 0)
        assert np.count_nonzero(both) > 150
        # Only pixels whose centre lies within rounding of the outline may differ.
        assert np.count_nonzero((drawn > 0) != (exact > 0)) <= 2
        assert np.abs(drawn - exact)[both].max() < 2e-5


def test_an_object_that_is_not_in_view_leaves_the_image_empty(renderer):
    for t in ([5, 0, 0.5], [0, 0, -0.5], [0, 0, 50.0]):
        assert not renderer.render("box", np.eye(3), np.array(t), CAMERA).any()


def test_nothing_is_left_of_the_image_before(renderer):
    first = renderer.render("box", *ANY_POSE, CAMERA).copy()
    renderer.render("cube", np.eye(3), np.array([0.05, 0, 0.3]), CAMERA)
    np.testing.assert_array_equal(renderer.render("box", *ANY_POSE, CAMERA), first)


def test_cameras_of_different_sizes_take_turns(renderer):
    small = CameraModel(np.array([[75, 0, 41.4], [0, 70, 27.3], [0, 0, 1]]), 80, 60)
    before = renderer.render("box", *ANY_POSE, CAMERA)
    assert renderer.render("box", *ANY_POSE, small).shape == (60, 80)
    np.testing.assert_array_equal(renderer.render("box", *ANY_POSE, CAMERA), before)


def test_another_renderer_may_draw_in_between(renderer):
    before = renderer.render("box", *ANY_POSE, CAMERA)
    with Renderer(40, 30, {"cube": box_mesh()}):
        np.testing.assert_array_equal(renderer.render("box", *ANY_POSE, CAMERA), before)
    np.testing.assert_array_equal(renderer.render("box", *ANY_POSE, CAMERA), before)


def test_bad_requests_are_named(renderer):
    with pytest.raises(RenderError, match="no mesh 'cup'; known: box, cube"):
        renderer.render("cup", *ANY_POSE, CAMERA)
    distorted = replace(CAMERA, distortion=np.array([0.1, 0, 0, 0]), distortion_model="plumb_bob")
    with pytest.raises(RenderError, match="rectify"):
        renderer.render("box", *ANY_POSE, distorted)

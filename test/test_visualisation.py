"""Pictures: right pixels in right colours; nothing breaks at the edges."""

import itertools

import numpy as np
import pytest
from exact_fields import CAMERA, Scene, box_object, random_pose

from casapose_ros import geometry
from casapose_ros.estimator import PoseEstimator
from casapose_ros.types import CameraModel, Fields, ObjectPose
from casapose_ros.visualisation import (
    class_colour,
    confidence_picture,
    overlay,
    segmentation_picture,
    vector_field_picture,
)

BOX = box_object()
GREY = np.full((480, 640, 3), 90, dtype=np.uint8)
TINY = CameraModel(np.eye(3), 8, 6)


def pose_at(R, t, camera=CAMERA):
    return ObjectPose(
        name=BOX.name,
        class_id=1,
        instance_id=0,
        score=0.9,
        R_cam_obj=R,
        t_cam_obj=np.asarray(t, dtype=np.float64),
        covariance=np.eye(6),
        keypoints=geometry.project(BOX.keypoints, R, t, camera),
        keypoint_covariances=np.tile(np.eye(2), (9, 1, 1)),
        box=(100.0, 100.0, 200.0, 200.0),
        visible_pixels=1000,
        reprojection_error=0.5,
    )


@pytest.fixture(scope="module")
def found():
    scene = Scene(CAMERA)
    scene.place(BOX, *random_pose(np.random.default_rng(0)))
    scene.fields.confidence[...] = np.random.default_rng(1).normal(size=(480, 640, 9))
    return PoseEstimator(scene.predict, [BOX], (640, 480)).run(GREY, CAMERA)


def colour_at(picture, point):
    return tuple(picture[int(point[1]), int(point[0])].tolist())


def test_colours_of_thirty_classes_differ():
    colours = np.array([class_colour(i) for i in range(31)])
    assert class_colour(0) == (0, 0, 0)
    for a, b in itertools.combinations(range(31), 2):
        assert np.abs(colours[a] - colours[b]).max() > 10, (a, b)


def test_overlay_draws_keypoints_edges_and_axes(found):
    picture = overlay(GREY, found.objects, [BOX], CAMERA)
    (pose,) = found.objects
    assert picture.shape == GREY.shape and picture.dtype == np.uint8
    assert np.all(GREY == 90)
    drawn = [colour_at(picture, k) == class_colour(1) for k in pose.keypoints[1:]]
    assert sum(drawn) >= 7  # the name may cover one
    low, high = BOX.box_min, BOX.box_max
    edge = np.array([[low[0], low[1], (low[2] + high[2]) / 2]])
    middle = geometry.project(edge, pose.R_cam_obj, pose.t_cam_obj, CAMERA)[0]
    assert colour_at(picture, middle) != (90, 90, 90)
    tip = geometry.project(0.35 * BOX.diameter * np.eye(3), pose.R_cam_obj, pose.t_cam_obj, CAMERA)
    for colour, point in zip(np.eye(3), tip, strict=True):
        assert np.argmax(colour_at(picture, point)) == np.argmax(colour)


def test_overlay_without_objects_is_the_image():
    assert np.array_equal(overlay(GREY, [], [BOX], CAMERA), GREY)


@pytest.mark.parametrize(
    "t", [(0, 0, 0.02), (0, 0, 0.05), (1e3, 0, 1.0), (0.4, 0.3, 0.6), (0, 0, 100)]
)
@pytest.mark.parametrize("distortion", [[], [-0.3, 0.2, 0, 0, 5.0]])
def test_overlay_of_objects_behind_beside_and_far_away(t, distortion):
    camera = CameraModel(
        CAMERA.K, 640, 480, np.array(distortion), "plumb_bob" if distortion else "none"
    )
    pose = pose_at(np.eye(3), np.array(t), camera)
    assert overlay(GREY, [pose], [BOX], camera).shape == GREY.shape


def test_overlay_on_an_image_that_is_not_contiguous():
    assert overlay(GREY[:, ::-1], [], [BOX], CAMERA).flags["C_CONTIGUOUS"]


def test_segmentation_shows_each_class_in_its_colour():
    labels = np.array([[0, 1], [2, 7]], dtype=np.uint8)
    picture = segmentation_picture(labels)
    expected = [class_colour(i) for i in labels.ravel()]
    assert [tuple(c) for c in picture.reshape(-1, 3).tolist()] == expected


def test_vector_field_hue_is_the_direction():
    fields = Scene(TINY).fields
    fields.labels[0, :4] = 1
    fields.vectors[0, :4, 2] = [(0, 5), (1e-3, 0), (0, -1), (-1, 0)]  # (dy, dx)
    picture = vector_field_picture(fields, 2, legend=False)
    right, down, left, up = picture[0, :4].astype(int)
    assert right.tolist() == [255, 0, 0]
    assert down[1] > 250 and 100 < down[0] < 150 and down[2] == 0  # yellow-green: a quarter on
    assert left[0] < 10 and left[1] > 240 and left[2] > 240  # cyan
    assert up[2] > 240 and 100 < up[0] < 150 and up[1] < 10  # violet
    assert not picture[1:].any() and not picture[:, 4:].any()


def test_vector_field_legend_is_a_wheel_in_the_corner():
    fields = Scene(CAMERA).fields
    picture = vector_field_picture(fields, 0)
    assert not picture[:400, :560].any()
    radius = 480 // 12
    assert picture[480 - radius - 1, 639].tolist() == [255, 0, 0]
    assert not vector_field_picture(fields, 0, legend=False).any()
    assert vector_field_picture(Scene(TINY).fields, 0).shape == (6, 8, 3)


def test_confidence_runs_from_dark_to_bright_inside_each_mask():
    fields = Scene(TINY, 2).fields
    fields.labels[0] = 1
    fields.labels[2] = 2
    fields.confidence[0, :, 4] = np.arange(8)
    fields.confidence[2, :, 4] = 100 + np.arange(8)
    picture = confidence_picture(fields, 4, [], TINY).astype(int)
    brightness = picture.sum(axis=2)
    assert np.all(np.diff(brightness[0]) > 0) and brightness[0, 0] > 0
    assert brightness[2, 0] == brightness[0, 0] and brightness[2, 7] == brightness[0, 7]
    assert not picture[[1, 3, 4, 5]].any()


def test_confidence_circles_the_keypoint_at_any_resolution(found):
    half = Fields(
        found.fields.logits[::2, ::2],
        found.fields.vectors[::2, ::2],
        found.fields.confidence[::2, ::2],
        np.zeros((240, 320), np.uint8),
    )
    for fields, scale, radius in ((found.fields, 1, 10), (half, 2, 5)):
        picture = confidence_picture(fields, 3, found.objects, CAMERA)
        empty = confidence_picture(fields, 3, [], CAMERA)
        rows, cols = np.nonzero((picture != empty).any(axis=2))
        centre = np.array([cols.min() + cols.max() + 1, rows.min() + rows.max() + 1]) / 2
        assert np.abs(centre - found.objects[0].keypoints[3] / scale).max() <= 1
        assert cols.max() - cols.min() == pytest.approx(2 * radius, abs=8)


def test_what_is_not_a_number_is_not_drawn(found):
    (pose,) = found.objects
    unknown = pose_at(pose.R_cam_obj, pose.t_cam_obj)
    unknown.keypoints[...] = np.nan
    assert np.array_equal(
        confidence_picture(found.fields, 0, [unknown], CAMERA),
        confidence_picture(found.fields, 0, [], CAMERA),
    )
    fields = Scene(TINY).fields
    fields.labels[...] = 1
    fields.vectors[...] = np.nan
    fields.confidence[...] = np.nan
    assert vector_field_picture(fields, 0).shape == (6, 8, 3)
    assert confidence_picture(fields, 0, [], TINY).shape == (6, 8, 3)


def test_empty_fields_are_black():
    fields = Scene(TINY).fields
    assert not segmentation_picture(fields.labels).any()
    assert not vector_field_picture(fields, 0, legend=False).any()
    assert not confidence_picture(fields, 0, [], TINY).any()

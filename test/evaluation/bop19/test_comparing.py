"""Which estimates and which true instances of a target are compared, and with what result."""

from dataclasses import replace

import numpy as np
import pytest

from casapose_ros.errors import DatasetError
from casapose_ros.evaluation.bop19.comparing import best, compare, most_visible
from casapose_ros.evaluation.records import FrameRecord
from casapose_ros.types import CameraModel


@pytest.fixture
def record_of(camera):
    def make(truths, poses, camera=camera) -> FrameRecord:
        return FrameRecord(
            "000002/000031", "set", camera, tuple(poses), tuple(truths), {}, {}, None
        )

    return make


def flat_depth(_name, _R, t, camera) -> np.ndarray:
    """A plane through the object's origin that fills the image; nothing behind the camera."""
    return np.full((camera.height, camera.width), max(t[2], 0.0))


def test_the_best_scores_are_taken_and_of_equal_ones_the_first(true_object, estimate_of):
    cube, bar = true_object("cube"), true_object("bar")
    scores = [(cube, 0.5), (bar, 1.0), (cube, 0.9), (cube, 0.5), (cube, np.nan)]
    poses = tuple(estimate_of(truth, score=score) for truth, score in scores)
    assert best(poses, "cube", 2) == [2, 0]
    assert best(poses, "cube", 9) == [2, 0, 3, 4]
    assert best(poses, "cup", 1) == []


def test_the_most_visible_are_valid_and_of_equal_ones_the_first(true_object):
    truths = [true_object(visibility=v) for v in (0.3, 0.5, 0.1, 0.5, 0.3)]
    assert most_visible(truths, 3).tolist() == [True, True, False, True, False]
    assert most_visible(truths, 9).all()
    assert most_visible([], 2).shape == (0,)


def test_errors_of_every_pair(record_of, references, true_object, estimate_of):
    near, far = true_object(x=0.0), true_object(x=0.1)
    poses = [estimate_of(far, score=0.8), estimate_of(near, shift=(0.01, 0, 0), score=0.9)]
    errors = compare(record_of([near, far, true_object("bar")], poses), references["cube"], 2)
    assert errors.estimates == (1, 0) and errors.vsd is None
    diameter = references["cube"].model.diameter
    np.testing.assert_allclose(errors.mssd * diameter, [[0.01, 0.09], [0.1, 0]], atol=1e-12)
    assert errors.mspd[1, 1] == pytest.approx(0, abs=1e-9)
    assert errors.mspd[0, 0] > 500 * 0.01 / 0.7


def test_only_as_many_estimates_as_asked_for(record_of, references, true_object, estimate_of):
    truth = true_object()
    poses = [estimate_of(truth, shift=(0.03, 0, 0), score=0.9), estimate_of(truth, score=0.8)]
    errors = compare(record_of([truth], poses), references["cube"], 1)
    assert errors.mssd.shape == (1, 1) and errors.mssd[0, 0] > 0.1


def test_projection_distances_count_as_in_an_image_640_px_wide(
    record_of, references, camera, true_object, estimate_of
):
    truth = true_object()
    poses = [estimate_of(truth, shift=(0.01, 0, 0))]
    K = np.diag([2, 2, 1]) @ camera.K
    double = CameraModel(K, 2 * camera.width, 2 * camera.height)
    one, two = (
        compare(record_of([truth], poses, c), references["cube"], 1).mspd[0, 0]
        for c in (camera, double)
    )
    assert one == pytest.approx(two)
    wide = replace(camera, width=1280)
    assert compare(record_of([truth], poses, wide), references["cube"], 1).mspd == one / 2


def test_origins_a_diameter_apart_are_not_compared_in_space(
    record_of, references, true_object, estimate_of
):
    truth = true_object()
    diameter = references["cube"].model.diameter
    for factor, finite in ((0.999, True), (1.001, False)):
        poses = [estimate_of(truth, shift=(factor * diameter, 0, 0))]
        errors = compare(record_of([truth], poses), references["cube"], 1)
        assert np.isfinite(errors.mssd[0, 0]) == finite
        assert np.isfinite(errors.mspd[0, 0])


def test_without_estimates_or_instances_there_are_no_pairs(
    record_of, references, camera, true_object, estimate_of
):
    depth = np.ones((camera.height, camera.width))
    truth = true_object()
    none = compare(record_of([truth], []), references["cube"], 1, depth, flat_depth)
    assert none.mssd.shape == (0, 1) and none.vsd.shape == (0, 1, 10)
    absent = compare(record_of([], [estimate_of(truth)]), references["cube"], 1, depth, flat_depth)
    assert absent.mssd.shape == (1, 0) and absent.vsd.shape == (1, 0, 10)


def test_visible_surfaces_are_compared(record_of, references, camera, true_object, estimate_of):
    truth = true_object()
    depth = np.full((camera.height, camera.width), truth.t_cam_obj[2])
    # A quarter of the diameter away along the axis: right for the greater half of the tolerances.
    shift = (0, 0, -0.24 * references["cube"].model.diameter)
    poses = [estimate_of(truth), estimate_of(truth, shift=shift, score=0.5)]
    vsd = compare(record_of([truth], poses), references["cube"], 2, depth, flat_depth).vsd
    assert not vsd[0, 0].any()
    assert vsd[1, 0, 3] > 0.9 and vsd[1, 0, 9] == 0


def test_surfaces_far_apart_in_the_image_are_not_drawn(
    record_of, references, camera, true_object, estimate_of
):
    def fail(*_):
        raise AssertionError("drawn")

    truth = true_object()
    depth = np.ones((camera.height, camera.width))
    x, y, z = truth.t_cam_obj
    for t in ((x + 0.3, y, z), (-x, -y, -z), (x, y, np.nan), (x, y, 0.0)):
        pose = replace(estimate_of(truth), t_cam_obj=np.array(t))
        errors = compare(record_of([truth], [pose]), references["cube"], 1, depth, fail)
        assert (errors.vsd == 1).all()


def test_each_pose_is_drawn_once(record_of, references, camera, true_object, estimate_of):
    drawn = []

    def draw(name, R, t, camera):
        drawn.append(name)
        return flat_depth(name, R, t, camera)

    truths = [true_object(x=x) for x in (0.0, 0.01)]
    poses = [estimate_of(truth) for truth in truths]
    depth = np.ones((camera.height, camera.width))
    compare(record_of(truths, poses), references["cube"], 2, depth, draw)
    assert drawn == ["cube"] * 4


def test_a_rotation_that_is_none_is_wrong(record_of, references, camera, true_object, estimate_of):
    truth = true_object()
    pose = replace(estimate_of(truth), R_cam_obj=np.full((3, 3), np.nan))
    depth = np.ones((camera.height, camera.width))
    errors = compare(record_of([truth], [pose]), references["cube"], 1, depth, flat_depth)
    assert errors.mssd[0, 0] == errors.mspd[0, 0] == np.inf
    assert (errors.vsd == 1).all()


def test_a_depth_image_of_another_size_is_named(record_of, references, true_object):
    record = record_of([true_object()], [])
    with pytest.raises(DatasetError, match="000002/000031: its depth image is 8x6 px.*640x480"):
        compare(record, references["cube"], 1, np.ones((6, 8)), flat_depth)

"""Poses that have to fit the object's mask as well, behind exact fields."""

import numpy as np
import pytest
from box_surfaces import box_surface
from exact_fields import CAMERA, Scene, box_object, random_pose, silhouette

from casapose_ros import geometry
from casapose_ros.errors import ConfigError
from casapose_ros.estimator import PoseEstimator
from casapose_ros.settings import EstimatorConfig

BOX = box_object()
IMAGE = np.zeros((480, 640, 3), dtype=np.uint8)


def estimator_for(scene, **settings):
    return PoseEstimator(scene.predict, (BOX,), (640, 480), EstimatorConfig(**settings))


def drawn_together(scene, obj, R, t, share=0.8):
    """Place an object whose keypoints lie too near to their mean, as those that are unsure do."""
    keypoints = geometry.project(obj.keypoints, R, t, scene.camera)
    mean = keypoints.mean(axis=0)
    scene.point_at(
        silhouette(obj, R, t, scene.camera), obj.class_id, mean + share * (keypoints - mean)
    )


def refining(scene, known=(BOX,), **settings):
    surfaces = [box_surface(obj) for obj in known]
    config = EstimatorConfig(refinement="outline", covariance_scale=1e4, **settings)
    return PoseEstimator(scene.predict, known, (640, 480), config, surfaces=surfaces)


@pytest.mark.parametrize("seed", range(5))
def test_the_outline_brings_back_what_is_too_far_away(seed):
    R, t = random_pose(np.random.default_rng(seed), 0.6, 1.0)
    scene = Scene(CAMERA)
    drawn_together(scene, BOX, R, t)
    (plain,) = estimator_for(scene, covariance_scale=1e4).estimate(IMAGE, CAMERA)
    (refined,) = refining(scene).estimate(IMAGE, CAMERA)
    assert plain.t_cam_obj[2] / t[2] > 1.15
    assert refined.t_cam_obj[2] / t[2] == pytest.approx(1, abs=0.03)
    assert np.trace(refined.covariance) < np.trace(plain.covariance)
    np.testing.assert_array_equal(refined.keypoints, plain.keypoints)


def test_certain_keypoints_outweigh_the_outline():
    R, t = random_pose(np.random.default_rng(0), 0.6, 1.0)
    scene = Scene(CAMERA)
    scene.place(BOX, R, t)
    scene.fields.labels[:] = 0  # of the mask there is a part only
    mask = silhouette(BOX, R, t, CAMERA)
    mask[:, int(np.nonzero(mask)[1].mean()) :] = False
    scene.place(BOX, R, t, mask)
    settings = EstimatorConfig(refinement="outline")
    surfaces = [box_surface(BOX)]
    estimator = PoseEstimator(scene.predict, (BOX,), (640, 480), settings, surfaces=surfaces)
    (pose,) = estimator.estimate(IMAGE, CAMERA)
    assert pose.t_cam_obj[2] / t[2] == pytest.approx(1, abs=0.002)


def test_each_of_several_instances_has_its_own_outline():
    scene = Scene(CAMERA)
    R = np.eye(3)
    places = [np.array([x, 0.0, 0.7]) for x in (-0.07, 0.075)]
    for t in places:
        drawn_together(scene, BOX, R, t)
    poses = refining(scene, max_instances=2).estimate(IMAGE, CAMERA)
    found = sorted(poses, key=lambda pose: pose.t_cam_obj[0])
    for pose, t in zip(found, places, strict=True):
        assert pose.t_cam_obj[2] / t[2] == pytest.approx(1, abs=0.04)
        assert np.linalg.norm(pose.t_cam_obj[:2] - t[:2]) < 0.008


def test_a_pose_whose_outline_fits_nowhere_is_not_trusted():
    scene, strip = Scene(CAMERA), np.zeros((480, 640), dtype=bool)
    strip[:16] = True
    scene.place(BOX, np.eye(3), np.array([0.0, -0.27, 0.7]), strip)
    (pose,) = refining(scene).estimate(IMAGE, CAMERA)
    (plain,) = estimator_for(scene).estimate(IMAGE, CAMERA)
    assert pose.score < 0.02 < 0.9 < plain.score


@pytest.mark.parametrize("share, wanted", [(1.4, "object"), (2.5, "other")])
def test_of_two_components_it_is_the_one_that_its_outline_covers(share, wanted):
    """The larger one is a strip, as no box is seen; more than twice as large, it alone counts."""
    R, t = geometry.rotation_from_vector([0.4, 0.5, 0.0]), np.array([-0.1, 0.0, 0.7])
    scene = Scene(CAMERA)
    scene.place(BOX, R, t)
    strip = np.zeros((480, 640), dtype=bool)
    strip.flat[: int(share * np.count_nonzero(scene.fields.labels))] = True
    scene.place(BOX, R, np.array([0.0, -0.27, 0.7]), strip)
    (pose,) = refining(scene).estimate(IMAGE, CAMERA)
    (plain,) = estimator_for(scene).estimate(IMAGE, CAMERA)
    assert np.linalg.norm(plain.t_cam_obj - t) > 0.1
    assert (np.linalg.norm(pose.t_cam_obj - t) < 0.01) == (wanted == "object")


def test_of_two_that_fit_alike_the_larger_is_the_object():
    scene, R = Scene(CAMERA), np.eye(3)
    for x, z in ((-0.1, 0.7), (0.1, 0.75)):
        scene.place(BOX, R, np.array([x, 0.0, z]))
    (pose,) = refining(scene).estimate(IMAGE, CAMERA)
    assert pose.t_cam_obj[0] == pytest.approx(-0.1, abs=0.005)


def test_outlines_need_surfaces():
    scene = Scene(CAMERA)
    with pytest.raises(ConfigError, match="casapose outlines BUNDLE.*or set refinement: none"):
        estimator_for(scene, refinement="outline")
    plain = estimator_for(scene)
    with pytest.raises(ConfigError, match="has none"):
        plain.with_config(EstimatorConfig(refinement="outline"))

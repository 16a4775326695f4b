"""The whole chain behind the network: exact fields of a known pose give that pose back."""

import itertools

import numpy as np
import pytest
from exact_fields import CAMERA, Scene, box_object, random_pose, silhouette

from casapose_ros import geometry
from casapose_ros.errors import CameraError, ConfigError, ImageError
from casapose_ros.estimator import PoseEstimator
from casapose_ros.framing import Framing
from casapose_ros.score import FEW, ScoreCalibration
from casapose_ros.settings import EstimatorConfig
from casapose_ros.types import CameraModel

BOX = box_object()
IMAGE = np.zeros((480, 640, 3), dtype=np.uint8)


def estimator_for(scene, known=(BOX,), input_size=(640, 480), **settings):
    return PoseEstimator(scene.predict, known, input_size, EstimatorConfig(**settings))


def assert_pose(pose, R, t):
    """Rotation within 0.01 degrees, translation within 0.1 mm."""
    assert np.rad2deg(geometry.rotation_angle(pose.R_cam_obj, R)) < 0.01
    assert 1000 * np.linalg.norm(pose.t_cam_obj - t) < 0.1


def keep_half(mask, rng):
    """The part of a mask on one side of a random line through its middle."""
    rows, cols = np.nonzero(mask)
    angle = rng.uniform(0, 2 * np.pi)
    side = np.cos(angle) * (cols - cols.mean()) + np.sin(angle) * (rows - rows.mean()) > 0
    half = np.zeros_like(mask)
    half[rows[side], cols[side]] = True
    return half


@pytest.mark.parametrize(
    ("method", "seed"),
    [("dkr", seed) for seed in range(100)] + [("ransac", seed) for seed in range(10)],
)
def test_exact_fields_give_the_pose_back(seed, method):
    R, t = random_pose(np.random.default_rng(seed))
    scene = Scene(CAMERA)
    expected = scene.place(BOX, R, t)
    (pose,) = estimator_for(scene, keypoint_method=method).estimate(IMAGE, CAMERA)
    assert_pose(pose, R, t)
    assert np.abs(pose.keypoints - expected).max() < 0.01
    assert (pose.name, pose.class_id, pose.instance_id) == ("box1", 1, 0)
    assert pose.score == pytest.approx(pose.visible_pixels / (pose.visible_pixels + FEW), abs=1e-3)
    assert pose.reprojection_error < 0.01
    assert pose.visible_pixels == np.count_nonzero(scene.fields.labels)


def test_keypoints_that_disagree_are_weighted_unless_told_not_to():
    """Vectors that are noisier on one half of the object spoil some keypoints more than others."""
    rng = np.random.default_rng(0)
    R, t = random_pose(rng)
    scene = Scene(CAMERA)
    scene.place(BOX, R, t)
    scene.fields.vectors[..., 1:5, :] += rng.normal(0, 0.3, (480, 640, 4, 2))
    weighted, default, alike = (
        estimator_for(scene, **settings).estimate(IMAGE, CAMERA)[0]
        for settings in ({"pnp": "weighted"}, {}, {"pnp": "iterative"})
    )
    assert np.array_equal(weighted.R_cam_obj, default.R_cam_obj)
    assert np.array_equal(weighted.keypoints, alike.keypoints)
    assert not np.array_equal(weighted.R_cam_obj, alike.R_cam_obj)
    assert np.linalg.det(weighted.covariance) < np.linalg.det(alike.covariance)


@pytest.mark.parametrize("seed", range(100))
def test_hidden_halves(seed):
    rng = np.random.default_rng(1000 + seed)
    R, t = random_pose(rng)
    scene = Scene(CAMERA)
    scene.place(BOX, R, t, keep_half(silhouette(BOX, R, t, CAMERA), rng))
    (pose,) = estimator_for(scene).estimate(IMAGE, CAMERA)
    assert_pose(pose, R, t)


@pytest.mark.parametrize("seed", range(100))
def test_a_second_blob_is_left_alone(seed):
    rng = np.random.default_rng(2000 + seed)
    R, t = random_pose(rng)
    scene = Scene(CAMERA)
    mask = silhouette(BOX, R, t, CAMERA)
    blob = np.zeros_like(mask)
    side = int(np.sqrt(0.5 * np.count_nonzero(mask)))
    row, col = (0, 0) if t[1] > 0 else (480 - side, 0)
    blob[row : row + side, col : col + side] = True
    assert not np.any(mask & blob)
    scene.point_at(blob, 1, rng.uniform(0, 480, (9, 2)))
    scene.place(BOX, R, t, mask)
    (pose,) = estimator_for(scene).estimate(IMAGE, CAMERA)
    assert_pose(pose, R, t)
    disturbed = estimator_for(scene, component="all").estimate(IMAGE, CAMERA)
    assert not disturbed or disturbed[0].score < pose.score


@pytest.mark.parametrize("seed", range(20))
def test_cut_off_by_the_image_border(seed):
    rng = np.random.default_rng(3000 + seed)
    scene = Scene(CAMERA)
    while True:
        R, t = random_pose(rng, near=0.3, far=0.6, spread=0.8)
        mask = silhouette(BOX, R, t, CAMERA)
        edges = mask[0].any() + mask[-1].any() + mask[:, 0].any() + mask[:, -1].any()
        if edges and np.count_nonzero(mask) > 500:
            break
    expected = scene.place(BOX, R, t, mask)
    assert np.any((expected < 0) | (expected > (640, 480)))
    (pose,) = estimator_for(scene).estimate(IMAGE, CAMERA)
    assert_pose(pose, R, t)
    assert 0 <= pose.box[0] < pose.box[2] <= 640 and 0 <= pose.box[1] < pose.box[3] <= 480


def test_object_that_covers_ninety_percent():
    camera = CameraModel(np.array([[300.0, 0, 319.5], [0, 300, 239.5], [0, 0, 1]]), 640, 480)
    box = box_object(size=(0.4, 0.31, 0.05))
    R, t = np.eye(3), np.array([-0.01, 0.02, 0.21])
    scene = Scene(camera)
    scene.place(box, R, t)
    assert 0.88 < np.count_nonzero(scene.fields.labels) / scene.fields.labels.size < 0.999
    (pose,) = estimator_for(scene, [box]).estimate(IMAGE, camera)
    assert_pose(pose, R, t)


def test_no_pixels_no_pose():
    assert estimator_for(Scene(CAMERA)).estimate(IMAGE, CAMERA) == []


def test_two_objects_of_which_one_hides_the_other():
    small, large = box_object(1, (0.06, 0.05, 0.04)), box_object(2, (0.2, 0.15, 0.1))
    R, _ = random_pose(np.random.default_rng(1))
    behind, before = np.array([0.02, 0.01, 0.9]), np.array([0.0, 0.0, 0.6])
    scene = Scene(CAMERA, 3)
    scene.place(large, R, behind)
    scene.place(small, R.T, before)
    estimate = estimator_for(scene, [small, large, box_object(3)]).estimate(IMAGE, CAMERA)
    poses = {pose.name: pose for pose in estimate}
    assert set(poses) == {"box1", "box2"}
    assert_pose(poses["box1"], R.T, before)
    assert_pose(poses["box2"], R, behind)


@pytest.mark.parametrize(("count", "found"), [(199, 0), (200, 1)])
def test_objects_below_two_hundred_pixels_are_left_out(count, found):
    R, t = random_pose(np.random.default_rng(2))
    scene = Scene(CAMERA)
    rows, cols = np.nonzero(silhouette(BOX, R, t, CAMERA))
    mask = np.zeros((480, 640), dtype=bool)
    mask[rows[:count], cols[:count]] = True
    scene.place(BOX, R, t, mask)
    assert len(estimator_for(scene, component="all").estimate(IMAGE, CAMERA)) == found


SIZES = [(640, 480), (641, 483), (333, 517), (1280, 720), (320, 240), (64, 2000)]
INPUTS = [(640, 480), (320, 240), (448, 448), (100, 700)]
FRAMINGS = [
    (size, network)
    for size, network in itertools.product(SIZES, INPUTS)
    if min(Framing.fit(size, network).content_size) >= 60  # else too few pixels show the object
]


@pytest.mark.parametrize(("size", "network"), FRAMINGS)
def test_any_image_size_and_any_network_size(size, network):
    """The scene is drawn at the network's resolution; the pose is the camera's all the same."""
    width, height = size
    K = np.array([[500.0, 0, width / 2 + 3.3], [0, 510, height / 2 - 2.7], [0, 0, 1]])
    K[:2, :2] *= min(size) / 480
    camera = CameraModel(K, width, height)
    R, t = random_pose(np.random.default_rng(3), near=0.3, far=0.4, spread=0.05)
    content = Framing.fit(size, network).content_size
    scene = Scene(geometry.resize_camera(camera, *content))
    scene.place(BOX, R, t)
    estimator = estimator_for(scene, input_size=network, min_pixels=1)
    estimate = estimator.run(np.zeros((height, width, 3), np.uint8), camera)
    (pose,) = estimate.objects
    assert_pose(pose, R, t)
    assert np.abs(pose.keypoints - geometry.project(BOX.keypoints, R, t, camera)).max() < 0.02
    assert estimate.fields.labels.shape == content[::-1]  # padding is cut off
    area = np.count_nonzero(silhouette(BOX, R, t, camera))
    assert pose.visible_pixels == pytest.approx(area, rel=0.05, abs=20)


def test_native_size_takes_the_image_as_it_is():
    camera = geometry.resize_camera(CAMERA, 333, 250)
    R, t = random_pose(np.random.default_rng(4))
    scene = Scene(camera)
    scene.place(BOX, R, t)
    estimator = estimator_for(scene, input_size=(64, 64), network_size="native")
    estimate = estimator.run(np.zeros((250, 333, 3), np.uint8), camera)
    assert_pose(estimate.objects[0], R, t)
    assert estimate.fields.logits.shape == (250, 333, 2)


@pytest.mark.parametrize(
    ("model", "D"),
    [
        ("plumb_bob", [-0.25, 0.12, 0.001, -0.0008, -0.02]),
        ("rational_polynomial", [0.3, -0.05, 0.0005, 0.0002, 0.01, 0.6, -0.02, 0.02]),
        ("equidistant", [0.05, -0.01, 0.003, 0.0]),
    ],
)
def test_distortion_is_taken_out(model, D):
    camera = CameraModel(CAMERA.K, 640, 480, np.array(D), model)
    R, t = random_pose(np.random.default_rng(5), spread=0.3)
    scene = Scene(camera)
    scene.place(BOX, R, t)
    (pose,) = estimator_for(scene).estimate(IMAGE, camera)
    assert_pose(pose, R, t)


def test_score_falls_with_doubt_about_mask_and_keypoints():
    R, t = random_pose(np.random.default_rng(6))
    rng = np.random.default_rng(0)
    scores = []
    for noise, logit in [(0, 10), (0, 1), (0.3, 10)]:
        scene = Scene(CAMERA)
        keypoints = geometry.project(BOX.keypoints, R, t, CAMERA)
        mask = silhouette(BOX, R, t, CAMERA)
        scene.point_at(mask, 1, keypoints + noise * rng.normal(0, 20, (9, 2)))
        scene.fields.logits[mask] = (0, logit)
        (pose,) = estimator_for(scene).estimate(IMAGE, CAMERA)
        scores.append(pose.score)
    certain = np.count_nonzero(mask) / (np.count_nonzero(mask) + FEW)
    assert scores[0] == pytest.approx(certain, abs=1e-3)
    assert scores[1] == pytest.approx(certain / (1 + np.exp(-1)), abs=1e-2)
    assert 0 <= scores[2] < 0.9 * certain


def test_threshold_names_and_calibration():
    R, t = random_pose(np.random.default_rng(7))
    scene = Scene(CAMERA, 2)
    scene.place(BOX, R, t)
    objects = [BOX, box_object(2)]
    assert len(estimator_for(scene, objects, objects=("box1",)).estimate(IMAGE, CAMERA)) == 1
    assert estimator_for(scene, objects, objects=("box2",)).estimate(IMAGE, CAMERA) == []
    doubt = ScoreCalibration(offset=-30)
    sceptic = PoseEstimator(scene.predict, objects, (640, 480), calibration=doubt)
    assert sceptic.estimate(IMAGE, CAMERA)[0].score < 0.01
    strict = sceptic.with_config(EstimatorConfig(score_threshold=0.5))
    assert strict.estimate(IMAGE, CAMERA) == []
    assert strict.predictor is sceptic.predictor and strict.calibration is doubt


def test_covariances_are_scaled_as_the_model_says():
    scene = Scene(CAMERA)
    scene.place(BOX, *random_pose(np.random.default_rng(7)))
    (plain,) = estimator_for(scene).estimate(IMAGE, CAMERA)
    (scaled,) = estimator_for(scene, covariance_scale=4.0).estimate(IMAGE, CAMERA)
    expected = 4 * plain.keypoint_covariances
    np.testing.assert_allclose(scaled.keypoint_covariances, expected, rtol=1e-12)
    np.testing.assert_allclose(scaled.covariance, 4 * plain.covariance, rtol=1e-6)
    np.testing.assert_array_equal(scaled.R_cam_obj, plain.R_cam_obj)


def test_best_score_comes_first_and_times_are_told():
    scene = Scene(CAMERA, 2)
    doubtful, sure = box_object(1), box_object(2)
    scene.place(doubtful, *random_pose(np.random.default_rng(8)))
    scene.fields.logits[scene.fields.labels == 1] = (0, 0.5, 0)
    scene.place(sure, np.eye(3), np.array([-0.25, 0.2, 0.8]))
    ticks = itertools.count(0, 2)
    estimator = PoseEstimator(
        scene.predict, [doubtful, sure], (640, 480), clock=lambda: next(ticks)
    )
    estimate = estimator.run(IMAGE, CAMERA)
    assert [pose.name for pose in estimate.objects] == ["box2", "box1"]
    assert estimate.times == {"preprocess": 2, "network": 2, "keypoints": 2, "pnp": 2}


def test_covariance_is_small_and_positive_where_all_is_exact():
    R, t = random_pose(np.random.default_rng(9), near=0.5, far=0.6)
    scene = Scene(CAMERA)
    scene.place(BOX, R, t)
    (pose,) = estimator_for(scene).estimate(IMAGE, CAMERA)
    assert np.all(np.linalg.eigvalsh(pose.covariance) > 0)
    assert np.sqrt(np.diag(pose.covariance)).max() < 0.01


def test_undetermined_keypoints_are_not_a_number():
    R, t = random_pose(np.random.default_rng(10))
    scene = Scene(CAMERA)
    scene.place(BOX, R, t)
    scene.fields.vectors[:, :, 3] = (0, 1)
    (pose,) = estimator_for(scene).estimate(IMAGE, CAMERA)
    assert np.isnan(pose.keypoints[3]).all() and np.isnan(pose.keypoint_covariances[3]).all()
    assert np.isfinite(np.delete(pose.keypoints, 3, axis=0)).all()
    assert_pose(pose, R, t)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((480, 640), np.uint8), r"\(480, 640\)"),
        (np.zeros((480, 640, 4), np.uint8), r"\(480, 640, 4\)"),
        (np.zeros((480, 640, 3), np.float32), "float32"),
        (np.zeros((0, 640, 3), np.uint8), "no pixels"),
        (None, "NoneType"),
    ],
)
def test_bad_images_are_refused(image, message):
    with pytest.raises(ImageError, match=message):
        estimator_for(Scene(CAMERA)).run(image, CAMERA)


def test_camera_of_another_size_is_refused():
    with pytest.raises(CameraError, match="640x480 images, got one of 320x240"):
        estimator_for(Scene(CAMERA)).run(np.zeros((240, 320, 3), np.uint8), CAMERA)


def test_unknown_object_names_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'box1'"):
        estimator_for(Scene(CAMERA)).with_config(EstimatorConfig(objects=("bx1",)))


def test_instances_of_one_object_are_told_apart():
    poses = [random_pose(np.random.default_rng(seed)) for seed in (1, 2)]
    scene = Scene(CAMERA)
    for (R, _), x in zip(poses, (-0.12, 0.1), strict=True):
        scene.place(BOX, R, np.array([x, 0.0, 0.7]))
    (one,) = estimator_for(scene).estimate(IMAGE, CAMERA)
    found = estimator_for(scene, max_instances=3).estimate(IMAGE, CAMERA)
    assert sorted(pose.instance_id for pose in found) == [0, 1]
    found.sort(key=lambda pose: pose.t_cam_obj[0])
    for pose, (R, _), x in zip(found, poses, (-0.12, 0.1), strict=True):
        assert_pose(pose, R, np.array([x, 0.0, 0.7]))
    assert one.visible_pixels == pytest.approx(max(p.visible_pixels for p in found), abs=5)


def test_instances_are_numbered_by_their_scores():
    """The larger one is worse, and left out where its score does not suffice."""
    scene = Scene(CAMERA)
    R, _ = random_pose(np.random.default_rng(1))
    scene.place(BOX, R, np.array([-0.1, 0.0, 0.5]))
    scene.fields.vectors[:, :, 1:] += np.random.default_rng(0).normal(0, 0.5, (480, 640, 8, 2))
    scene.place(BOX, R, np.array([0.15, 0.0, 0.8]))
    good, bad = estimator_for(scene, max_instances=2).estimate(IMAGE, CAMERA)
    assert (good.instance_id, bad.instance_id) == (0, 1)
    assert good.visible_pixels < bad.visible_pixels and bad.score < good.score
    between = (good.score + bad.score) / 2
    estimator = estimator_for(scene, max_instances=2, score_threshold=between)
    (only,) = estimator.estimate(IMAGE, CAMERA)
    assert only.instance_id == 0 and only.score == good.score


def test_objects_called_like_instances_are_refused():
    known = box_object(1, name="cup"), box_object(2, name="cup_1"), box_object(3, name="mug_1")
    scene = Scene(CAMERA, num_objects=3)
    assert estimator_for(scene, known).objects == known
    with pytest.raises(ConfigError, match="'cup_1' is called like an instance of 'cup'"):
        estimator_for(scene, known, max_instances=2)
    estimator_for(scene, (known[0], box_object(2, name="mug_1")), max_instances=2)

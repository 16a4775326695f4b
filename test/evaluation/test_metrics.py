"""Error measures on cases whose answer is known in closed form."""

import numpy as np
import pytest

from casapose_ros.evaluation import metrics
from casapose_ros.geometry import rotation_from_vector
from casapose_ros.types import CameraModel

EYE, ZERO = np.eye(3), np.zeros(3)
CAMERA = CameraModel(np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]]), 640, 480)


@pytest.fixture
def points():
    return np.random.default_rng(0).uniform(-0.05, 0.05, (200, 3))


@pytest.fixture
def square():
    """Four corners in the plane z = 0: a half turn about z maps them onto themselves."""
    return np.array([[1.0, 1, 0], [-1, 1, 0], [-1, -1, 0], [1, -1, 0]])


def test_errors_of_the_true_pose_are_zero(points):
    R, t = rotation_from_vector([0.3, -0.7, 1.1]), np.array([0.1, -0.2, 0.8])
    assert metrics.add_error(R, t, R, t, points) == 0
    assert metrics.adds_error(R, t, R, t, points) == 0
    assert metrics.projection_error(R, t, R, t, points, CAMERA) == 0
    assert metrics.rotation_error(R, R) == 0
    assert metrics.translation_error(t, t) == 0


def test_add_of_a_pure_translation_is_its_length(points):
    t = np.array([0.03, -0.04, 0.12])
    assert metrics.add_error(EYE, t, EYE, ZERO, points) == pytest.approx(0.13)


def test_add_of_a_rotation_is_the_chord(square):
    R = rotation_from_vector([0, 0, np.pi / 3])
    chord = 2 * np.sqrt(2) * np.sin(np.pi / 6)
    assert metrics.add_error(R, ZERO, EYE, ZERO, square) == pytest.approx(chord)


def test_adds_ignores_a_rotation_by_pi_about_the_symmetry_axis(square):
    R = rotation_from_vector([0, 0, np.pi])
    assert metrics.add_error(R, ZERO, EYE, ZERO, square) == pytest.approx(2 * np.sqrt(2))
    assert metrics.adds_error(R, ZERO, EYE, ZERO, square) == pytest.approx(0, abs=1e-12)


def test_adds_never_exceeds_add(points):
    rng = np.random.default_rng(1)
    for _ in range(20):
        R, t = rotation_from_vector(rng.normal(size=3)), rng.normal(size=3) * 0.02
        adds = metrics.adds_error(R, t, EYE, ZERO, points)
        assert adds <= metrics.add_error(R, t, EYE, ZERO, points) + 1e-12


def test_adds_asks_where_the_true_points_are_and_not_the_other_way_round():
    """Estimate collapses two true points onto one side: only the direction truth -> estimate."""
    points = np.array([[0.0, 0, 0], [3, 0, 0]])
    R = rotation_from_vector([0, 0, np.pi])
    # Estimated points: 0 and -3; from 0 the nearest is 0, from 3 the nearest is 0 again.
    assert metrics.adds_error(R, ZERO, EYE, ZERO, points) == pytest.approx(1.5)


def test_projection_error_of_a_shift_parallel_to_the_image():
    points = np.array([[0.0, 0, 0], [0.1, 0, 0], [0, 0.1, 0]])
    t = np.array([0, 0, 1.0])
    shifted = t + [0.003, 0.004, 0]
    assert metrics.projection_error(EYE, shifted, EYE, t, points, CAMERA) == pytest.approx(2.5)


def test_projection_error_of_an_estimate_behind_the_camera_is_infinite(points):
    t = np.array([0, 0, 1.0])
    assert metrics.projection_error(EYE, -t, EYE, t, points, CAMERA) == np.inf


@pytest.mark.parametrize("degrees", [1e-6, 5.0, 90.0, 180.0])
def test_rotation_error_is_the_angle_in_degrees(degrees):
    base = rotation_from_vector([0.2, 0.5, -0.4])
    R = base @ rotation_from_vector(np.deg2rad(degrees) * np.array([0.6, 0, 0.8]))
    assert metrics.rotation_error(R, base) == pytest.approx(degrees, rel=1e-6)


def test_translation_error_is_a_distance():
    assert metrics.translation_error([0, 3, 4], [[0], [0], [0]]) == 5


def test_keypoint_error_is_the_mean_distance():
    truth = np.zeros((2, 2))
    assert metrics.keypoint_error([[3, 4], [0, 1]], truth) == 3


def test_keypoints_that_were_not_found_do_not_count():
    truth = np.zeros((3, 2))
    assert metrics.keypoint_error([[3, 4], [np.nan, np.nan], [0, 1]], truth) == 3
    assert metrics.keypoint_error(np.full((3, 2), np.nan), truth) == np.inf


def test_mask_iou():
    a, b = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    a[:2], b[1:3] = True, True
    assert metrics.mask_iou(a, b) == pytest.approx(1 / 3)
    assert metrics.mask_iou(a, ~a) == 0
    assert metrics.mask_iou(np.zeros((4, 4)), np.zeros((4, 4))) == 1


def test_recall_counts_only_what_is_strictly_below():
    errors = [0.0, 0.05, 0.1, np.inf, np.nan]
    assert metrics.recall(errors, 0.1) == pytest.approx(2 / 5)


def test_recall_without_targets_is_unknown():
    assert np.isnan(metrics.recall([], 0.1))
    assert np.isnan(metrics.recall_auc([], 0.1))


def test_auc_equals_the_area_under_the_recall_curve():
    errors = np.random.default_rng(2).exponential(0.05, 300)
    errors[:30] = np.inf
    thresholds = np.linspace(0, 0.1, 20001)
    curve = [metrics.recall(errors, threshold) for threshold in thresholds]
    assert metrics.recall_auc(errors, 0.1) == pytest.approx(np.mean(curve), abs=1e-4)


def test_auc_of_perfect_and_missed_targets():
    assert metrics.recall_auc([0, 0], 0.1) == 1
    assert metrics.recall_auc([np.inf, np.nan], 0.1) == 0

"""The three errors, on cases that can be worked out by hand."""

import numpy as np
import pytest

from casapose_ros.evaluation.bop19.errors import STEPS, mspd, mssd, vsd
from casapose_ros.evaluation.symmetries import symmetry_transforms
from casapose_ros.geometry import rotation_from_vector
from casapose_ros.types import CameraModel, Symmetries

CAMERA = CameraModel(np.array([[500.0, 0, 320], [0, 400, 240], [0, 0, 1]]), 640, 480)
K = np.array([[4.0, 0, 2], [0, 4, 1], [0, 0, 1]])  # the ray of pixel (2, 1) is the axis
FAR = np.array([[1e9, 0, 2], [0, 1e9, 1], [0, 0, 1]])  # all rays are
SHAPE = (3, 8)
Z = np.array([0.0, 0, 1])
NO_SYMMETRY = symmetry_transforms(Symmetries())
FLIP = symmetry_transforms(Symmetries(np.diag([-1.0, -1, 1, 1])[None]))
TURNS = symmetry_transforms(Symmetries(continuous=((Z, np.zeros(3)),)))
POINTS = np.array([[x, y, z] for x in (-0.03, 0.03) for y in (-0.04, 0.04) for z in (-0.1, 0.1)])
R = rotation_from_vector([0.4, -0.2, 0.1])
T = np.array([0.1, -0.05, 0.8])


def surface(columns=slice(0, 8), depth=1.0) -> np.ndarray:
    """A plane across some columns of a small image."""
    image = np.zeros(SHAPE)
    image[:, columns] = depth
    return image


def test_the_benchmarks_steps():
    assert len(STEPS) == 10
    np.testing.assert_allclose(STEPS, [0.05 * i for i in range(1, 11)])


def test_vsd_of_the_same_surface_is_zero():
    np.testing.assert_array_equal(vsd(surface(), surface(), surface(), K, 0.1), np.zeros(10))


def test_vsd_of_a_surface_that_is_nowhere_is_one():
    nothing = np.zeros(SHAPE)
    for est, gt in ((nothing, surface()), (surface(), nothing), (nothing, nothing)):
        np.testing.assert_array_equal(vsd(est, gt, surface(), K, 0.1), np.ones(10))


def test_vsd_of_a_surface_beside_the_true_one():
    # Columns 0..4 and 2..6: three of seven in common.
    error = vsd(surface(slice(0, 5)), surface(slice(2, 7)), surface(), FAR, 0.1)
    np.testing.assert_allclose(error, np.full(10, 4 / 7))


def test_vsd_counts_a_distance_of_exactly_tau_as_wrong():
    taus = np.array([0.25, 0.5, 0.75])
    error = vsd(surface(depth=1.0625), surface(depth=1.0), surface(depth=1.0625), FAR, 0.125, taus)
    np.testing.assert_array_equal(error, [1, 1, 0])


def test_vsd_compares_distances_not_depths():
    # Three units of x per unit of depth and none of y: the ray is sqrt(10) times as long.
    one = np.zeros(SHAPE)
    one[1, 5] = 1.0
    three = np.array([[1.0, 0, 2], [0, 1, 1], [0, 0, 1]])
    taus = np.array([0.31, 0.32])
    np.testing.assert_array_equal(vsd(1.1 * one, one, one, three, 1.0, taus), [1, 0])


def test_vsd_leaves_out_what_stands_behind_something():
    hidden, seen = surface(slice(0, 2), 0.984), surface(slice(2, 8), 0.986)
    error = vsd(surface(slice(2, 8)), surface(), hidden + seen, FAR, 0.1)
    np.testing.assert_array_equal(error, np.zeros(10))
    error = vsd(surface(slice(0, 2)), surface(slice(0, 2)), hidden + seen, FAR, 0.1)
    np.testing.assert_array_equal(error, np.ones(10))


def test_vsd_compares_with_the_measured_depth_in_float32_millimetres():
    # 10 nm beyond the tolerance of 15 mm, which float32 cannot tell from it at a metre.
    border = surface(depth=1.01500001)
    np.testing.assert_array_equal(vsd(border, border, surface(), FAR, 0.1), np.zeros(10))


def test_vsd_takes_what_was_not_measured_for_visible():
    np.testing.assert_array_equal(vsd(surface(), surface(), np.zeros(SHAPE), K, 0.1), np.zeros(10))


def test_vsd_is_not_excused_by_the_object_itself():
    # The estimate is hidden by the true surface alone, 28 mm behind it: 0.28 diameters of 0.1 m.
    error = vsd(surface(depth=1.028), surface(depth=1.0), surface(depth=1.0), FAR, 0.1)
    np.testing.assert_array_equal(error, STEPS < 0.28)


@pytest.mark.parametrize("transforms", [NO_SYMMETRY, FLIP, TURNS])
def test_the_true_pose_has_no_error(transforms):
    assert mssd(R, T, R, T, POINTS, transforms) == pytest.approx(0, abs=1e-15)
    assert mspd(R, T, R, T, POINTS, transforms, CAMERA) == pytest.approx(0, abs=1e-12)


def test_mssd_of_a_shift_is_its_length():
    shift = np.array([0.03, 0, 0.04])
    assert mssd(R, T + shift, R, T, POINTS, NO_SYMMETRY) == pytest.approx(0.05)


def test_mssd_of_a_turn_is_that_of_the_outermost_point():
    turned = R @ rotation_from_vector(0.2 * Z)
    # Every corner is 5 cm from the axis, which is also the largest of the distances moved.
    assert mssd(turned, T, R, T, POINTS, NO_SYMMETRY) == pytest.approx(0.1 * np.sin(0.1))
    inner = np.vstack([POINTS, np.zeros((50, 3))])
    assert mssd(turned, T, R, T, inner, NO_SYMMETRY) == pytest.approx(0.1 * np.sin(0.1))


def test_mspd_of_a_shift_along_the_image():
    flat = POINTS * [1, 1, 0]
    shifted = T + [0.008, 0.006, 0]
    expected = np.hypot(500 * 0.008 / 0.8, 400 * 0.006 / 0.8)
    error = mspd(np.eye(3), shifted, np.eye(3), T, flat, NO_SYMMETRY, CAMERA)
    assert error == pytest.approx(expected)


def test_mspd_is_that_of_the_nearest_points():
    shifted = T + [0.01, 0, 0]
    error = mspd(np.eye(3), shifted, np.eye(3), T, POINTS, NO_SYMMETRY, CAMERA)
    assert error == pytest.approx(500 * 0.01 / (0.8 - 0.1))


def test_a_flip_costs_only_objects_that_show_it():
    flipped = R @ rotation_from_vector(np.pi * Z)
    assert mssd(flipped, T, R, T, POINTS, FLIP) == pytest.approx(0, abs=1e-12)
    assert mspd(flipped, T, R, T, POINTS, FLIP, CAMERA) == pytest.approx(0, abs=1e-9)
    assert mssd(flipped, T, R, T, POINTS, NO_SYMMETRY) == pytest.approx(0.1)
    assert mspd(flipped, T, R, T, POINTS, NO_SYMMETRY, CAMERA) > 30


def test_any_turn_of_a_round_object_is_right_within_half_a_step():
    for angle in np.random.default_rng(0).uniform(0, 2 * np.pi, 10):
        turned = R @ rotation_from_vector(angle * Z)
        assert mssd(turned, T, R, T, POINTS, TURNS) <= 0.1 * np.sin(np.pi / 315 / 2) + 1e-12
        assert mspd(turned, T, R, T, POINTS, TURNS, CAMERA) < 0.5


def test_a_symmetry_beside_the_origin_moves_it():
    axis = (Z, np.array([0.02, 0, 0]))
    transforms = symmetry_transforms(Symmetries(continuous=(axis,)))
    turn = transforms[100]
    R_est, t_est = R @ turn[:3, :3], T + R @ turn[:3, 3]
    assert np.linalg.norm(t_est - T) > 0.02
    assert mssd(R_est, t_est, R, T, POINTS, transforms) == pytest.approx(0, abs=1e-12)
    assert mspd(R_est, t_est, R, T, POINTS, transforms, CAMERA) == pytest.approx(0, abs=1e-9)


def test_what_is_no_pose_is_infinitely_wrong():
    for bad_R, bad_t in ((np.full((3, 3), np.nan), T), (R, np.array([0, np.nan, 1]))):
        assert mssd(bad_R, bad_t, R, T, POINTS, FLIP) == np.inf
        assert mspd(bad_R, bad_t, R, T, POINTS, FLIP, CAMERA) == np.inf
    # A point in the plane of the camera's centre has no image.
    assert mspd(np.eye(3), np.array([0, 0, 0.1]), R, T, POINTS, FLIP, CAMERA) == np.inf

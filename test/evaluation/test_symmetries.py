"""Equivalent poses of symmetric objects."""

import numpy as np
import pytest

from casapose_ros.evaluation import metrics
from casapose_ros.evaluation.symmetries import (
    CONTINUOUS_STEPS,
    nearest_equivalent,
    symmetry_transforms,
)
from casapose_ros.geometry import rotation_from_vector
from casapose_ros.types import Symmetries

Z = np.array([0.0, 0, 1])


def half_turn_about_x() -> np.ndarray:
    return np.diag([1.0, -1, -1, 1])[None]


def test_an_object_without_symmetry_has_only_the_identity():
    np.testing.assert_array_equal(symmetry_transforms(Symmetries()), np.eye(4)[None])


def test_discrete_and_continuous_symmetries_are_composed():
    transforms = symmetry_transforms(Symmetries(half_turn_about_x(), ((Z, np.zeros(3)),)))
    assert transforms.shape == (2 * CONTINUOUS_STEPS, 4, 4)
    np.testing.assert_allclose(transforms[0], np.eye(4), atol=1e-15)
    np.testing.assert_allclose(np.linalg.det(transforms[:, :3, :3]), 1)


def test_an_axis_beside_the_origin_stays_fixed():
    offset = np.array([0.02, -0.01, 0])
    transforms = symmetry_transforms(Symmetries(continuous=((2 * Z, offset),)))
    moved = transforms[:, :3, :3] @ (offset + 0.3 * Z) + transforms[:, :3, 3]
    np.testing.assert_allclose(moved, np.tile(offset + 0.3 * Z, (len(moved), 1)), atol=1e-15)


def test_the_flipped_estimate_of_a_flippable_object_is_right():
    R_gt, t_gt = rotation_from_vector([0.1, 0.2, 0.3]), np.array([0, 0, 0.5])
    R_est = R_gt @ half_turn_about_x()[0, :3, :3]
    transforms = symmetry_transforms(Symmetries(half_turn_about_x()))
    R_near, t_near = nearest_equivalent(R_est, R_gt, t_gt, transforms)
    assert metrics.rotation_error(R_est, R_gt) == pytest.approx(180)
    assert metrics.rotation_error(R_est, R_near) == pytest.approx(0, abs=1e-9)
    np.testing.assert_allclose(t_near, t_gt)


def test_any_turn_of_a_continuous_object_is_within_half_a_step():
    R_gt, t_gt = rotation_from_vector([0.5, -0.2, 0.1]), np.array([0, 0, 0.5])
    transforms = symmetry_transforms(Symmetries(continuous=((Z, np.zeros(3)),)))
    for angle in np.random.default_rng(0).uniform(0, 2 * np.pi, 20):
        R_est = R_gt @ rotation_from_vector(angle * Z)
        R_near, _ = nearest_equivalent(R_est, R_gt, t_gt, transforms)
        assert metrics.rotation_error(R_est, R_near) <= 180 / CONTINUOUS_STEPS + 1e-9


def test_the_translation_follows_a_symmetry_beside_the_origin():
    half_turn = np.eye(4)
    half_turn[:3, :3] = rotation_from_vector(np.pi * Z)
    half_turn[:3, 3] = [0.04, 0, 0]
    R_gt, t_gt = np.eye(3), np.array([0, 0, 0.5])
    transforms = symmetry_transforms(Symmetries(half_turn[None]))
    _, t_near = nearest_equivalent(half_turn[:3, :3], R_gt, t_gt, transforms)
    np.testing.assert_allclose(t_near, [0.04, 0, 0.5])

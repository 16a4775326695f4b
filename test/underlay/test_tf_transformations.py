"""What this package relies on in ``tf_transformations``; it holds for the real one as well."""

import math

import numpy as np
import pytest

tf = pytest.importorskip("tf_transformations", reason="no ROS environment; run `make test`")


def random_quaternions():
    return np.random.default_rng(0).normal(size=(20, 4))


def test_quaternions_are_xyzw():
    half_angle = math.radians(45)
    turn = (0, 0, math.sin(half_angle), math.cos(half_angle))
    np.testing.assert_allclose(tf.quaternion_about_axis(math.pi / 2, (0, 0, 2)), turn)
    np.testing.assert_allclose(tf.quaternion_from_euler(0, 0, math.pi / 2), turn, atol=1e-15)
    # A quarter turn about z takes x to y.
    np.testing.assert_allclose(tf.quaternion_matrix(turn) @ [1, 0, 0, 1], [0, 1, 0, 1], atol=1e-15)


def test_matrix_and_back():
    for quaternion in random_quaternions():
        unit = quaternion / np.linalg.norm(quaternion) * np.sign(quaternion[3])
        matrix = tf.quaternion_matrix(quaternion)
        assert matrix.shape == (4, 4)
        np.testing.assert_allclose(tf.quaternion_from_matrix(matrix), unit, atol=1e-12)


@pytest.mark.parametrize("axes", ["sxyz", "rxyz", "szyx", "rzyx", "ryxz"])
def test_euler_angles_and_back(axes):
    angles = (0.3, -0.7, 2.1)
    quaternion = tf.quaternion_from_euler(*angles, axes)
    np.testing.assert_allclose(tf.euler_from_quaternion(quaternion, axes), angles)
    np.testing.assert_allclose(tf.quaternion_matrix(quaternion), tf.euler_matrix(*angles, axes))
    np.testing.assert_allclose(tf.euler_from_matrix(tf.euler_matrix(*angles, axes), axes), angles)


def test_fixed_axes_turn_about_the_first_angle_first():
    about_x, about_z = tf.euler_matrix(0.4, 0, 0), tf.euler_matrix(0, 0, 0.9)
    np.testing.assert_allclose(tf.euler_matrix(0.4, 0, 0.9), about_z @ about_x)
    np.testing.assert_allclose(tf.euler_matrix(0.4, 0, 0.9, "rxyz"), about_x @ about_z)


def test_multiplication_is_concatenation():
    for first, second in zip(random_quaternions()[:10], random_quaternions()[10:], strict=True):
        product = tf.quaternion_matrix(tf.quaternion_multiply(first, second))
        parts = tf.quaternion_matrix(first), tf.quaternion_matrix(second)
        np.testing.assert_allclose(product, tf.concatenate_matrices(*parts), atol=1e-12)


def test_inverses():
    for quaternion in random_quaternions():
        product = tf.quaternion_multiply(quaternion, tf.quaternion_inverse(quaternion))
        np.testing.assert_allclose(product, (0, 0, 0, 1), atol=1e-12)
    matrix = tf.translation_matrix((1, 2, 3)) @ tf.euler_matrix(0.1, 0.2, 0.3)
    np.testing.assert_allclose(tf.inverse_matrix(matrix) @ matrix, tf.identity_matrix(), atol=1e-12)
    np.testing.assert_allclose(tf.translation_from_matrix(matrix), (1, 2, 3))


def test_conjugate():
    np.testing.assert_array_equal(tf.quaternion_conjugate((1, -2, 3, 4)), (-1, 2, -3, 4))

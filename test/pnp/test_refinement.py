"""Least squares to keypoints: noise of known covariances first, in both ways."""

import numpy as np
import pytest
from exact_fields import CAMERA, box_object, random_pose
from scipy.stats import chi2

from casapose_ros import geometry
from casapose_ros.geometry import pose_difference
from casapose_ros.pnp import pose_covariance, projection_jacobian
from casapose_ros.pnp.refinement import (
    OWN_SHARE,
    Correspondences,
    refine_alike,
    refine_weighted,
    shrunk,
)
from casapose_ros.types import CameraModel

POINTS = box_object().keypoints


def seen(R, t, covariances, points=POINTS, noise=0.0):
    pixels = geometry.project(points, R, t, CAMERA) - geometry.PIXEL_CENTRE
    return Correspondences(points, pixels + noise, covariances, CAMERA.K)


def ellipses(rng, low, high, count=9):
    """Covariances with standard deviations drawn evenly on a logarithmic scale, px."""
    turns = np.linalg.qr(rng.normal(size=(count, 2, 2)))[0]
    variances = np.exp(rng.uniform(2 * np.log(low), 2 * np.log(high), (count, 2)))
    return turns @ (variances[:, :, None] * turns.swapaxes(1, 2))


def draw(rng, covariances):
    return (np.linalg.cholesky(covariances) @ rng.normal(size=(*covariances.shape[:2], 1)))[..., 0]


def trials(count, refine, seed=0, low=0.3, high=6.0):
    """(count, 6) errors of poses from noise of known covariances, and their covariances."""
    rng = np.random.default_rng(seed)
    errors, covariances = [], []
    for _ in range(count):
        R, t = random_pose(rng, near=0.4, far=0.6)
        S = ellipses(rng, low, high)
        found = seen(R, t, S, noise=draw(rng, S))
        pose = refine(found, R, t)
        exact = pose_covariance(found, *pose, np.zeros((9, 2)), refine is refine_weighted)
        errors.append(pose_difference(*pose, R, t))
        covariances.append(exact)
    return np.array(errors), np.array(covariances)


def test_weights_nearly_halve_the_errors_of_uneven_keypoints():
    """Standard deviations of 0.3 to 6 px; the same noise for both."""
    alike, weighted = (trials(300, refine)[0] for refine in (refine_alike, refine_weighted))
    ratio = np.sqrt(np.mean(alike**2, axis=0) / np.mean(weighted**2, axis=0))
    assert np.all(ratio > 1.8), ratio


@pytest.mark.parametrize("refine", [refine_alike, refine_weighted])
def test_covariances_cover_the_truth(refine):
    errors, covariances = trials(1500, refine, seed=1, high=2.0)
    distances = np.einsum("ni,nij,nj->n", errors, np.linalg.inv(covariances), errors)
    for level, slack in ((0.5, 0.04), (0.9, 0.025), (0.99, 0.01)):  # three standard deviations
        assert np.mean(distances < chi2.ppf(level, 6)) == pytest.approx(level, abs=slack)


def test_even_keypoints_give_the_same_pose_either_way():
    rng = np.random.default_rng(2)
    for _ in range(20):
        R, t = random_pose(rng)
        S = np.tile(rng.uniform(0.1, 9) * np.eye(2), (9, 1, 1))
        found = seen(R, t, S, noise=draw(rng, S))
        weighted, alike = refine_weighted(found, R, t), refine_alike(found, R, t)
        # OpenCV stops a little short of the optimum.
        assert geometry.rotation_angle(weighted[0], alike[0]) < 1e-3
        assert np.allclose(weighted[1], alike[1], atol=1e-3)
        zero = np.zeros((9, 2))
        a, b = (pose_covariance(found, R, t, zero, way) for way in (True, False))
        assert np.allclose(a, b, rtol=1e-6, atol=0)


def test_it_ends_at_the_optimum_from_far_away():
    rng = np.random.default_rng(3)
    for _ in range(20):
        R, t = random_pose(rng)
        S = ellipses(rng, 0.5, 4)
        found = seen(R, t, S, noise=draw(rng, S))
        start = geometry.rotation_from_vector(rng.normal(0, 0.3, 3)) @ R, t * rng.uniform(0.8, 1.3)
        poses = refine_weighted(found, R, t), refine_weighted(found, *start)
        for pose in poses:
            jacobian = projection_jacobian(POINTS, *pose, CAMERA.K).reshape(-1, 2, 6)
            weighted = np.linalg.inv(S) @ jacobian
            step = np.linalg.solve(
                np.einsum("nia,nib->ab", jacobian, weighted),
                np.einsum("nia,ni->a", weighted, found.residuals(*pose)),
            )
            deviations = np.sqrt(np.diag(pose_covariance(found, *pose, np.zeros((9, 2)), True)))
            assert np.all(np.abs(step) < 0.01 * deviations)


@pytest.mark.parametrize("factor", [1e-12, 16.0, 1e12])
def test_the_scale_of_the_covariances_changes_no_pose(factor):
    rng = np.random.default_rng(4)
    R, t = random_pose(rng)
    S = ellipses(rng, 0.5, 4)
    noise = draw(rng, S)
    pose, scaled = (refine_weighted(seen(R, t, f * S, noise=noise), R, t) for f in (1, factor))
    assert np.allclose(pose[0], scaled[0], atol=1e-9) and np.allclose(pose[1], scaled[1])


def test_a_keypoint_that_is_far_off_and_says_so_does_little_harm():
    R, t = random_pose(np.random.default_rng(5), near=0.4, far=0.5)
    S = np.tile(np.eye(2), (9, 1, 1))
    S[3] *= 1e6
    noise = np.zeros((9, 2))
    noise[3] = 40, -30
    found = seen(R, t, S, noise=noise)
    alike, weighted = (
        pose_difference(*refine(found, R, t), R, t) for refine in (refine_alike, refine_weighted)
    )
    assert np.linalg.norm(alike[3:]) > 0.05 and np.linalg.norm(weighted[3:]) < 1e-5


def test_shrinking_keeps_the_mean_and_bounds_the_weights():
    S = ellipses(np.random.default_rng(6), 0.1, 100)
    drawn = shrunk(S)
    assert np.allclose(drawn.mean(axis=0), S.mean(axis=0))
    assert np.array_equal(shrunk(S, 1.0), S)
    # The worst of nine keypoints alone makes up the mean: the others have 3/4 of a ninth of it.
    S = np.tile(np.eye(2), (9, 1, 1))
    S[0] *= 1e9
    variances = shrunk(S)[:, 0, 0]
    assert variances[0] / variances[1] == pytest.approx(1 + 9 * OWN_SHARE / (1 - OWN_SHARE))


def test_four_points_and_points_in_a_plane_are_enough():
    rng = np.random.default_rng(7)
    plane = POINTS * (1, 1, 0)
    for points in (POINTS[[0, 1, 4, 6]], plane):
        R, t = random_pose(rng, near=0.4, far=0.5)
        found = seen(R, t, ellipses(rng, 0.5, 3, len(points)), points)
        start = geometry.rotation_from_vector(np.array([0.05, -0.05, 0.05])) @ R, 1.05 * t
        pose = refine_weighted(found, *start)
        assert geometry.rotation_angle(pose[0], R) < 1e-4 and np.allclose(pose[1], t, atol=1e-4)
        covariance = pose_covariance(found, *pose, np.zeros((len(points), 2)), True)
        assert np.all(np.linalg.eigvalsh(covariance) > 0)


@pytest.mark.parametrize(
    "points", [np.outer(np.linspace(-0.05, 0.05, 9), [1, 0.5, 0.2]), np.full((9, 3), 0.02)]
)
@pytest.mark.parametrize("weighted", [True, False])
def test_a_line_or_one_point_has_no_covariance(points, weighted):
    R, t = random_pose(np.random.default_rng(8))
    found = seen(R, t, np.tile(np.eye(2), (9, 1, 1)), points)
    assert pose_covariance(found, R, t, np.zeros((9, 2)), weighted) is None
    pose = refine_weighted(found, R, t)
    assert pose is None or np.isfinite(pose[0]).all()


def test_a_start_behind_the_camera_is_none():
    R, t = random_pose(np.random.default_rng(9))
    found = seen(R, t, np.tile(np.eye(2), (9, 1, 1)))
    assert refine_weighted(found, R, -t) is None
    assert refine_weighted(found, R, t * (1, 1, 0)) is None  # half of it in front
    assert found.residuals(R, -t) is None


def test_jacobian_matches_finite_differences():
    R, t = random_pose(np.random.default_rng(7))
    K = CAMERA.K + np.array([[0, 3.0, 0], [0, 0, 0], [0, 0, 0]])  # with skew
    skewed = CameraModel(K, 640, 480)
    jacobian = projection_jacobian(POINTS, R, t, K)
    step = 1e-6
    for column in range(6):
        change = np.zeros(6)
        change[column] = step
        turn = geometry.rotation_from_vector(change[3:])
        moved = geometry.project(POINTS, turn @ R, t + change[:3], skewed)
        slope = (moved - geometry.project(POINTS, R, t, skewed)).ravel() / step
        assert np.allclose(jacobian[:, column], slope, rtol=1e-3, atol=0.05)

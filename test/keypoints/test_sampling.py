import numpy as np
import pytest

from casapose_ros.errors import MeshError
from casapose_ros.keypoints.sampling import farthest_point_sampling, sample_keypoints


def cube_grid(edge=0.1, steps=5, origin=(0.0, 0.0, 0.0)):
    axis = np.linspace(-edge / 2, edge / 2, steps)
    return np.stack(np.meshgrid(axis, axis, axis), axis=-1).reshape(-1, 3) + origin


def test_a_cube_gets_its_centre_and_its_corners():
    keypoints = sample_keypoints(cube_grid(origin=(1.0, 2.0, 3.0)))
    np.testing.assert_allclose(keypoints[0], [1, 2, 3], atol=1e-12)
    corners = sorted(map(tuple, np.round(keypoints[1:] - [1, 2, 3], 6)))
    expected = [(x, y, z) for x in (-0.05, 0.05) for y in (-0.05, 0.05) for z in (-0.05, 0.05)]
    np.testing.assert_allclose(corners, expected)


def test_the_centre_is_the_boxs_however_the_vertices_crowd():
    crowded = np.vstack(
        [cube_grid(), np.full((1000, 3), 0.04) + np.linspace(0, 1e-3, 1000)[:, None]]
    )
    np.testing.assert_allclose(sample_keypoints(crowded)[0], 0, atol=1e-12)


def test_points_on_a_line_are_halved_again_and_again():
    line = np.column_stack([np.linspace(0, 1, 17), np.zeros(17), np.zeros(17)])
    picked = farthest_point_sampling(line, line[0], 5)
    assert picked[:3, 0].tolist() == [1.0, 0.5, 0.25]
    assert set(picked[3:, 0]) <= {0.75, 0.125, 0.375, 0.625, 0.875}


def test_each_point_is_the_farthest_from_those_before():
    points = np.random.default_rng(3).normal(size=(500, 3))
    start = np.zeros(3)
    chosen = [start]
    for point in farthest_point_sampling(points, start, 20):
        nearest = np.min(np.linalg.norm(points[:, None] - np.array(chosen), axis=2), axis=1)
        np.testing.assert_allclose(
            np.min(np.linalg.norm(point - np.array(chosen), axis=1)), nearest.max()
        )
        chosen.append(point)


def test_the_spread_on_a_sphere_is_within_twice_the_best():
    points = np.random.default_rng(5).normal(size=(4000, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    picked = farthest_point_sampling(points, np.zeros(3), 8)
    distances = np.linalg.norm(picked[:, None] - picked[None], axis=2)[np.triu_indices(8, 1)]
    # Eight points on a unit sphere can be at most 1.2156 apart (the square antiprism).
    assert 1.2156 / 2 < distances.min() <= 1.2156


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_ties_are_broken_alike_whatever_the_rounding(scale):
    jitter = np.random.default_rng(0).uniform(-1e-14, 1e-14, (125, 3))
    plain = sample_keypoints(cube_grid() * scale)
    np.testing.assert_allclose(
        sample_keypoints((cube_grid() + jitter) * scale), plain, atol=1e-12 * scale
    )


def test_too_few_distinct_vertices_are_an_error():
    tetrahedron = np.vstack([np.eye(3), np.zeros((1, 3))])
    with pytest.raises(MeshError, match="4 distinct vertices; 8 keypoints"):
        sample_keypoints(np.repeat(tetrahedron, 10, axis=0))

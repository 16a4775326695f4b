"""What scenes are furnished with: textures and shapes."""

import numpy as np
import pytest
from rendered import small_props

from casapose_ros.data.props import make_props
from casapose_ros.data.textures import PATTERNS, random_texture
from casapose_ros.objects import NAME_PATTERN


def test_same_seed_same_props():
    one, two = make_props(3, 4, 16), make_props(3, 4, 16)
    assert all(np.array_equal(a, b) for a, b in zip(one.textures, two.textures, strict=True))
    for name, mesh in one.shapes.items():
        assert np.array_equal(mesh.vertices, two.shapes[name].vertices)
        assert np.array_equal(one.points[name], two.points[name])


def test_shapes_fill_the_unit_cube_with_outward_normals():
    for name, mesh in small_props().shapes.items():
        extent = np.ptp(mesh.vertices, axis=0)
        assert extent.max() == pytest.approx(1, abs=1e-6), name
        assert np.allclose(np.linalg.norm(mesh.normals, axis=1), 1, atol=1e-5), name
        assert mesh.uv.min() >= 0 and mesh.uv.max() <= 1 + 1e-6, name
        corners = mesh.vertices[mesh.faces]
        facing = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        agree = np.einsum("ij,ij->i", facing, mesh.normals[mesh.faces].mean(axis=1))
        assert agree.min() > -1e-9, name


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns_are_pictures(pattern):
    image = pattern(np.random.default_rng(0), 64)
    assert image.shape == (64, 64, 3) and image.dtype == np.float32
    assert image.min() > -60 and image.max() < 320


def test_textures_differ():
    rng = np.random.default_rng(0)
    means = [random_texture(rng, 32).mean(axis=(0, 1)) for _ in range(40)]
    assert np.std(means, axis=0).min() > 20


def test_no_object_can_take_a_primitives_name():
    for name in small_props().shapes:
        assert not NAME_PATTERN.fullmatch(name)

"""Things in the colours of known objects."""

from dataclasses import replace

import numpy as np
import pytest
from rendered import SMALL_SCENES, box_mesh, require_gl, small_object_set, small_props

from casapose_ros.data.bop_writer import BopWriter
from casapose_ros.data.colours import surface_colours
from casapose_ros.data.meshes import Mesh
from casapose_ros.data.render_job import RenderJob, iterate_frames
from casapose_ros.data.scenes import load_bodies, sample_scene
from casapose_ros.data.textures import two_toned
from casapose_ros.errors import ConfigError

CROWDED = replace(SMALL_SCENES, distractor_count=(3, 3), sheet_count=(2, 2))


def test_colours_are_looked_up_in_a_texture():
    """Three triangles side by side, each of one texel; v points up, rows down."""
    texture = np.uint8([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [9, 9, 9]]])
    corner = np.array([(0, 0, 0), (0.9, 0, 0), (0, 1, 0)])
    vertices = np.concatenate([corner + (i, 0, 0) for i in range(3)])
    uv = np.repeat([(0.2, 0.8), (0.8, 0.8), (0.2, -0.8)], 3, axis=0)
    mesh = Mesh(vertices, np.arange(9, dtype=np.int32).reshape(3, 3), vertices, uv, texture)
    points, colours = surface_colours(np.random.default_rng(0), mesh, 100)
    expected = np.array([(255, 0, 0), (0, 255, 0), (0, 0, 255)])[points[:, 0].astype(int)]
    assert np.array_equal(colours, expected)


def test_colours_are_as_frequent_as_their_share_of_the_surface():
    """A triangle of three quarters of the area, and a small one of another colour."""
    vertices = np.array([(0, 0, 0), (3, 0, 0), (0, 1, 0), (5, 0, 0), (6, 0, 0), (5, 1, 0)], float)
    faces = np.int32([(0, 1, 2), (3, 4, 5)])
    normals = np.tile((0.0, 0.0, 1.0), (6, 1))
    red, blue = (200, 0, 0), (0, 0, 200)
    plain = Mesh(vertices, faces, normals, colours=np.repeat(np.uint8([red, blue]), 3, axis=0))
    uv = np.repeat([(0.25, 0.5), (0.75, 0.5)], 3, axis=0)
    textured = Mesh(vertices, faces, normals, uv, np.uint8([[red, blue]]))
    for mesh in (plain, textured):
        points, seen = surface_colours(np.random.default_rng(0), mesh, 2000)
        assert np.array_equal((seen == red).all(axis=1), points[:, 0] < 4)
        share = (seen == red).all(axis=1).mean()
        assert share == pytest.approx(0.75, abs=0.03)
        assert (seen == blue).all(axis=1).mean() == pytest.approx(1 - share)
    _, bare = surface_colours(np.random.default_rng(0), replace(plain, colours=None), 5)
    assert np.ptp(bare) == 0


def test_two_toned_keeps_the_pattern_and_changes_the_colours():
    stripes = np.tile(np.uint8([[30, 10, 90], [200, 220, 90]]), (16, 8, 1))
    painted = two_toned(stripes, np.uint8([10, 20, 30]), np.uint8([200, 100, 0]))
    assert (painted[:, 0::2] == (10, 20, 30)).all() and (painted[:, 1::2] == (200, 100, 0)).all()


def test_every_object_lends_its_colours():
    props = small_props().in_colours_of([box_mesh(colour=(200, 0, 0)), box_mesh()], seed=1)
    colours = [tuple(t.reshape(-1, 3).mean(axis=0)) for t in props.object_textures]
    assert colours == [(200, 0, 0), (200, 100, 50)] * (len(colours) // 2) and len(colours) > 20


def test_as_many_things_as_asked_for_look_alike(tmp_path):
    """Their colours vary as much as those of the objects themselves: not at all here."""
    loaded = load_bodies(small_object_set(tmp_path)).values()
    bodies, meshes = [body for body, _ in loaded], [mesh for _, mesh in loaded]
    props = small_props().in_colours_of(meshes, seed=0)

    def lookalikes(probability):
        config = replace(CROWDED, lookalike_probability=probability)
        for seed in range(40):
            stage = sample_scene(np.random.default_rng(seed), config, bodies, props).stage
            things = *stage.instances[2:], *stage.floor, stage.background
            for material in (getattr(thing, "material", thing) for thing in things):
                alike = any(material.texture is t for t in props.object_textures)
                assert not alike or np.array_equal(material.recolour, np.eye(3))
                yield alike

    assert not any(lookalikes(0.0))
    assert all(lookalikes(1.0))
    assert np.mean(list(lookalikes(0.35))) == pytest.approx(0.35, abs=0.1)


def test_rendered_frames_have_them(tmp_path):
    """With objects of one pure colour each, nothing but them and lookalikes has pure colours."""
    require_gl()
    small_object_set(tmp_path / "objects")

    def pure(probability):
        config = replace(CROWDED, lookalike_probability=probability)
        writer = BopWriter(tmp_path / "data", "train_pbr", jpg=True)
        job = RenderJob(tmp_path / "objects", config, 6, 0, writer)
        shares = []
        for _, frame in iterate_frames(job, range(6)):
            other = frame.image[~np.any(frame.masks, axis=0)].astype(float) + 1
            shares.append(np.mean(np.sort(other, axis=1)[:, 1] < 0.4 * other.max(axis=1)))
        return np.mean(shares)

    assert pure(1.0) > 2 * pure(0.0)


def test_probability_is_checked():
    with pytest.raises(ConfigError, match="lookalike_probability: expected 0 to 1, got 2"):
        replace(CROWDED, lookalike_probability=2)

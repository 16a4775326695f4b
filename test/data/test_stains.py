"""Stains on surfaces."""

from dataclasses import replace

import numpy as np
import pytest
from rendered import SMALL_SCENES, box_mesh, require_gl, small_object_set, small_props

from casapose_ros.data.rendering import Renderer
from casapose_ros.data.scenes import load_bodies, sample_scene
from casapose_ros.data.stage import Instance, Material, Stage
from casapose_ros.data.stains import CELLS, stain_pattern
from casapose_ros.errors import ConfigError
from casapose_ros.geometry import rotation_from_vector
from casapose_ros.types import CameraModel

CAMERA = CameraModel(np.array([[150, 0, 79.5], [0, 150, 59.5], [0, 0, 1.0]]), 160, 120)
GREY = 120


@pytest.fixture(scope="module")
def renderer():
    require_gl()
    with Renderer(160, 120, {"box": box_mesh((0.2,) * 3, (GREY,) * 3)}) as made:
        yield made


def drawn(renderer, t=(0, 0, 0.5), turn=0.0, **material):
    """The colours of the box, in full light from all around; (H, W, 3) and where it is."""
    white = Material(np.full((4, 4, 3), 255, np.uint8))
    instance = Instance(
        "box",
        rotation_from_vector([0, 0, turn]),
        np.array(t),
        material=Material(specular=0.0, **material),
    )
    light = np.ones(3)
    stage = Stage((instance,), (), (), np.array([0, -1.0, 0]), np.zeros(3), light, light, white)
    drawing = renderer.draw(stage, CAMERA)
    inside = np.zeros((120, 160), bool)
    inside[45:75, 65:95] = True
    assert drawing.labels[inside].all()
    return drawing.image[inside].astype(float).reshape(30, 30, 3)


def test_pattern_has_no_seam_and_a_grey_mean():
    pattern = stain_pattern()[..., :3].astype(float)
    assert pattern.shape == (CELLS, CELLS, CELLS, 3)
    assert pattern.mean() == pytest.approx(127.5, abs=2)
    for axis in range(3):
        steps = np.abs(np.diff(pattern, axis=axis)).mean()
        seam = np.abs(pattern.take(0, axis) - pattern.take(-1, axis)).mean()
        assert seam < 1.2 * steps
    assert np.array_equal(stain_pattern(), stain_pattern())


def test_strength_is_how_far_colours_change(renderer):
    clean, weak, strong = (drawn(renderer, stains=s, stain_size=0.1) for s in (0.0, 0.3, 0.9))
    # Corners of the box are lit alike, so that nothing but stains makes differences.
    assert np.ptp(clean) <= 2
    assert 3 * weak.std() == pytest.approx(strong.std(), rel=0.1)
    assert strong.std() > 10
    assert (np.abs(weak / clean - 1) <= 0.32).all()


def test_stains_stick_to_the_object(renderer):
    """Turned about its axis, moved, or twice as near: the pattern is turned, moved, or larger."""
    stains = {"stains": 0.8, "stain_size": 0.2, "stain_offset": np.array([0.3, 0.1, 0.7])}
    here = drawn(renderer, **stains)
    turned = drawn(renderer, turn=np.pi / 2, **stains)
    assert np.abs(np.rot90(turned) - here).mean() < 2 < np.abs(turned - here).mean()
    pixel = 0.4 / 150  # of the box's front, metres
    moved = drawn(renderer, t=(10 * pixel, -8 * pixel, 0.5), **stains)
    assert np.abs(moved[:22, 10:] - here[8:, :20]).mean() < 1 < np.abs(moved - here).mean()
    near = drawn(renderer, t=(0, 0, 0.3), **stains)
    pairs = near[9:19, 9:19].reshape(5, 2, 5, 2, 3).mean(axis=(1, 3))
    assert np.abs(pairs - here[12:17, 12:17]).mean() < 1.5


def test_other_offsets_give_other_stains(renderer):
    one, two = (
        drawn(renderer, stains=0.8, stain_offset=np.array(offset))
        for offset in ((0, 0, 0), (0.5, 0.2, 0.1))
    )
    assert np.abs(one - two).mean() > 5


def test_scenes_stain_objects_and_distractors_alike(tmp_path):
    bodies = [body for body, _ in load_bodies(small_object_set(tmp_path)).values()]
    config = replace(SMALL_SCENES, distractor_count=(3, 3), stains=(0.2, 0.5), stain_m=(0.05, 0.06))
    clean = replace(config, stains=(0.0, 0.0))
    for seed in range(5):
        scene = sample_scene(np.random.default_rng(seed), config, bodies, small_props())
        materials = [instance.material for instance in scene.stage.instances]
        assert len(materials) > 2
        assert all(0.2 <= m.stains <= 0.5 and 0.05 <= m.stain_size <= 0.06 for m in materials)
        assert len({m.stains for m in materials}) == len(materials)
        scene = sample_scene(np.random.default_rng(seed), clean, bodies, small_props())
        assert all(instance.material.stains == 0 for instance in scene.stage.instances)


@pytest.mark.parametrize("stains", [(-0.1, 0.5), (0.5, 0.2), (0.0, 1.5)])
def test_strength_is_checked(stains):
    with pytest.raises(ConfigError, match="stains"):
        replace(SMALL_SCENES, stains=stains)


def test_size_is_checked():
    with pytest.raises(ConfigError, match="stain_m: must be positive"):
        replace(SMALL_SCENES, stain_m=(0.0, 0.1))

from dataclasses import replace

import numpy as np
import pytest
from rendered import SMALL_SCENES, small_object_set

from casapose_ros.config import from_dict, load_yaml
from casapose_ros.data.footprints import Footprint, resting_rotations
from casapose_ros.data.primitives import DISTRACTORS, TABLE, primitive_meshes
from casapose_ros.data.scene_config import SceneConfig
from casapose_ros.data.scenes import ORBIT_PERIOD_S, MovingScene, load_bodies, sample_scene
from casapose_ros.data.textures import PATTERNS, random_texture
from casapose_ros.data.viewpoints import aim, azimuth_and_elevation, viewpoint
from casapose_ros.errors import ConfigError
from casapose_ros.geometry import project, rotation_from_vector
from casapose_ros.objects import NAME_PATTERN

CONFIG = SMALL_SCENES


@pytest.fixture(scope="module")
def object_set(tmp_path_factory):
    return small_object_set(tmp_path_factory.mktemp("objects"))


@pytest.fixture(scope="module")
def bodies(object_set):
    return [body for body, _ in load_bodies(object_set).values()]


def angles(scene, instance):
    """Azimuth and elevation in degrees and distance, seen from an upright object."""
    to_eye = -instance.R_ref_obj.T @ instance.t_ref_obj
    return *np.degrees(azimuth_and_elevation(to_eye)), np.linalg.norm(to_eye)


def roll(scene):
    """Degrees between the image's upward direction and the table's, on the objects' line of sight.

    Elsewhere in the image, perspective tilts the vertical further.
    """
    instances = scene.stage.instances[: len(scene.objects)]
    middle = np.mean([i.t_ref_obj for i in instances], axis=0)
    axis = np.cross(middle / np.linalg.norm(middle), [0, 0, 1])
    sine = np.linalg.norm(axis)
    up = rotation_from_vector(axis / sine * np.arcsin(sine)) @ scene.stage.up
    return np.degrees(np.arctan2(up[0], -up[1]))


def assert_in_range(scene, config=CONFIG):
    instances = scene.stage.instances[: len(scene.objects)]
    margin = config.centre_margin_px
    for model, instance in zip(scene.objects, instances, strict=True):
        assert instance.mesh == model.name
        azimuth, elevation, distance = angles(scene, instance)
        assert config.azimuth_deg[0] <= azimuth <= config.azimuth_deg[1]
        assert config.elevation_deg[0] <= elevation <= config.elevation_deg[1]
        assert config.distance_m[0] <= distance <= config.distance_m[1]
        origin = np.zeros((1, 3))
        x, y = project(origin, instance.R_ref_obj, instance.t_ref_obj, scene.camera)[0] - 0.5
        assert margin - 1e-6 <= x <= scene.camera.width - 1 - margin + 1e-6
        assert margin - 1e-6 <= y <= scene.camera.height - 1 - margin + 1e-6


def test_every_object_keeps_the_ranges_and_fills_them(bodies):
    scenes = [sample_scene(np.random.default_rng(i), CONFIG, bodies) for i in range(150)]
    seen = []
    for scene in scenes:
        assert_in_range(scene)
        assert len(scene.objects) == 2
        seen += [angles(scene, i) for i in scene.stage.instances[:2]]
    low, high = np.min(seen, axis=0), np.max(seen, axis=0)
    assert low[0] < -70 and high[0] > 70
    assert low[1] < 25 and high[1] > 60
    assert low[2] < 0.33 and high[2] > 0.52
    assert {o.name for s in scenes for o in s.objects} == {"red", "green", "blue"}


def test_roll_keeps_its_range_and_fills_it(bodies):
    rolls = [roll(sample_scene(np.random.default_rng(i), CONFIG, bodies)) for i in range(60)]
    assert -15 - 1e-6 <= np.min(rolls) < -12
    assert 12 < np.max(rolls) <= 15 + 1e-6


def test_objects_and_distractors_stand_on_the_table_apart(bodies):
    meshes = primitive_meshes() | {b.model.name: b for b in bodies}
    config = replace(CONFIG, distractor_count=(3, 3))
    for i in range(20):
        scene = sample_scene(np.random.default_rng(i), config, bodies)
        *standing, table = scene.stage.instances
        assert table.mesh == TABLE and not table.casts_shadow
        R = table.R_ref_obj
        footprints = []
        for instance in standing:
            vertices = meshes[instance.mesh].vertices * instance.scale
            points = vertices @ instance.R_ref_obj.T + instance.t_ref_obj - table.t_ref_obj
            on_table = points @ R
            assert on_table[:, 2].min() == pytest.approx(0, abs=1e-6)
            footprints.append(Footprint.of(on_table[:, :2]))
        for a, first in enumerate(footprints):
            assert not any(first.overlaps(second) for second in footprints[:a])


def test_same_seed_same_scene(bodies):
    one, two, other = (
        sample_scene(np.random.default_rng(s), CONFIG, bodies).stage for s in (5, 5, 6)
    )
    assert np.array_equal(one.background, two.background)
    assert np.array_equal(one.instances[0].t_ref_obj, two.instances[0].t_ref_obj)
    assert not np.array_equal(one.instances[0].t_ref_obj, other.instances[0].t_ref_obj)


def test_other_faces_on_request(bodies):
    config = replace(CONFIG, other_face_probability=1.0)
    for i in range(10):
        scene = sample_scene(np.random.default_rng(i), config, bodies)
        for instance in scene.stage.instances[:2]:
            tilt = instance.R_ref_obj[:, 2] @ scene.stage.up
            assert tilt < 0.01


def test_narrow_ranges_without_room_are_an_error(bodies):
    config = replace(CONFIG, distance_m=(0.3, 0.3001), elevation_deg=(40, 40.001))
    with pytest.raises(ConfigError, match="no room for 2 to 2 objects"):
        sample_scene(np.random.default_rng(0), config, bodies)


def test_moving_scene_keeps_the_ranges_smoothly(bodies):
    config = replace(CONFIG, object_count=(2, 3))
    moving = MovingScene(np.random.default_rng(0), config, bodies)
    before = None
    for seconds in np.arange(0, ORBIT_PERIOD_S, 0.1):
        scene = moving.at(seconds)
        assert len(scene.objects) == 3
        assert_in_range(scene, config)
        t = scene.stage.instances[0].t_ref_obj
        assert before is None or np.linalg.norm(t - before) < 0.03
        before = t
    start, again = moving.at(0.0).stage, moving.at(ORBIT_PERIOD_S).stage
    assert np.allclose(start.instances[0].t_ref_obj, again.instances[0].t_ref_obj)


def test_moving_scene_shows_many_sides(bodies):
    moving = MovingScene(np.random.default_rng(1), CONFIG, bodies)
    seen = np.array(
        [angles(s, s.stage.instances[0]) for s in map(moving.at, np.arange(0, ORBIT_PERIOD_S, 1))]
    )
    assert np.ptp(seen[:, 0]) > 15


def test_aim_puts_the_target_on_the_pixel():
    camera = CONFIG.camera.model()
    target, pixel = np.array([0.1, -0.2, 0.05]), np.array([30.0, 90.0])
    eye = target + viewpoint(0.4, 0.6, 0.5)
    view = aim(camera, eye, target, 0.2, pixel)
    found = project(target[None], view.R_cam_world, view.t_cam_world, camera)[0] - 0.5
    assert np.allclose(found, pixel)
    assert np.allclose(-view.R_cam_world.T @ view.t_cam_world, eye)


def test_aim_straight_down():
    camera = CONFIG.camera.model()
    view = aim(camera, np.array([0, 0, 0.5]), np.zeros(3), 0.0, camera.K[:2, 2])
    assert np.allclose(view.R_cam_world @ [0, 1, 0], [0, -1, 0])


def test_viewpoint_and_its_angles_are_inverse():
    assert azimuth_and_elevation(viewpoint(0.7, 0.3, 2.0)) == pytest.approx((0.7, 0.3))
    assert viewpoint(0, 0, 1) == pytest.approx([0, -1, 0])
    assert viewpoint(np.pi / 2, 0, 1) == pytest.approx([1, 0, 0])


def test_box_rests_on_six_faces_a_pyramid_not_on_its_tip(bodies):
    assert len(bodies[0].rests) == 6
    assert np.array_equal(bodies[0].rests[0], np.eye(3))
    needle = np.array([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (5, 0.5, 1)], dtype=float)
    for R in resting_rotations(needle)[1:]:
        assert np.linalg.det(R) == pytest.approx(1)
        low = (needle @ R.T)[:, 2]
        assert np.sum(np.abs(low - low.min()) < 1e-6) >= 3


def test_footprints_touch_but_do_not_overlap():
    square = np.array([(0, 0), (0.1, 0), (0.1, 0.1), (0, 0.1)])
    first = Footprint.of(square)
    assert first.overlaps(Footprint.of(square + [0.09, 0]))
    assert not first.overlaps(Footprint.of(square + [0.1, 0]))
    assert not first.overlaps(Footprint.of(square + [0.5, 0.5]))


def test_primitives_fill_the_unit_cube_with_outward_normals():
    meshes = primitive_meshes()
    assert set(meshes) == {TABLE, *DISTRACTORS}
    for name, mesh in meshes.items():
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


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"azimut_deg": [0, 1]}, "did you mean 'azimuth_deg'"),
        ({"light": {"ambiant": [0, 1]}}, "did you mean 'ambient'"),
        ({"distance_m": [0.5, 0.3]}, "distance_m: the lower end"),
        ({"distance_m": [0.0, 0.3]}, "distance_m: must be positive"),
        ({"elevation_deg": [-10, 40]}, "above the table"),
        ({"object_count": [0, 2]}, "at least one object"),
        ({"light": {"fill_count": [0, 4]}}, "at most 3 fill lamps"),
        ({"other_face_probability": 2.0}, "other_face_probability: expected 0 to 1"),
    ],
)
def test_bad_settings_are_named(values, message):
    with pytest.raises(ConfigError, match=message):
        from_dict(SceneConfig, values)


def test_unknown_object_is_named(object_set):
    with pytest.raises(ConfigError, match="no object 'mug'.*red, green, blue"):
        load_bodies(object_set, ["mug"])


def test_demo_scenario(repository):
    config = load_yaml(SceneConfig, repository / "config" / "scenes" / "demo.yaml")
    assert config.azimuth_deg == (-80, 80)
    assert config.elevation_deg == (20, 65)
    assert config.distance_m == (0.30, 0.55)
    assert config.camera.model().K.tolist() == [[600, 0, 319.5], [0, 600, 239.5], [0, 0, 1]]


def test_no_object_can_take_a_primitives_name():
    for name in primitive_meshes():
        assert not NAME_PATTERN.fullmatch(name)

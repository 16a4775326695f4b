from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import trimesh
from rendered import SMALL_SCENES, small_object_set, small_props

from casapose_ros.config import load_yaml
from casapose_ros.data.meshes import Mesh
from casapose_ros.data.object_sets import describe_object, write_object_set
from casapose_ros.data.pile import Pile, Relief
from casapose_ros.data.placement import MANNERS
from casapose_ros.data.resting import resting_rotations
from casapose_ros.data.scene_config import SceneConfig
from casapose_ros.data.scenes import ORBIT_PERIOD_S, MovingScene, load_bodies, sample_scene
from casapose_ros.data.viewpoints import aim, azimuth_and_elevation, viewpoint
from casapose_ros.errors import ConfigError
from casapose_ros.geometry import project, rotation_from_vector

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
    scenes = [
        sample_scene(np.random.default_rng(i), CONFIG, bodies, small_props()) for i in range(150)
    ]
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
    rolls = [
        roll(sample_scene(np.random.default_rng(i), CONFIG, bodies, small_props()))
        for i in range(60)
    ]
    assert -15 - 1e-6 <= np.min(rolls) < -12
    assert 12 < np.max(rolls) <= 15 + 1e-6


def in_world(scene, bodies):
    """(N, 3) surface points of everything in a frame whose z is the height above the floor."""
    sheet = scene.stage.floor[0]
    points = small_props().points | {b.model.name: b.points for b in bodies}
    for instance in scene.stage.instances:
        seen = points[instance.mesh] * instance.scale @ instance.R_ref_obj.T + instance.t_ref_obj
        yield (seen - sheet.t_ref_sheet) @ sheet.R_ref_sheet


def deepest(scene, bodies):
    """Metres that any surface point is inside any of the known objects, which are boxes."""
    points = small_props().points | {b.model.name: b.points for b in bodies}
    depth = 0.0
    for i, (model, box) in enumerate(zip(scene.objects, scene.stage.instances, strict=False)):
        for j, other in enumerate(scene.stage.instances):
            if i == j:
                continue
            seen = points[other.mesh] * other.scale @ other.R_ref_obj.T + other.t_ref_obj
            local = (seen - box.t_ref_obj) @ box.R_ref_obj
            to_wall = np.minimum(local - model.box_min, model.box_max - local).min(axis=1)
            depth = max(depth, to_wall.max())
    return depth


def test_objects_and_distractors_stand_on_the_floor_apart(bodies):
    config = replace(CONFIG, distractor_count=(3, 3))
    for i in range(20):
        scene = sample_scene(np.random.default_rng(i), config, bodies, small_props())
        for points in in_world(scene, bodies):
            assert points[:, 2].min() == pytest.approx(0, abs=1e-3)
        assert deepest(scene, bodies) < 0.001


def test_objects_are_there_several_times(bodies):
    config = replace(
        CONFIG, object_count=(2, 2), instances_per_object=(1, 3), distance_m=(0.3, 0.9)
    )
    counts = []
    for i in range(20):
        scene = sample_scene(np.random.default_rng(i), config, bodies, small_props())
        meshes = [instance.mesh for instance in scene.stage.instances[: len(scene.objects)]]
        assert meshes == [model.name for model in scene.objects]
        counts += Counter(meshes).values()
        assert len(set(meshes)) == 2 and deepest(scene, bodies) < 0.001
    assert set(counts) == {1, 2, 3}


@pytest.mark.parametrize("manner", MANNERS[1:])
def test_nothing_is_inside_anything_else(bodies, manner):
    crowded = replace(
        CONFIG,
        object_count=(3, 3),
        distractor_count=(6, 6),
        spacing=(0.3, 0.9),
        distance_m=(0.2, 1.2),
        elevation_deg=(1, 90),
        **{f"{manner}_probability": 0.8},
    )
    above = 0
    for i in range(15):
        scene = sample_scene(np.random.default_rng(i), crowded, bodies, small_props())
        lowest = [points[:, 2].min() for points in in_world(scene, bodies)]
        assert min(lowest) > -0.001
        above += sum(z > 0.005 for z in lowest)
        assert deepest(scene, bodies) < 0.003
    assert above > 10


def test_stacked_things_are_held_up(bodies):
    """Below the middle of a thing that does not touch the floor there is another one."""
    config = replace(CONFIG, object_count=(3, 3), stacked_probability=1.0, spacing=(0.9, 1.1))
    found = 0
    for i in range(15):
        scene = sample_scene(np.random.default_rng(i), config, bodies, small_props())
        placed = list(in_world(scene, bodies))[:3]
        for j, points in enumerate(placed):
            if points[:, 2].min() < 0.005:
                continue
            found += 1
            tops = [p[:, 2].max() for k, p in enumerate(placed) if k != j]
            assert np.abs(np.array(tops) - points[:, 2].min()).min() < 0.003
    assert found > 10


def test_pile_takes_things_as_they_come():
    cube = np.stack(np.meshgrid(*[np.linspace(-0.05, 0.05, 41)] * 3), axis=-1).reshape(-1, 3)
    pile, relief = Pile(), Relief.of(cube)
    first = pile.land(relief, (0, 0))
    assert first.height == pytest.approx(0.05) and first.above == 0 and first.is_stable()
    pile.add(relief, (0, 0), first.height)
    on_top, at_the_edge = pile.land(relief, (0.03, 0)), pile.land(relief, (0.07, 0))
    assert on_top.height == pytest.approx(0.15) and on_top.above == pytest.approx(0.1)
    assert on_top.is_stable() and not at_the_edge.is_stable()
    assert pile.land(relief, (0.12, 0)).height == pytest.approx(0.05)
    assert pile.land(relief, (1.5, 0)) is None


def test_same_seed_same_scene(bodies):
    one, two, other = (
        sample_scene(np.random.default_rng(s), CONFIG, bodies, small_props()).stage
        for s in (5, 5, 6)
    )
    assert np.array_equal(one.background.recolour, two.background.recolour)
    assert np.array_equal(one.instances[0].t_ref_obj, two.instances[0].t_ref_obj)
    assert not np.array_equal(one.instances[0].t_ref_obj, other.instances[0].t_ref_obj)


def test_other_faces_on_request(bodies):
    config = replace(CONFIG, other_face_probability=1.0)
    for i in range(10):
        scene = sample_scene(np.random.default_rng(i), config, bodies, small_props())
        for instance in scene.stage.instances[:2]:
            tilt = instance.R_ref_obj[:, 2] @ scene.stage.up
            assert tilt < 0.01


def test_a_range_of_one_value_is_kept(bodies):
    config = replace(CONFIG, azimuth_deg=(30.0, 30.0))
    scene = sample_scene(np.random.default_rng(0), config, bodies, small_props())
    for instance in scene.stage.instances[:2]:
        assert angles(scene, instance)[0] == pytest.approx(30)


def test_a_flat_object_lies_on_the_table(tmp_path):
    """A printed card: all vertices in one plane."""
    corners = np.array([(x, y, 0) for x in (-0.05, 0.05) for y in (-0.04, 0.04)])
    vertices, faces = trimesh.remesh.subdivide(corners, np.array([(0, 2, 3), (0, 3, 1)]))
    card = Mesh(vertices, faces.astype(np.int32), np.tile([0.0, 0, 1], (len(vertices), 1)))
    object_set = write_object_set(tmp_path, [describe_object(card.vertices, "card", 1, 1)], [card])
    bodies = [body for body, _ in load_bodies(object_set).values()]
    config = replace(CONFIG, object_count=(1, 1), other_face_probability=0.5)
    for seed in range(10):
        scene = sample_scene(np.random.default_rng(seed), config, bodies, small_props())
        (points,) = list(in_world(scene, bodies))[:1]
        assert points[:, 2].max() < 0.003


def test_narrow_ranges_without_room_are_an_error(bodies):
    config = replace(CONFIG, distance_m=(0.3, 0.3001), elevation_deg=(40, 40.001))
    with pytest.raises(ConfigError, match="no room for 2 to 2 objects"):
        sample_scene(np.random.default_rng(0), config, bodies, small_props())


def test_moving_scene_keeps_the_ranges_smoothly(bodies):
    config = replace(CONFIG, object_count=(2, 3))
    moving = MovingScene(np.random.default_rng(0), config, bodies, small_props())
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
    moving = MovingScene(np.random.default_rng(1), CONFIG, bodies, small_props())
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


def test_unknown_object_is_named(object_set):
    with pytest.raises(ConfigError, match="no object 'mug'.*red, green, blue"):
        load_bodies(object_set, ["mug"])


def test_lmo_scene_has_everything(repository, bodies):
    config = load_yaml(SceneConfig, repository / "config" / "scenes" / "lmo.yaml")
    config = replace(config, object_count=(3, 3))
    scenes = [
        sample_scene(np.random.default_rng(i), config, bodies, small_props()) for i in range(8)
    ]
    assert max(len(s.stage.lamps) for s in scenes) == 4
    assert max(len(s.stage.floor) for s in scenes) > 4
    assert max(len(s.stage.instances) for s in scenes) > 12
    for scene in scenes:
        assert deepest(scene, bodies) < 0.003
        assert len(scene.stage.instances) < 30

"""Settings of scenarios, and the scenarios of the package."""

import json

import numpy as np
import pytest
from rendered import small_props

from casapose_ros.config import from_dict, load_yaml
from casapose_ros.data import scenes
from casapose_ros.data.demo_objects import demo_object_set
from casapose_ros.data.scene_config import SceneConfig
from casapose_ros.data.scenes import load_bodies, sample_scene
from casapose_ros.errors import ConfigError


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"azimut_deg": [0, 1]}, "did you mean 'azimuth_deg'"),
        ({"light": {"ambiant": [0, 1]}}, "did you mean 'ambient'"),
        ({"distance_m": [0.5, 0.3]}, "distance_m: the lower end"),
        ({"distance_m": [0.0, 0.3]}, "distance_m: must be positive"),
        ({"elevation_deg": [-10, 40]}, "above the table"),
        ({"object_count": [0, 2]}, "at least one object"),
        ({"instances_per_object": [0, 2]}, "instances_per_object: at least one"),
        ({"distractor_count": [0, 253]}, "at most 255 things can be drawn, got up to 256"),
        ({"stain_m": [float("nan"), 1.0]}, "stain_m: the lower end"),
        ({"light": {"fill_count": [0, 4]}}, "at most 3 fill lamps"),
        ({"other_face_probability": 2.0}, "other_face_probability: expected 0 to 1"),
        ({"stacked_probability": 0.7, "floating_probability": 0.5}, "at most 1, got 1.2"),
        ({"recolour": {"gain": [1.2, 0.8]}}, "gain: the lower end"),
        ({"pattern_m": [0.0, 1.0]}, "pattern_m: must be positive"),
        ({"shininess": [0.0, 10.0]}, "shininess: must be positive"),
        ({"distance_m": [1.0, 30.0]}, "distance_m: the renderer draws up to 15 m"),
    ],
)
def test_bad_settings_are_named(values, message):
    with pytest.raises(ConfigError, match=message):
        from_dict(SceneConfig, values)


def test_demo_scenario(repository):
    config = load_yaml(SceneConfig, repository / "config" / "scenes" / "demo.yaml")
    assert config.azimuth_deg == (-80, 80)
    assert config.elevation_deg == (20, 65)
    assert config.distance_m == (0.30, 0.55)
    assert config.camera.model().K.tolist() == [[600, 0, 319.5], [0, 600, 239.5], [0, 0, 1]]


@pytest.mark.parametrize(
    "name", ["demo", "demo_dense", "demo_house", "demo_several", "demo_symmetric"]
)
def test_demo_scenarios_find_room_at_once(repository, tmp_path, name, monkeypatch):
    """What is often tried in vain is slow, and one frame of thousands may not be found at all."""
    config = load_yaml(SceneConfig, repository / "config" / "scenes" / f"{name}.yaml")
    loaded = load_bodies(demo_object_set(tmp_path), config.objects)
    monkeypatch.setattr(scenes, "SCENE_ATTEMPTS", 12)
    for seed in range(40):
        rng = np.random.default_rng(seed)
        scene = sample_scene(rng, config, [body for body, _ in loaded.values()], small_props())
        assert len(scene.objects) >= config.object_count[0]


@pytest.mark.parametrize(
    "name", ["lmo", "lmo_dense", "lmo_upright", "lmo_lookalikes", "lmo_photos", "lmo_colours"]
)
def test_lmo_scenarios_have_its_camera(repository, shared_dir, name):
    config = load_yaml(SceneConfig, repository / "config" / "scenes" / f"{name}.yaml")
    path = shared_dir / "data" / "lmo" / "camera.json"
    if not path.is_file():
        pytest.skip("the LM-O camera is not at ../shared/data/lmo")
    for key, value in json.loads(path.read_text()).items():
        if key != "depth_scale":
            assert getattr(config.camera, key) == value

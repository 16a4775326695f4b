"""The settings files that come with the package."""

from pathlib import Path

import pytest

from casapose_ros.config import load_yaml
from casapose_ros.data.scene_config import SceneConfig
from casapose_ros.training.recipes import TrainingFile

FOLDER = Path(__file__).parents[2] / "config" / "train"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_settings_are_valid_and_their_scenarios_show_all_objects(path):
    file = load_yaml(TrainingFile, path)
    assert file.network(max(len(file.objects), 1)).variant == "c_gcu5"
    for recipe in file.render:
        scenes = load_yaml(SceneConfig, path.parent / recipe.scenes)
        assert not scenes.objects or set(file.objects) <= set(scenes.objects)
        ratio = scenes.camera.width / scenes.camera.height
        assert file.input_size[0] / file.input_size[1] == pytest.approx(ratio)

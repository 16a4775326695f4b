"""The settings file of a training: what it may say besides the run's own settings."""

from pathlib import Path

import pytest

from casapose_ros.config import load_yaml
from casapose_ros.data.scene_config import SceneConfig
from casapose_ros.errors import ConfigError
from casapose_ros.training.recipes import RenderRecipe, TrainingFile
from casapose_ros.training.settings import TrainConfig

FOLDER = Path(__file__).parents[2] / "config" / "train"


def load(tmp_path, text):
    path = tmp_path / "train.yaml"
    path.write_text(text)
    return load_yaml(TrainingFile, path)


def test_settings_and_data_come_apart(tmp_path):
    file = load(
        tmp_path,
        """
        steps: 5
        crop: {size: 64}
        render:
          - {scenes: scenes/table.yaml, frames: 10}
          - {scenes: scenes/table.yaml, frames: 2, seed: 1, split: val}
          - {scenes: scenes/table.yaml, frames: 3, seed: 2, name: more}
        on_the_fly: {frames: 7}
        """,
    )
    assert [recipe.folder for recipe in file.render] == ["table", "table", "more"]
    assert file.on_the_fly.frames == 7
    config = file.training()
    assert type(config) is TrainConfig and config.steps == 5 and config.crop.size == 64


def test_a_file_without_data_is_a_config(tmp_path):
    assert load(tmp_path, "steps: 3").training() == TrainConfig(steps=3)


def test_a_job_finds_its_scenario_beside_the_settings(tmp_path):
    (tmp_path / "scenes").mkdir()
    (tmp_path / "scenes" / "table.yaml").write_text("{object_count: [1, 2]}")
    recipe = RenderRecipe("scenes/table.yaml", 4, seed=3)
    job = recipe.job(tmp_path / "train.yaml", tmp_path / "objects", tmp_path / "data")
    assert job.config.object_count == (1, 2) and (job.frames, job.seed) == (4, 3)
    assert job.writer.path == tmp_path / "data" / "table" and job.writer.split == "train_pbr"
    with pytest.raises(ConfigError, match="chair.yaml: no such settings file"):
        RenderRecipe("chair.yaml", 4).job(tmp_path / "train.yaml", tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{rendr: []}", "unknown key 'rendr'; did you mean 'render'?"),
        ("{render: [{scenes: a.yaml}]}", "frames"),
        ("{render: [{scenes: a.yaml, frames: 0}]}", "frames must be at least 1"),
        ("{render: [{scenes: a.yaml, frames: 1, sed: 1}]}", "did you mean 'seed'?"),
        (
            "{render: [{scenes: a.yaml, frames: 1}, {scenes: b/a.yaml, frames: 1}]}",
            "a/train_pbr is named twice",
        ),
        (
            "{render: [{scenes: a.yaml, frames: 9}, {scenes: a.yaml, frames: 1, split: val}]}",
            "a.yaml with seed 0 is named twice",
        ),
        ("{on_the_fly: {frames: 0}}", "at least 1 frame"),
        ("{on_the_fly: {frames_per_step: -1}}", "no fewer than 0 frames_per_step"),
    ],
)
def test_bad_files(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message.replace("?", r"\?")):
        load(tmp_path, text)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_settings_are_valid_and_their_scenarios_show_all_objects(path):
    file = load_yaml(TrainingFile, path)
    assert file.network(max(len(file.objects), 1)).variant == "c_gcu5"
    for recipe in file.render:
        scenes = load_yaml(SceneConfig, path.parent / recipe.scenes)
        assert not scenes.objects or set(file.objects) <= set(scenes.objects)
        ratio = scenes.camera.width / scenes.camera.height
        assert file.input_size[0] / file.input_size[1] == pytest.approx(ratio)

"""``casapose train``: what is wrong is said before anything is trained."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from bop_folder import BopFolder
from exact_fields import box_object, random_pose
from rendered import box_mesh, small_object_set

from casapose_ros.cli import main
from casapose_ros.commands import train as command
from casapose_ros.commands._training_data import (
    TrainingData,
    shown_objects,
    training_sets,
    validation_set,
)
from casapose_ros.commands._training_note import note_data
from casapose_ros.commands._training_start import TrainingStart
from casapose_ros.data.frame_cache import FrameCache
from casapose_ros.data.frame_window import WindowConfig
from casapose_ros.data.object_sets import write_object_set
from casapose_ros.data.render_job import RenderJob
from casapose_ros.data.scene_config import SceneConfig
from casapose_ros.errors import ConfigError, DatasetError
from casapose_ros.files import locked
from casapose_ros.training.extending import Trained
from casapose_ros.training.loop import CHECKPOINTS
from casapose_ros.training.settings import TrainConfig

SETTINGS = "input_size: [160, 120]\ncrop: {size: 64, pixels: 64}\nbatch_size: 8\nsteps: 1\n"
BOX = box_object(1)


@pytest.fixture
def arguments(tmp_path):
    """A whole command line, with object set, data and settings that fit each other."""
    write_object_set(tmp_path / "objects", [BOX], [box_mesh()])
    rng = np.random.default_rng(0)
    BopFolder(tmp_path / "data", (BOX,), [[(BOX, *random_pose(rng))] for _ in range(2)])
    (tmp_path / "train.yaml").write_text(SETTINGS)
    return {
        "--config": tmp_path / "train.yaml",
        "--objects": tmp_path / "objects",
        "--data": tmp_path / "data",
        "--split": "test",
        "--validation-split": "test",
        "--out": tmp_path / "run",
    }


def train(arguments, *flags, **changes):
    options = {**arguments, **{f"--{k.replace('_', '-')}": v for k, v in changes.items()}}
    parts = [str(part) for name, v in options.items() if v is not None for part in (name, v)]
    return main(["train", *parts, *map(str, flags)])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("{stepz: 3}", "unknown key 'stepz'; did you mean 'steps'?"),
        ("{crop: {sise: 64}}", "unknown key 'sise'; did you mean 'size'?"),
        ("{steps: many}", "steps: expected int, got str"),
        ("{steps: 0}", "steps must be at least 1"),
        ("{input_size: [100, 96], crop: {size: 64}}", "multiples of 8"),
        ("{objects: [mug]}", "has no object 'mug'"),
        ("{objects: [red, green, red]}", "objects: 'red' is named twice"),
        ("{seed: -1}", "seed must not be negative, got -1"),
        ("[1, 2", "not valid YAML"),
    ],
)
def test_bad_settings(arguments, settings, message, capsys):
    arguments["--config"].write_text(settings)
    assert train(arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split": "train_pbr"}, "no split train_pbr to learn from"),
        ({"validation_split": "val"}, "name a data set with --validation"),
        ({"jobs": 0}, "--jobs must be at least 1, got 0"),
        ({"out": None}, "give --out for a run, or --preview"),
    ],
)
def test_bad_arguments(arguments, changes, message, capsys):
    assert train(arguments, **changes) == 2
    assert message in capsys.readouterr().err


def test_objects_that_the_data_does_not_show(arguments, tmp_path, capsys):
    small_object_set(tmp_path / "others")
    assert train(arguments, objects=tmp_path / "others") == 2
    assert "there is nothing to" in capsys.readouterr().err


def test_a_run_is_not_overwritten(arguments, capsys):
    (arguments["--out"] / CHECKPOINTS / "000001").mkdir(parents=True)
    assert train(arguments) == 2
    assert "add --resume" in capsys.readouterr().err


def test_preview_shows_every_crop(arguments, tmp_path):
    sheet = tmp_path / "sheet.png"
    assert train(arguments, out=None, preview=sheet) == 0
    picture = cv2.imread(str(sheet))
    assert picture.shape == (8 * 260, 2 * 4 * 260, 3)  # 16 crops, four tiles each
    assert all(tile.any() for row in np.vsplit(picture, 8) for tile in np.hsplit(row, 8))


def test_all_data_sets_are_learned_from_and_broken_parts_are_named(
    arguments, tmp_path, capsys, monkeypatch
):
    rng = np.random.default_rng(1)
    more = BopFolder(tmp_path / "more", (BOX,), [[(BOX, *random_pose(rng))] for _ in range(3)])
    broken = more.scene_path / "rgb" / "000001.png"
    broken.write_bytes(b"")
    arguments["--data"] = None
    sets = ("--data", tmp_path / "data", tmp_path / "more")
    assert train(arguments, *sets) == 2
    assert (
        "000001.png: not a readable image, or the file ends too soon; --skip-broken"
        in capsys.readouterr().err
    )
    seen = []
    monkeypatch.setattr(command, "note_data", lambda *args: seen.append(len(args[2])))
    monkeypatch.setattr("casapose_ros.training.loop.Run", lambda *args: pytest.skip("far enough"))
    with pytest.raises(pytest.skip.Exception):
        train(arguments, *sets, "--skip-broken")
    assert seen == [4]
    said = capsys.readouterr().out
    assert f"skipped: {broken}" in said and "1 broken scenes or frames were skipped" in said


def test_which_sets_have_which_split(tmp_path):
    for name, split in (("a", "train_pbr"), ("b", "val"), ("c", "val")):
        (tmp_path / name / split).mkdir(parents=True)
    paths = tuple(tmp_path / name for name in "abc")
    assert validation_set(TrainingData(paths)).path == tmp_path / "b"
    assert validation_set(TrainingData(paths, validation=paths[2])).path == tmp_path / "c"
    with pytest.raises(DatasetError, match="no split val to validate on"):
        validation_set(TrainingData(paths[:1]))
    assert [found.path for found in training_sets(TrainingData(paths))] == [tmp_path / "a"]
    with pytest.raises(DatasetError, match="no split train_pbr to learn from"):
        training_sets(TrainingData(paths[1:]))
    with pytest.raises(DatasetError, match="d/train_pbr: no such split"):
        training_sets(TrainingData((*paths, tmp_path / "d")))


def test_a_run_goes_on_with_the_data_it_began_with(tmp_path):
    rng = np.random.default_rng(0)
    folder = BopFolder(tmp_path / "data", (BOX,), [[(BOX, *random_pose(rng))]])
    data = TrainingData((tmp_path / "data",), split="test")
    frames = FrameCache(np.zeros((5, 1)), np.zeros((5, 1)), np.zeros((5, 1)), 1.0)
    note_data(tmp_path, data, frames, TrainingStart(TrainConfig(), (BOX,)))
    note_data(tmp_path, data, frames, TrainingStart(TrainConfig(), (BOX,)))
    rounded = replace(BOX, keypoints=BOX.keypoints + 1e-12)
    note_data(tmp_path, data, frames, TrainingStart(TrainConfig(), (rounded,)))
    moved = replace(BOX, keypoints=BOX.keypoints + 1e-3)
    with pytest.raises(ConfigError, match="other data .objects: .* there"):
        note_data(tmp_path, data, frames, TrainingStart(TrainConfig(), (moved,)))
    trained = Trained((BOX,), 1, {}, "abc")
    with pytest.raises(ConfigError, match="other data .trained_model: null there, .abc. here"):
        note_data(tmp_path, data, frames, TrainingStart(TrainConfig(), (BOX,), trained))
    truths = folder.scene_path / "scene_gt.json"
    before = truths.read_text()
    truths.write_text(before.replace('"cam_t_m2c": [', '"cam_t_m2c": [1', 1))
    with pytest.raises(ConfigError, match="other data .poses: .* there"):
        note_data(tmp_path, data, frames, TrainingStart(TrainConfig(), (BOX,)))
    truths.write_text(before)
    note = tmp_path / "data" / "test" / "render.json"
    note.write_text(json.dumps({"seed": 1}))
    fewer = FrameCache(np.zeros((4, 1)), np.zeros((4, 1)), np.zeros((4, 1)), 1.0)
    with pytest.raises(ConfigError, match="other data.*frames: 5 there, 4 here; .*rendered: "):
        note_data(tmp_path, data, fewer, TrainingStart(TrainConfig(), (BOX,)))
    live = TrainingData((), live=(EmptyJob(),), window=WindowConfig())
    with pytest.raises(
        ConfigError, match="began with data sets, now it is to learn from frames on"
    ):
        note_data(tmp_path, live, fewer, TrainingStart(TrainConfig(), (BOX,)))


def test_what_is_rendered_on_the_fly_shows_the_scenarios_objects(tmp_path):
    objects = small_object_set(tmp_path).objects
    names = [obj.name for obj in objects]
    jobs = [RenderJob(tmp_path, SceneConfig(objects=n), 1, 0, None) for n in ((), (names[1],))]
    assert shown_objects(TrainingData((), live=(jobs[1],))) == {objects[1].bop_id: 1}
    assert set(shown_objects(TrainingData((), live=tuple(jobs)))) == {o.bop_id for o in objects}


def test_a_folder_has_one_run_at_a_time(arguments, capsys):
    arguments["--out"].mkdir()
    with locked(arguments["--out"] / "run"):
        assert train(arguments) == 2
    assert "another process is at work on it" in capsys.readouterr().err


class EmptyJob:
    frames = 1

    def describe(self):
        return {}

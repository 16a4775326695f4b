"""Rendering as a part of ``casapose train``: what is missing is made, what is there is used."""

import json
import shutil
from collections import namedtuple
from dataclasses import replace

import cv2
import numpy as np
import pytest
import yaml
from rendered import SMALL_SCENES, require_gl, small_object_set, small_props

from casapose_ros.cli import main
from casapose_ros.commands import _training_renders as command
from casapose_ros.config import to_dict
from casapose_ros.data import props
from casapose_ros.data.photos import photos_digest

RECIPES = [
    {"scenes": "scenes/boxes.yaml", "frames": 3, "split": "train_pbr"},
    {"scenes": "scenes/boxes.yaml", "frames": 1, "split": "val", "seed": 1},
]


@pytest.fixture
def folder(tmp_path):
    require_gl()
    small_object_set(tmp_path / "objects")
    (tmp_path / "scenes").mkdir()
    (tmp_path / "scenes" / "boxes.yaml").write_text(yaml.safe_dump(to_dict(SMALL_SCENES)))
    write_settings(tmp_path)
    return tmp_path


def write_settings(folder, **changes):
    settings = {
        "input_size": [160, 120],
        "crop": {"size": 64, "pixels": 64},
        "batch_size": 4,
        "render": RECIPES,
        "on_the_fly": {"frames": 3, "frames_per_step": 1.0},
    }
    (folder / "train.yaml").write_text(yaml.safe_dump(settings | changes))


def preview(folder, *more, data="data"):
    """Everything but the training."""
    arguments = ["--config", folder / "train.yaml", "--objects", folder / "objects"]
    arguments += ["--data", folder / data, "--preview", folder / "sheet.png", "--jobs", 1, *more]
    return main(["train", *map(str, arguments)])


def test_what_is_missing_is_rendered_once(folder, capsys, monkeypatch):
    monkeypatch.setattr(props, "make_props", lambda seed: small_props())
    assert preview(folder) == 0
    assert (folder / "sheet.png").exists()
    data = folder / "data" / "boxes"
    assert len(list((data / "train_pbr" / "000000" / "rgb").iterdir())) == 3
    assert json.loads((data / "val" / "render.json").read_text())["seed"] == 1
    assert "3 frames to render" in capsys.readouterr().out
    images = {path: path.stat().st_mtime_ns for path in data.rglob("rgb/*")}
    assert preview(folder) == 0
    assert "frames to render" not in capsys.readouterr().out
    assert images == {path: path.stat().st_mtime_ns for path in data.rglob("rgb/*")}
    write_settings(folder, render=[RECIPES[0] | {"frames": 4}, RECIPES[1]])
    assert preview(folder) == 0
    assert "1 frames to render" in capsys.readouterr().out
    write_settings(folder, render=[RECIPES[0] | {"seed": 5}, RECIPES[1]])
    assert preview(folder) == 2
    assert "begun with other settings (seed: 0 there, 5 here)" in capsys.readouterr().err
    write_settings(folder)
    assert preview(folder) == 2
    assert "has 4 frames already, and 3 are asked for" in capsys.readouterr().err
    # Its renders can be learned from as any other data set.
    assert preview(folder, "--no-render", data="data/boxes") == 0


def test_frames_on_the_fly_are_not_written(folder, monkeypatch):
    monkeypatch.setattr(props, "make_props", lambda seed: small_props())  # of the split val
    assert preview(folder, "--on-the-fly") == 0
    assert (folder / "sheet.png").exists()
    assert not (folder / "data" / "boxes" / "train_pbr").exists()
    assert (folder / "data" / "boxes" / "val").is_dir()


@pytest.mark.parametrize(
    ("render", "flags", "message"),
    [
        ([RECIPES[1]], [], "no entry has split 'train_pbr'"),
        ([RECIPES[0] | {"split": "test"}], [], "split 'test', which nobody asks for"),
        ([], ["--on-the-fly"], "--on-the-fly needs the 'render' section"),
        (RECIPES, ["--on-the-fly", "--no-render"], "--on-the-fly needs the 'render' section"),
        (RECIPES, [], "is a data set itself"),
        ([*RECIPES, RECIPES[0] | {"name": "more"}], [], "with seed 0 is named twice"),
        ([RECIPES[0], RECIPES[1] | {"seed": 0}], [], "with seed 0 is named twice"),
    ],
)
def test_sections_that_make_no_sense(folder, capsys, render, flags, message):
    write_settings(folder, render=render)
    if message == "is a data set itself":
        (folder / "data" / "train_pbr").mkdir(parents=True)
    assert preview(folder, *flags) == 2
    assert message in capsys.readouterr().err


def test_photos_are_handed_to_the_scenarios_that_show_some(folder, capsys, monkeypatch):
    monkeypatch.setattr(props, "make_props", lambda seed: small_props())
    assert preview(folder, "--photos", folder / "pictures") == 2
    assert "no scenario of" in capsys.readouterr().err
    scenes = replace(SMALL_SCENES, photo_probability=0.5)
    (folder / "scenes" / "boxes.yaml").write_text(yaml.safe_dump(to_dict(scenes)))
    for flags in ([], ["--on-the-fly"]):
        assert preview(folder, *flags) == 2
        assert "photo_probability is 0.5, but there are no photos" in capsys.readouterr().err
    assert preview(folder, "--photos", folder / "pictures") == 2
    assert "pictures is not a folder" in capsys.readouterr().err
    (folder / "pictures").mkdir()
    cv2.imwrite(str(folder / "pictures" / "red.png"), np.full((8, 8, 3), (0, 0, 255), np.uint8))
    assert preview(folder, "--photos", folder / "pictures") == 0
    note = json.loads((folder / "data" / "boxes" / "train_pbr" / "render.json").read_text())
    assert note["photos"] == photos_digest(folder / "pictures")
    assert preview(folder, "--photos", folder / "pictures", "--no-render", data="data/boxes") == 2
    assert "--photos is for what is rendered" in capsys.readouterr().err


def test_other_data_beside_frames_on_the_fly_are_refused(folder, capsys):
    (folder / "photos" / "train_pbr").mkdir(parents=True)
    arguments = ["--config", folder / "train.yaml", "--objects", folder / "objects"]
    arguments += ["--data", folder / "data", folder / "photos", "--on-the-fly"]
    assert main(["train", *map(str, arguments), "--preview", str(folder / "sheet.png")]) == 2
    assert f"{folder / 'photos'} has a split train_pbr" in capsys.readouterr().err


def test_what_others_have_made_is_not_added_to(folder, capsys, monkeypatch):
    monkeypatch.setattr(command, "_render", lambda *args: pytest.fail("too late"))
    (folder / "data" / "boxes" / "val" / "000000").mkdir(parents=True)
    assert preview(folder) == 2
    assert "val has scenes that 'casapose render' has not made" in capsys.readouterr().err


def test_disks_have_to_have_room_for_everything(folder, capsys, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1, 1, 2_000_000))
    monkeypatch.setattr(command, "_render", lambda *args: pytest.fail("too late"))
    cache = ["--cache", str(folder / "resized")]
    write_settings(folder, render=[RECIPES[0] | {"frames": 20}, RECIPES[1]])
    assert preview(folder, *cache) == 2
    said = capsys.readouterr().err
    assert "the same at 160x120" in said and "0.0 GB are free: ask for fewer" in said

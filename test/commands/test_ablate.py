"""``casapose ablate``: variants are trained alike, measured on the same images, and tabulated."""

import dataclasses
import json

import keras
import numpy as np
import pytest
from bop_folder import BopFolder
from exact_fields import box_object, random_pose

from casapose_ros import cli, estimator
from casapose_ros.bundle import save_bundle
from casapose_ros.commands import _training_start, train
from casapose_ros.commands._training_start import TrainingStart
from casapose_ros.network import build_network

OBJECTS = (box_object(1), box_object(2, (0.1, 0.1, 0.1)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    rng = np.random.default_rng(5)
    images = [[(OBJECTS[i % 2], *random_pose(rng))] for i in range(4)]
    return BopFolder(tmp_path_factory.mktemp("data") / "boxes", OBJECTS, images)


@pytest.fixture
def ablate(folder, tmp_path, monkeypatch):
    """The command; training and the network are played, the latter perfectly."""
    trained = []

    def play_training(start, data, out):
        config = start.config
        trained.append(dataclasses.asdict(config))
        keras.utils.set_random_seed(config.seed)
        network = build_network(config.network(len(OBJECTS)))
        bundle = out / "bundle"
        save_bundle(bundle, network, OBJECTS, name=out.name, input_size=(640, 480))
        return bundle

    monkeypatch.setattr(train, "train", play_training)
    monkeypatch.setattr(
        _training_start, "start_of", lambda config, objects: TrainingStart(config, OBJECTS, objects)
    )
    monkeypatch.setattr(estimator, "FieldPredictor", lambda network: folder.predict)
    monkeypatch.setattr(estimator, "load_network", lambda bundle: None)

    def run(*arguments):
        out = tmp_path / "out"
        status = cli.main(["ablate", str(folder.path), "--out", str(out), *map(str, arguments)])
        return status, trained, out

    return run


@pytest.fixture
def training(tmp_path):
    (tmp_path / "train.yaml").write_text("{width: 0.125, vector_decoder: [8, 8, 8, 8, 8], seed: 4}")
    return ("--config", tmp_path / "train.yaml", "--objects", "o", "--data", "d", "--steps", "7")


def test_decoders_differ_in_nothing_else_and_keypoints_use_the_final_one(ablate, training):
    status, trained, out = ablate(
        *training,
        *("--decoders", "base,c_gcu5", "--keypoints", "second,largest,ransac", "--poses", ""),
    )
    assert status == 0
    assert [config.pop("variant") for config in trained] == ["base", "c_gcu5"]
    assert trained[0] == trained[1] and trained[0]["steps"] == 7
    decoders, keypoints = json.loads((out / "tables.json").read_text())
    assert list(decoders["rows"]) == ["base", "c_gcu5"]
    assert "7 steps of 8 crops" in decoders["settings"] and "seed 4" in decoders["settings"]
    assert "4 images" in keypoints["settings"] and "model c_gcu5" in keypoints["settings"]
    recall = {name: row["ADD(-S) < 10 %, %"] for name, row in keypoints["rows"].items()}
    assert recall["largest"].startswith("100.0 (") and recall["ransac"].startswith("100.0 (")
    assert recall["second"].startswith("0.0 (")  # no object is in two pieces
    assert keypoints["rows"]["second"]["poses"] == "0"
    text = (out / "tables.md").read_text()
    assert "### Decoders" in text and "| `ransac` | RANSAC voting" in text
    assert (out / "keypoints" / "largest" / "report.html").exists()
    assert (out / "base" / "evaluation" / "report.html").exists()


def test_poses_are_fitted_in_both_ways(ablate, training):
    status, _, out = ablate(*training, "--decoders", "c_gcu5", "--keypoints", "")
    assert status == 0
    _, poses = json.loads((out / "tables.json").read_text())
    assert list(poses["rows"]) == ["iterative", "weighted"]
    for variant, row in poses["rows"].items():
        assert row["ADD(-S) < 10 %, %"].startswith("100.0 (")
        log = (out / "poses" / variant / "frames.jsonl").open()
        assert json.loads(log.readline())["settings"]["pnp"] == variant


def test_what_was_measured_is_not_run_again(ablate, folder, training, monkeypatch):
    arguments = (*training, "--decoders", "c_gcu5", "--keypoints", "largest", "--poses", "")
    ablate(*arguments)
    monkeypatch.setattr(folder, "scenes", [])  # the network would fail now
    status, _, out = ablate(*arguments)
    assert status == 0 and len(json.loads((out / "tables.json").read_text())) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--decoders", "c_gcu6"], "--decoders: unknown 'c_gcu6'; known: base"),
        (["--keypoints", "smallest"], "--keypoints: unknown 'smallest'; known: ransac"),
        ([], "no model for the tables of keypoints and poses"),
        (["--keypoints", ""], "no model for the tables of keypoints and poses"),
        (["--poses", "exact"], "--poses: unknown 'exact'; known: iterative, weighted"),
        (["--config", "a.yaml"], "go together, got only ['config']"),
        (["--keypoints", "", "--poses", ""], "nothing to do"),
    ],
)
def test_bad_options(ablate, capsys, arguments, message):
    assert ablate(*arguments)[0] == cli.EXIT_BAD_INPUT
    assert message in capsys.readouterr().err

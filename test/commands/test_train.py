"""``casapose train``: what is wrong is said before anything is trained."""

import numpy as np
import pytest
from bop_folder import BopFolder
from exact_fields import box_object, random_pose
from rendered import small_object_set

from casapose_ros.cli import main


@pytest.fixture
def arguments(tmp_path):
    """A whole command line, with object set, data and settings that fit each other."""
    small_object_set(tmp_path / "objects")
    rng = np.random.default_rng(0)
    objects = (box_object(1),)
    BopFolder(tmp_path / "data", objects, [[(objects[0], *random_pose(rng))]])
    (tmp_path / "train.yaml").write_text("{input_size: [160, 120], crop: {size: 64}, steps: 1}")
    return {
        "--config": tmp_path / "train.yaml",
        "--objects": tmp_path / "objects",
        "--data": tmp_path / "data",
        "--split": "test",
        "--validation-split": "test",
        "--out": tmp_path / "run",
    }


def train(arguments, **changes):
    options = {**arguments, **{f"--{k}": v for k, v in changes.items()}}
    return main(["train", *(str(part) for option in options.items() for part in option)])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("{stepz: 3}", "unknown key 'stepz'; did you mean 'steps'?"),
        ("{crop: {sise: 64}}", "unknown key 'sise'; did you mean 'size'?"),
        ("{steps: many}", "steps: expected int, got str"),
        ("{steps: 0}", "steps must be at least 1"),
        ("{input_size: [100, 96], crop: {size: 64}}", "multiples of 8"),
        ("{objects: [mug]}", "has no object 'mug'"),
        ("[1, 2", "not valid YAML"),
    ],
)
def test_bad_settings(arguments, settings, message, capsys):
    arguments["--config"].write_text(settings)
    assert train(arguments) == 2
    assert message in capsys.readouterr().err


def test_missing_split(arguments, capsys):
    assert train(arguments, split="train_pbr") == 2
    assert "train_pbr" in capsys.readouterr().err


def test_objects_that_the_data_does_not_show(arguments, capsys):
    assert train(arguments) == 2
    assert "nothing to evaluate" in capsys.readouterr().err


def test_a_run_is_not_overwritten(arguments, capsys):
    arguments["--out"].mkdir()
    (arguments["--out"] / "checkpoint.npz").write_bytes(b"")
    assert train(arguments) == 2
    assert "add --resume" in capsys.readouterr().err

"""What is asked for."""

import json

import pytest

from casapose_ros.errors import DatasetError
from casapose_ros.evaluation.bop19.targets import Target, count_visible, read_targets

ENTRY = {"scene_id": 2, "im_id": 31, "obj_id": 5, "inst_count": 3}


def test_a_file_is_read(tmp_path):
    path = tmp_path / "targets.json"
    path.write_text(json.dumps([ENTRY]))
    assert read_targets(path) == [Target(2, 31, 5, 3)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[", "broken JSON"),
        ("{}", "expected a list of targets, got dict"),
        (json.dumps([ENTRY, {"scene_id": 2, "im_id": 31}]), "target 1: expected numbers scene_id"),
        (json.dumps([ENTRY | {"inst_count": "1"}]), "target 0: expected numbers"),
        (json.dumps([ENTRY | {"obj_id": -1}]), "target 0: expected numbers"),
        (json.dumps([ENTRY, ENTRY]), r"target 1: .*\(2, 31, 5\) are there twice"),
    ],
)
def test_a_bad_file_is_named(tmp_path, content, message):
    path = tmp_path / "targets.json"
    path.write_text(content)
    with pytest.raises(DatasetError, match=f"targets.json.*{message}"):
        read_targets(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DatasetError, match="targets.json: cannot be read: No such file"):
        read_targets(tmp_path / "targets.json")


def test_without_a_file_a_tenth_of_the_object_must_be_visible(true_object):
    truths = [true_object("cube", visibility=v) for v in (0.1, 0.0999, 0.7)]
    assert count_visible([*truths, true_object("bar", visibility=0.05)]) == {"cube": 2}

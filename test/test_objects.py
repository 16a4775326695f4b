import copy
import dataclasses
import json

import numpy as np
import pytest

from casapose_ros.errors import ConfigError
from casapose_ros.objects import objects_from_json, objects_to_json, read_objects, write_objects
from casapose_ros.types import ObjectModel, Symmetries

HALF_TURN = np.diag([-1.0, -1.0, 1.0, 1.0])


def make_object(name="mug", class_id=1, bop_id=7):
    keypoints = np.random.default_rng(class_id).uniform(-0.05, 0.05, (9, 3))
    symmetries = Symmetries(HALF_TURN[None], ((np.array([0.0, 0, 1]), np.array([0.0, 0, 0.01])),))
    box = np.full(3, 0.05)
    return ObjectModel(name, class_id, bop_id, keypoints, 0.17, -box, box, symmetries)


@pytest.fixture
def entries():
    return objects_to_json([make_object(), make_object("can", 2, 5)])


def assert_same(a, b):
    assert (a.name, a.class_id, a.bop_id, a.diameter) == (b.name, b.class_id, b.bop_id, b.diameter)
    for field in ("keypoints", "box_min", "box_max"):
        np.testing.assert_array_equal(getattr(a, field), getattr(b, field))
    np.testing.assert_array_equal(a.symmetries.discrete, b.symmetries.discrete)
    for (axis_a, offset_a), (axis_b, offset_b) in zip(
        a.symmetries.continuous, b.symmetries.continuous, strict=True
    ):
        np.testing.assert_array_equal(axis_a, axis_b)
        np.testing.assert_array_equal(offset_a, offset_b)


def test_what_is_written_is_read_back_exactly(tmp_path):
    objects = [make_object(), make_object("can", 2, 5)]
    write_objects(tmp_path / "objects.json", objects)
    for written, read in zip(objects, read_objects(tmp_path / "objects.json"), strict=True):
        assert_same(written, read)


def test_an_object_without_symmetries_has_none(entries):
    entries[0] |= {"symmetries_discrete": [], "symmetries_continuous": []}
    symmetries = objects_from_json(entries)[0].symmetries
    assert symmetries.discrete.shape == (0, 4, 4)
    assert not symmetries.any


def test_another_scan_keeps_its_transform(tmp_path):
    T = HALF_TURN + np.eye(4, k=3) * 0.02
    scan = dataclasses.replace(make_object(), T_reference_obj=T)
    write_objects(tmp_path / "objects.json", [scan, make_object("can", 2, 5)])
    read = read_objects(tmp_path / "objects.json")
    np.testing.assert_array_equal(read[0].T_reference_obj, T)
    assert read[1].T_reference_obj is None


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.diag([1.0, 1, -1, 1]).tolist(), "T_reference_obj is no rigid transform"),
        (np.diag([2.0, 2, 2, 1]).tolist(), "no rigid transform"),
        (np.diag([1.0, 1, 1, 2]).tolist(), "no rigid transform"),
        (np.eye(3).tolist(), r"expected finite numbers of shape \(4, 4\)"),
    ],
)
def test_a_transform_between_scans_is_rigid(entries, value, message):
    entries[0]["T_reference_obj"] = value
    with pytest.raises(ConfigError, match=message):
        objects_from_json(entries)


def test_objects_come_in_the_order_of_their_class_ids(entries):
    assert [obj.class_id for obj in objects_from_json(entries[::-1])] == [1, 2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "my mug"}, "name 'my mug' must be letters"),
        ({"name": ""}, "must be letters"),
        ({"name": "can"}, "name 'can' is used more than once"),
        ({"bop_id": 5}, "bop_id 5 is used more than once"),
        ({"bop_id": True}, "bop_id: expected an integer"),
        ({"class_id": 3}, r"class ids must be 1..2, got \[2, 3\]"),
        ({"class_id": 0}, "class_id: expected an integer of at least 1"),
        ({"class_id": 1.0}, "class_id: expected an integer"),
        ({"keypoints": [[0, 0, 0]]}, r"\(mug\): keypoints: expected finite numbers of shape"),
        ({"keypoints": [["x", 0, 0]] * 9}, "keypoints: expected numbers"),
        ({"keypoints": [[float("nan"), 0, 0]] * 9}, "keypoints: expected finite"),
        ({"diameter": 0}, "diameter must be positive"),
        ({"diameter": None}, "diameter: expected finite"),
        ({"box_max": [-1, 0, 0]}, "below box_min"),
        ({"box_min": [0, 0]}, "box_min: expected finite"),
        ({"symmetries_discrete": [np.diag([2.0, 1, 1, 1]).tolist()]}, "no rotation"),
        ({"symmetries_discrete": [np.diag([-1.0, 1, 1, 1]).tolist()]}, "no rotation"),
        ({"symmetries_discrete": [[1, 2]]}, "symmetries_discrete: expected"),
        ({"symmetries_continuous": [{"axis": [0, 0, 1]}]}, "missing offset"),
        ({"symmetries_continuous": [{"axis": [0, 0, 0], "offset": [0, 0, 0]}]}, "axis is zero"),
        ({"symmetries_continuous": 3}, "symmetries_continuous: expected a list"),
        ({"diametre": 0.1}, "unknown key 'diametre'; did you mean 'diameter'"),
    ],
)
def test_each_wrong_value_is_named(entries, changes, message):
    entries[0] |= changes
    with pytest.raises(ConfigError, match=message):
        objects_from_json(entries)


@pytest.mark.parametrize("key", sorted(objects_to_json([make_object()])[0]))
def test_each_missing_value_is_named(entries, key):
    del entries[1][key]
    with pytest.raises(ConfigError, match=f"object 1: missing {key}"):
        objects_from_json(entries)


@pytest.mark.parametrize("bad", [[], None, {}, "mug"])
def test_no_objects_are_an_error(bad):
    with pytest.raises(ConfigError, match="at least one object"):
        objects_from_json(bad)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "expected a mapping"),
        ('{"format": 99, "objects": []}', "format 99 is unknown"),
        ('{"format": 1, "objects": [3]}', "object 0: expected a mapping, got int"),
    ],
)
def test_bad_files_are_named(tmp_path, text, message):
    path = tmp_path / "objects.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message) as error:
        read_objects(path)
    assert str(path) in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        read_objects(tmp_path / "objects.json")


def test_bad_objects_are_not_written(tmp_path, entries):
    bad = make_object("no good")
    with pytest.raises(ConfigError):
        write_objects(tmp_path / "objects.json", [bad])
    assert not (tmp_path / "objects.json").exists()


def test_the_description_is_plain_json(entries):
    assert objects_to_json(objects_from_json(json.loads(json.dumps(entries)))) == copy.deepcopy(
        entries
    )

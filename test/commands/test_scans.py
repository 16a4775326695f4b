"""A data set with other scans of the objects that the model was trained with."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from bop_folder import BopFolder
from exact_fields import box_object, random_pose

from casapose_ros.commands._measuring import Method, RunOptions
from casapose_ros.commands._scans import for_scans_of
from casapose_ros.commands.evaluate import evaluate
from casapose_ros.errors import DatasetError
from casapose_ros.estimator import PoseEstimator
from casapose_ros.objects import write_objects

KNOWN = (box_object(1), box_object(2, (0.1, 0.1, 0.1)), box_object(3, (0.1, 0.05, 0.1)))
QUARTER_TURN = np.array([[0, -1, 0, 0.03], [1, 0, 0, -0.1], [0, 0, 1, 0.05], [0, 0, 0, 1]])


def scan_of(known, class_id, bop_id):
    """The same box after a quarter turn and a shift of its frame."""
    back = np.linalg.inv(QUARTER_TURN)
    corners = np.array([known.box_min, known.box_max]) @ back[:3, :3].T + back[:3, 3]
    return replace(
        known,
        class_id=class_id,
        bop_id=bop_id,
        keypoints=known.keypoints @ back[:3, :3].T + back[:3, 3],
        box_min=corners.min(axis=0),
        box_max=corners.max(axis=0),
        T_reference_obj=QUARTER_TURN,
    )


SCANS = (scan_of(KNOWN[1], 1, 13), scan_of(KNOWN[0], 2, 12))
"""In another order, with other BOP ids, which the model knows as other objects'."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three images with the truth in the scans' frames; the network knows the known objects."""
    rng = np.random.default_rng(3)
    shown = [replace(scan, class_id=known) for scan, known in zip(SCANS, (2, 1), strict=True)]
    images = [[(shown[i % 2], *random_pose(rng))] for i in range(3)]
    return BopFolder(tmp_path_factory.mktemp("data") / "scans", KNOWN, images)


@pytest.fixture
def method(folder):
    return Method(
        "boxes", KNOWN, lambda: PoseEstimator(folder.predict, KNOWN, (640, 480), name="boxes")
    )


@pytest.mark.parametrize("models", ["models_aligned", "models"])
def test_poses_are_those_of_the_data_sets_scans(folder, method, models, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(folder.path, data)
    (data / models).mkdir(exist_ok=True)
    write_objects(data / models / "objects.json", SCANS)
    scanned = for_scans_of(data, method)
    assert [(o.name, o.class_id) for o in scanned.objects] == [(o.name, o.class_id) for o in KNOWN]
    # The third has no scan, and its id 13 is another object's in this data set.
    assert [o.bop_id for o in scanned.objects[:2]] == [12, 13]
    assert scanned.objects[2].bop_id > 1000
    assert scanned.settings["scans"] == models
    report = evaluate(scanned, data, "test", tmp_path / "out", RunOptions())
    assert report.total.targets == 3
    assert report.total.recall_add_10 == report.total.recall_5cm_5deg == 1


def test_a_model_of_the_scans_themselves_has_their_poses(folder, tmp_path):
    """As one has that was trained with the aligned object set, or with renders of it."""
    data = tmp_path / "data"
    shutil.copytree(folder.path, data)
    (data / "models_aligned").mkdir()
    write_objects(data / "models_aligned" / "objects.json", SCANS)
    own = tuple(replace(scan, class_id=i) for scan, i in zip(SCANS, (2, 1), strict=True))[::-1]
    method = Method(
        "scans", own, lambda: PoseEstimator(folder.predict, own, (640, 480), name="scans")
    )
    report = evaluate(for_scans_of(data, method), data, "test", tmp_path / "out", RunOptions())
    assert report.total.targets == 3
    assert report.total.recall_add_10 == report.total.recall_5cm_5deg == 1


def test_what_was_not_aligned_is_absent(folder, method, tmp_path):
    """Only one was; the data set shows another object by the number of the second."""
    data = tmp_path / "data"
    shutil.copytree(folder.path, data)
    (data / "models_aligned").mkdir()
    write_objects(data / "models_aligned" / "objects.json", [replace(SCANS[1], class_id=1)])
    known = (KNOWN[0], replace(KNOWN[1], bop_id=13), replace(KNOWN[2], bop_id=1))
    scanned = for_scans_of(data, replace(method, objects=known))
    report = evaluate(scanned, data, "test", tmp_path / "out", RunOptions())
    assert report.total.targets == 1 and report.total.recall_add_10 == 1


def test_other_scans_are_other_settings(method, tmp_path):
    (tmp_path / "models").mkdir()
    settings = []
    for factor in (1, 1.01, 1):
        scans = [replace(scan, diameter=factor * scan.diameter) for scan in SCANS]
        write_objects(tmp_path / "models" / "objects.json", scans)
        settings.append(for_scans_of(tmp_path, method).settings)
    assert settings[0] == settings[2] != settings[1]


def test_without_the_compensation_they_are_refused(folder, method, tmp_path):
    known = tuple(
        replace(obj, bop_id=bop_id) for obj, bop_id in zip(KNOWN, (12, 13, 14), strict=True)
    )
    method = replace(method, objects=known)
    with pytest.raises(DatasetError, match="another origin, or another mesh.*--align-to"):
        evaluate(method, folder.path, "test", tmp_path / "out", RunOptions())


def test_other_data_sets_leave_the_method_as_it_is(folder, method, tmp_path):
    assert for_scans_of(folder.path, method) is method
    (tmp_path / "models").mkdir()
    write_objects(tmp_path / "models" / "objects.json", KNOWN)
    assert for_scans_of(tmp_path, method) is method


def test_scans_aligned_to_other_meshes_are_refused(method, tmp_path):
    (tmp_path / "models").mkdir()
    file = tmp_path / "models" / "objects.json"
    write_objects(file, SCANS)
    document = json.loads(file.read_text())
    document["objects"][0]["T_reference_obj"][2][3] += 0.003
    file.write_text(json.dumps(document))
    with pytest.raises(DatasetError, match=r"box2 was not aligned .* up to 3\.0 mm away"):
        for_scans_of(tmp_path, method)

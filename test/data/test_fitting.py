"""Data sets that cannot teach an object set are refused, with both sides named."""

from dataclasses import replace

import numpy as np
import pytest
from bop_folder import BopFolder
from exact_fields import box_object, random_pose

from casapose_ros.data.bop import BopDataset
from casapose_ros.data.fitting import check_complete, check_fit
from casapose_ros.errors import DatasetError

BOX = box_object(1)


@pytest.fixture
def folder(tmp_path):
    return BopFolder(tmp_path / "boxes", (BOX,), [[(BOX, *random_pose(np.random.default_rng(0)))]])


def check(folder, *objects):
    check_fit(folder.path, list(BopDataset(folder.path, "test")), objects)


def test_same_objects_fit(folder):
    check(folder, BOX, box_object(2))


def test_other_ids_do_not(folder):
    with pytest.raises(DatasetError, match=r"BOP ids \[11\], the object set has 12 \(box2\)"):
        check(folder, box_object(2))


def test_another_size_is_another_object(folder):
    other = replace(BOX, diameter=1.2 * BOX.diameter)
    with pytest.raises(
        DatasetError, match="models_info.json: object 11 is 0.15.* m across.*'box1'"
    ):
        check(folder, other)


def test_another_origin_is_named(folder):
    moved = replace(BOX, box_min=BOX.box_min + 0.02, box_max=BOX.box_max + 0.02)
    with pytest.raises(DatasetError, match="another origin, or another mesh.*--align-to"):
        check(folder, moved)


def test_sets_without_models_are_taken_on_trust(folder):
    (folder.path / "models" / "models_info.json").unlink()
    check(folder, replace(BOX, diameter=1.0))


def test_images_without_ground_truth_are_named(folder):
    extra = folder.scene_path / "rgb" / "000007.png"
    extra.write_bytes((folder.scene_path / "rgb" / "000000.png").read_bytes())
    dataset = BopDataset(folder.path, "test")
    with pytest.raises(DatasetError, match="000007.png: no entry in .*scene_camera.json.*--skip"):
        check_complete(dataset, list(dataset))
    lenient = BopDataset(folder.path, "test", skip_broken=True)
    check_complete(lenient, list(lenient))
    assert len(lenient.problems) == 1 and "000007.png" in lenient.problems[0]

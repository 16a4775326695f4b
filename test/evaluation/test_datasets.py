"""BOP folders as evaluation reads them."""

import dataclasses
import json

import numpy as np
import pytest
from bop_folder import BopFolder
from exact_fields import box_object, random_pose

from casapose_ros.data.bop import BopDataset
from casapose_ros.data.meshes import load_object_set
from casapose_ros.errors import DatasetError
from casapose_ros.evaluation.datasets import (
    count_objects,
    load_references,
    read_frame,
    unknown_visibilities,
)

FIRST, SECOND = box_object(1), box_object(2, (0.1, 0.1, 0.1))


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    images = [
        [(FIRST, *random_pose(rng)), (SECOND, *random_pose(rng))],
        [(SECOND, *random_pose(rng)), (SECOND, *random_pose(rng))],
    ]
    return BopFolder(tmp_path / "boxes", [FIRST, SECOND], images)


def test_objects_are_counted(folder):
    assert count_objects(BopDataset(folder.path, "test")) == {11: 1, 12: 3}


def test_a_frame_holds_only_what_the_model_knows(folder):
    frame = read_frame(next(iter(BopDataset(folder.path, "test"))), [SECOND])
    assert frame.name == "000000/000000" and frame.image.shape == (480, 640, 3)
    assert [t.name for t in frame.truths] == ["box2"]
    assert frame.truths[0].visibility == 1.0
    assert list(frame.masks) == ["box2"]


def test_masks_of_two_instances_are_one(folder):
    _, bop_frame = BopDataset(folder.path, "test")
    frame = read_frame(bop_frame, [SECOND])
    assert len(frame.truths) == 2
    np.testing.assert_array_equal(
        frame.masks["box2"], bop_frame.load_mask(0) | bop_frame.load_mask(1)
    )


def test_an_object_of_which_one_instance_has_no_mask_has_none(folder):
    """Else all of the other instance's pixels would count as wrong."""
    (folder.scene_path / "mask_visib" / "000001_000001.png").unlink()
    first, second = BopDataset(folder.path, "test")
    assert set(read_frame(first, [FIRST, SECOND]).masks) == {"box1", "box2"}
    assert read_frame(second, [FIRST, SECOND]).masks == {}


@pytest.mark.parametrize("wrong", [[float("nan")] * 9, [2.0, 0, 0, 0, 1, 0, 0, 0, 1]])
def test_a_true_pose_that_is_none_is_named_by_image_and_object(folder, wrong):
    path = folder.scene_path / "scene_gt.json"
    truths = json.loads(path.read_text())
    truths["1"][1]["cam_R_m2c"] = wrong
    path.write_text(json.dumps(truths))
    first, second = BopDataset(folder.path, "test")
    read_frame(first, [SECOND])
    with pytest.raises(DatasetError, match=r"000000/scene_gt.json: image 1, object 1: .*no pose"):
        read_frame(second, [SECOND])


def test_images_without_visibilities_are_counted(folder):
    assert unknown_visibilities(list(BopDataset(folder.path, "test"))) == []
    path = folder.scene_path / "scene_gt_info.json"
    infos = json.loads(path.read_text())
    path.write_text(json.dumps({"0": infos["0"]}))
    (sentence,) = unknown_visibilities(list(BopDataset(folder.path, "test")))
    assert sentence.startswith("1 of 2 images have no visibilities")
    path.unlink()
    (sentence,) = unknown_visibilities(list(BopDataset(folder.path, "test")))
    assert sentence.startswith("2 of 2 images") and "counts as fully visible" in sentence


def test_without_gt_info_objects_count_as_visible(folder):
    (folder.scene_path / "scene_gt_info.json").unlink()
    frame = read_frame(next(iter(BopDataset(folder.path, "test"))), [FIRST])
    assert frame.truths[0].visibility == 1.0


def test_references_have_the_data_sets_surface(folder):
    references = load_references(folder.path, [FIRST, SECOND], {11, 12})
    assert list(references) == ["box1", "box2"]
    points = references["box1"].points
    np.testing.assert_allclose(points.min(axis=0), FIRST.box_min, atol=1e-6)
    np.testing.assert_allclose(points.max(axis=0), FIRST.box_max, atol=1e-6)


def test_an_object_that_no_image_shows_needs_no_mesh(folder):
    stranger = box_object(3)
    references = load_references(folder.path, [FIRST, SECOND, stranger], {11, 12})
    assert "box3" in references


def test_the_data_set_says_what_is_symmetric(folder):
    path = folder.path / "models" / "models_info.json"
    infos = json.loads(path.read_text())
    infos["12"]["symmetries_discrete"] = [np.diag([-1.0, -1, 1, 1]).ravel().tolist()]
    path.write_text(json.dumps(infos))
    references = load_references(folder.path, [FIRST, SECOND], {11, 12})
    assert [len(r.transforms) for r in references.values()] == [1, 2]


def test_no_common_object_is_an_error_that_names_both_sides(folder):
    with pytest.raises(DatasetError, match=r"\[11, 12\].*13 \(box3\)"):
        load_references(folder.path, [box_object(3)], {11, 12})


def test_another_object_of_the_same_id_is_an_error(folder):
    other = dataclasses.replace(FIRST, diameter=0.3)
    with pytest.raises(DatasetError, match="not the same object"):
        load_references(folder.path, [other], {11})


def test_missing_models_are_named(folder, tmp_path):
    with pytest.raises(DatasetError, match="models_eval or models"):
        load_references(tmp_path / "nowhere", [FIRST], {11})
    (folder.path / "models" / "models_info.json").write_text("{}")
    with pytest.raises(DatasetError, match="no entry for object 11"):
        load_references(folder.path, [FIRST], {11})


def test_linemod_occluded_is_read(shared_dir):
    path = shared_dir / "data" / "lmo"
    objects = load_object_set(path / "models").objects
    frames = list(BopDataset(path, "test"))
    references = load_references(path, objects, count_objects(frames))
    assert len(frames) == 20 and len(references) == 8
    symmetric = {n for n, r in references.items() if r.model.symmetries.any}
    assert symmetric == {"obj_000010", "obj_000011"}
    frame = read_frame(frames[0], objects)
    assert len(frame.truths) == len(frames[0].objects)
    assert all(0.1 < np.linalg.norm(t.t_cam_obj) < 2 for t in frame.truths)

"""The cache holds frames at network resolution, with labels and keypoints that fit them."""

import json
from collections import namedtuple
from dataclasses import replace

import cv2
import numpy as np
import pytest
from bop_folder import BopFolder
from exact_fields import box_object, random_pose

from casapose_ros.data import frame_cache
from casapose_ros.data.bop import BopDataset
from casapose_ros.data.frame_cache import FrameCache, Rows, join_caches, open_frame_cache
from casapose_ros.errors import DatasetError
from casapose_ros.framing import Framing
from casapose_ros.geometry import project
from casapose_ros.types import Symmetries

OBJECTS = (box_object(1), box_object(2, (0.1, 0.1, 0.1)))
SIZE = (160, 120)


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(3)
    images = [[(OBJECTS[0], *random_pose(rng))], [(OBJECTS[1], *random_pose(rng))]]
    return BopFolder(tmp_path / "boxes", OBJECTS, images)


def open_cache(folder, tmp_path, objects=OBJECTS, size=SIZE, skip_broken=False, **kwargs):
    dataset = BopDataset(folder.path, "test", skip_broken)
    frames = list(dataset)
    return open_frame_cache(dataset, frames, objects, size, tmp_path / "cache", **kwargs)


def test_labels_and_keypoints_fit_the_resized_image(folder, tmp_path):
    done = []
    cache = open_cache(folder, tmp_path, progress=lambda *counts: done.append(counts))
    assert cache.images.shape == (2, 120, 160, 3) and cache.scale == 4.0 and len(cache) == 2
    assert done[-1] == (2, 2) and cache.at(5) is cache
    for index, frame in enumerate(BopDataset(folder.path, "test")):
        (truth,) = frame.objects
        model = OBJECTS[index]
        mask = cache.labels[index] == model.class_id
        assert mask.sum() * 16 == pytest.approx(frame.load_mask(0).sum(), rel=0.03)
        expected = project(model.keypoints, truth.R_cam_obj, truth.t_cam_obj, frame.camera) / 4
        np.testing.assert_allclose(cache.keypoints[index, index, 0], expected, atol=1e-3)
        assert np.all(np.isnan(cache.keypoints[index, 1 - index]))
        small = cv2.resize(frame.load_image(), SIZE, interpolation=cv2.INTER_AREA)
        np.testing.assert_array_equal(cache.images[index], small)


def test_is_written_once_and_again_when_something_changes(folder, tmp_path):
    open_cache(folder, tmp_path)
    done = []

    def count(*counts):
        done.append(counts)

    # Keypoints are no part of what is written.
    moved = (replace(OBJECTS[0], keypoints=OBJECTS[0].keypoints / 2), OBJECTS[1])
    again = open_cache(folder, tmp_path, objects=moved, progress=count)
    assert not done and again.images.shape[0] == 2
    open_cache(folder, tmp_path, size=(80, 60), progress=count)
    assert done.pop() == (2, 2)
    mask = next((folder.scene_path / "mask_visib").iterdir())
    cv2.imwrite(str(mask), np.zeros((480, 640), np.uint8))
    open_cache(folder, tmp_path, progress=count)
    assert done


def test_candidates_for_symmetric_objects(folder, tmp_path):
    symmetric = replace(OBJECTS[1], symmetries=Symmetries(np.diag([-1.0, -1, 1, 1])[None]))
    objects = (OBJECTS[0], symmetric)
    assert open_cache(folder, tmp_path, objects).keypoints.shape == (2, 2, 1, 9, 2)
    assert open_cache(folder, tmp_path, objects, symmetric=True).keypoints.shape == (2, 2, 2, 9, 2)


def test_objects_that_are_not_learned_are_background(folder, tmp_path):
    cache = open_cache(folder, tmp_path, objects=OBJECTS[:1])
    assert cache.labels[0].any() and not cache.labels[1].any()


def test_a_write_that_was_interrupted_is_begun_again(folder, tmp_path, monkeypatch):
    def die(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(frame_cache, "_resized", die)
    with pytest.raises(KeyboardInterrupt):
        open_cache(folder, tmp_path)
    monkeypatch.undo()
    assert open_cache(folder, tmp_path).images[1].any()


def test_refuses_what_cannot_be_trained_on(folder, tmp_path):
    with pytest.raises(DatasetError, match="000000.png: 640x480 has another aspect ratio"):
        open_cache(folder, tmp_path, size=(160, 160))
    for mask in (folder.scene_path / "mask_visib").iterdir():
        mask.unlink()
    with pytest.raises(DatasetError, match=r"mask_visib \(and 1 more frames\)"):
        open_cache(folder, tmp_path)
    with pytest.raises(DatasetError, match="none of 2 frames can be read"):
        open_cache(folder, tmp_path, skip_broken=True)


def test_broken_frames_are_left_out_when_asked(folder, tmp_path):
    broken = folder.scene_path / "mask_visib" / "000000_000000.png"
    broken.write_bytes(b"no image")
    with pytest.raises(DatasetError, match="000000_000000.png.*--skip-broken"):
        open_cache(folder, tmp_path)
    dataset = BopDataset(folder.path, "test", skip_broken=True)
    cache = open_frame_cache(dataset, list(dataset), OBJECTS, SIZE, tmp_path / "cache")
    assert len(dataset.problems) == 1 and str(broken) in dataset.problems[0]
    assert len(cache) == len(cache.keypoints) == 1
    assert np.all(np.unique(cache.labels[0]) == [0, 2])
    assert np.isfinite(cache.keypoints[0][1]).all()


@pytest.mark.parametrize(
    ("name", "values"), [("cam_t_m2c", [float("nan"), 0, 500]), ("cam_R_m2c", [2] + 8 * [0])]
)
def test_frames_with_a_pose_that_is_none_are_left_out_when_asked(folder, tmp_path, name, values):
    path = folder.scene_path / "scene_gt.json"
    truths = json.loads(path.read_text())
    truths["1"][0][name] = values
    path.write_text(json.dumps(truths))
    with pytest.raises(DatasetError, match="scene_gt.json: image 1, object 0: .* is no pose; --sk"):
        open_cache(folder, tmp_path)
    cache = open_cache(folder, tmp_path, skip_broken=True)
    assert len(cache) == 1 and np.isfinite(cache.keypoints[0, 0]).all()
    # What is not learned need not be right.
    assert len(open_cache(folder, tmp_path, objects=OBJECTS[:1])) == 2


def test_says_how_much_disk_is_missing(folder, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(frame_cache.shutil, "disk_usage", lambda _: usage(1, 1, 1000))
    with pytest.raises(DatasetError, match="2 frames of 160x120 need 0.0 GB.*--cache"):
        open_cache(folder, tmp_path)


def test_no_frames(folder, tmp_path):
    for name in ("scene_camera.json", "scene_gt.json"):
        (folder.scene_path / name).write_text(json.dumps({}))
    with pytest.raises(DatasetError, match="no frames to train on"):
        open_cache(folder, tmp_path)


def test_joined_sets_are_one_after_the_other():
    def cache(count, value, scale):
        images = np.full((count, 4, 4, 3), value, np.uint8)
        keypoints = np.full((count, value, 1, 9, 2), value, np.float32)
        classes = np.full((count, value), value, np.uint8)
        return FrameCache(images, images[..., 0], keypoints, classes, scale)

    joined = join_caches([cache(3, 1, 1.0), cache(1, 2, 2.0)])
    assert len(joined) == 4 and joined.scale == 1.25
    for index, value in enumerate([1, 1, 1, 2]):
        for rows in (joined.images, joined.labels):
            assert np.all(rows[index] == value)
        # There is room for the most instances that any of the sets shows.
        keypoints, classes = joined.keypoints[index], joined.classes[index]
        assert keypoints.shape == (2, 1, 9, 2) and np.all(keypoints[:value] == value)
        assert np.isnan(keypoints[value:]).all()
        assert classes.tolist() == ([1, 0] if value == 1 else [2, 2])
    with pytest.raises(IndexError):
        joined.images[4]
    assert [int(r) for r in Rows([(np.arange(5), [4, 0]), (np.arange(9), [7])])] == [4, 0, 7]


def test_the_most_visible_of_several_instances_is_the_first(tmp_path):
    near, far = (np.eye(3), np.array([-0.15, 0, 0.5])), (np.eye(3), np.array([0.2, 0, 0.9]))
    folder = BopFolder(tmp_path / "twins", OBJECTS, [[(OBJECTS[0], *far), (OBJECTS[0], *near)]])
    cache = open_cache(folder, tmp_path)
    labels, (frame,) = cache.labels[0], BopDataset(folder.path, "test")
    assert cache.classes.tolist() == [[1, 2, 1]] and cache.keypoints.shape == (1, 3, 1, 9, 2)
    for index, number, pose in ((0, 3, far), (1, 1, near)):
        assert np.count_nonzero(labels == number) * 16 == pytest.approx(
            frame.load_mask(index).sum(), rel=0.05
        )
        expected = project(OBJECTS[0].keypoints, *pose, frame.camera) / 4
        np.testing.assert_allclose(cache.keypoints[0, number - 1, 0], expected, atol=1e-3)
    # Where visibilities say otherwise, what was cached before does not count.
    infos = folder.scene_path / "scene_gt_info.json"
    known = json.loads(infos.read_text())
    known["0"][0]["px_count_visib"] = 1000
    infos.write_text(json.dumps(known))
    changed = open_cache(folder, tmp_path)
    np.testing.assert_array_equal(changed.labels[0] == 1, labels == 3)
    np.testing.assert_array_equal(changed.labels[0] == 3, labels == 1)
    np.testing.assert_array_equal(changed.keypoints[0, 0], cache.keypoints[0, 2])
    known["0"][1]["px_count_visib"] = 0
    infos.write_text(json.dumps(known))
    hidden = open_cache(folder, tmp_path)
    assert hidden.classes.tolist() == [[1, 2]] and set(np.unique(hidden.labels)) == {0, 1}


def test_enlarged_frames_are_what_the_estimator_shows_the_network(folder, tmp_path):
    cache = open_cache(folder, tmp_path, size=(960, 720))
    for index, frame in enumerate(BopDataset(folder.path, "test")):
        framing = Framing.fit((frame.camera.width, frame.camera.height), (960, 720))
        np.testing.assert_array_equal(cache.images[index], framing.to_network(frame.load_image()))


def test_a_link_to_nowhere_is_a_broken_frame(tmp_path):
    """As data sets are that were fetched in part."""
    placed = [[(OBJECTS[0], np.eye(3), np.array([0, 0, z]))] for z in (0.5, 0.6)]
    folder = BopFolder(tmp_path / "linked", OBJECTS, placed)
    image = sorted((folder.scene_path / "rgb").iterdir())[1]
    image.unlink()
    image.symlink_to(tmp_path / "not_fetched")
    with pytest.raises(DatasetError, match=image.name):
        open_cache(folder, tmp_path)

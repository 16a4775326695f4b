"""The cache holds frames at network resolution, with labels and keypoints that fit them."""

import cv2
import numpy as np
import pytest
from bop_folder import BopFolder
from exact_fields import box_object, random_pose

from casapose_ros.data.bop import BopDataset
from casapose_ros.data.frame_cache import open_frame_cache
from casapose_ros.errors import DatasetError
from casapose_ros.geometry import project

OBJECTS = (box_object(1), box_object(2, (0.1, 0.1, 0.1)))
SIZE = (160, 120)


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(3)
    images = [[(OBJECTS[0], *random_pose(rng))], [(OBJECTS[1], *random_pose(rng))]]
    return BopFolder(tmp_path / "boxes", OBJECTS, images)


def open_cache(folder, tmp_path, objects=OBJECTS, size=SIZE, **kwargs):
    return open_frame_cache(
        BopDataset(folder.path, "test"), objects, size, tmp_path / "cache", **kwargs
    )


def test_labels_and_keypoints_fit_the_resized_image(folder, tmp_path):
    done = []
    cache = open_cache(folder, tmp_path, progress=lambda *counts: done.append(counts))
    assert cache.images.shape == (2, 120, 160, 3) and cache.scale == 4.0
    assert done[-1] == (2, 2)
    for index, frame in enumerate(BopDataset(folder.path, "test")):
        (truth,) = frame.objects
        model = OBJECTS[index]
        mask = cache.labels[index] == model.class_id
        assert mask.sum() * 16 == pytest.approx(frame.load_mask(0).sum(), rel=0.03)
        expected = project(model.keypoints, truth.R_cam_obj, truth.t_cam_obj, frame.camera) / 4
        np.testing.assert_allclose(cache.keypoints[index, index], expected, atol=1e-3)
        assert np.all(np.isnan(cache.keypoints[index, 1 - index]))
        small = cv2.resize(frame.load_image(), SIZE, interpolation=cv2.INTER_AREA)
        np.testing.assert_array_equal(cache.images[index], small)


def test_is_written_once_and_again_when_something_changes(folder, tmp_path):
    open_cache(folder, tmp_path)
    done = []
    again = open_cache(folder, tmp_path, progress=lambda *counts: done.append(counts))
    assert not done and again.images.shape[0] == 2
    open_cache(folder, tmp_path, size=(80, 60), progress=lambda *counts: done.append(counts))
    assert done


def test_objects_that_are_not_learned_are_background(folder, tmp_path):
    cache = open_cache(folder, tmp_path, objects=OBJECTS[:1])
    assert cache.labels[0].any() and not cache.labels[1].any()


def test_refuses_what_cannot_be_trained_on(folder, tmp_path):
    with pytest.raises(DatasetError, match="aspect ratio"):
        open_cache(folder, tmp_path, size=(160, 160))
    for mask in (folder.scene_path / "mask_visib").iterdir():
        mask.unlink()
    with pytest.raises(DatasetError, match="mask_visib"):
        open_cache(folder, tmp_path)

"""Batches: labels and keypoints follow the picture, and a step decides its batch."""

import numpy as np
import pytest

from casapose_ros.data.frame_cache import FrameCache
from casapose_ros.errors import ConfigError
from casapose_ros.training.batches import CropConfig, make_batch, prefetch_batches


@pytest.fixture
def cache():
    """Two frames: a red square of class 2 with its keypoints at the corners, and an empty one."""
    images = np.zeros((2, 48, 64, 3), np.uint8)
    labels = np.zeros((2, 48, 64), np.uint8)
    images[0, 10:30, 20:44] = (255, 0, 0)
    labels[0, 10:30, 20:44] = 2
    keypoints = np.full((2, 2, 9, 2), np.nan, np.float32)
    keypoints[0, 1] = (32, 20)
    keypoints[0, 1, 1:5] = [(20, 10), (44, 10), (20, 30), (44, 30)]
    return FrameCache(images, labels, keypoints, scale=2.0)


PLAIN = CropConfig(size=32, augmentation=0.0, pixels=64)


def test_labels_and_keypoints_follow_the_picture(cache):
    seen = 0
    for step in range(20):
        inputs, targets = make_batch(cache, PLAIN, 4, seed=0, step=step)
        for image, labels, pixels, keypoints in zip(
            inputs["image"], inputs["labels"], inputs["pixels"], targets["keypoints"], strict=True
        ):
            # Nearest and bilinear sampling differ by at most half a pixel at the border.
            red = image[..., 0] > 127
            assert np.mean(red != (labels == 2)) < 0.1
            if not labels.any():
                assert not pixels.any()
                continue
            seen += 1
            assert np.all(labels.ravel()[pixels] == 2)
            whole = np.all((keypoints[1, 1:5] > 0) & (keypoints[1, 1:5] < 32))
            if whole:
                rows, columns = np.nonzero(labels == 2)
                middle = (columns.mean() + 0.5, rows.mean() + 0.5)
                np.testing.assert_allclose(keypoints[1, 0], middle, atol=0.75)
            assert np.all(keypoints[0] == keypoints[0, 0])  # the absent object
    assert seen > 20


def test_shapes_and_types(cache):
    inputs, targets = make_batch(cache, PLAIN, 3, seed=1, step=0)
    assert inputs["image"].shape == (3, 32, 32, 3) and inputs["image"].dtype == np.uint8
    assert inputs["labels"].shape == (3, 32, 32)
    assert inputs["pixels"].shape == (3, 64) and inputs["pixels"].dtype == np.int32
    assert targets["keypoints"].shape == (3, 2, 9, 2)
    assert np.all(np.isfinite(targets["keypoints"]))


def test_a_step_decides_its_batch(cache):
    config = CropConfig(size=32)
    ahead = list(prefetch_batches(cache, config, 2, seed=5, steps=range(3, 6)))
    for step, (inputs, targets) in zip(range(3, 6), ahead, strict=True):
        again, same_targets = make_batch(cache, config, 2, seed=5, step=step)
        np.testing.assert_equal(inputs, again)
        np.testing.assert_equal(targets, same_targets)
    assert not np.array_equal(ahead[0][0]["image"], ahead[1][0]["image"])


def test_an_error_while_making_batches_reaches_the_training(cache):
    broken = FrameCache(cache.images, cache.labels, cache.keypoints[:0], 1.0)
    with pytest.raises(IndexError):
        list(prefetch_batches(broken, PLAIN, 2, seed=0, steps=range(2)))


def test_leaving_early_ends_the_thread(cache):
    batches = prefetch_batches(cache, PLAIN, 2, seed=0, steps=range(1000))
    next(batches)
    batches.close()  # joins the thread, or hangs


def test_refuses_odd_crops():
    with pytest.raises(ConfigError, match="multiple of 8, got 30"):
        CropConfig(size=30)

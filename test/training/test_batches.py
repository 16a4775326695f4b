"""Batches: labels and keypoints follow the picture, and a step decides its batch."""

import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from casapose_ros.data.frame_cache import FrameCache
from casapose_ros.errors import ConfigError
from casapose_ros.training.batches import BatchStream, CropConfig, make_batch, prefetch_batches
from casapose_ros.training.crops import OWN_ESTIMATE
from casapose_ros.training.settings import TrainConfig


@pytest.fixture
def cache():
    """Two frames: a red square of class 2 with its keypoints at the corners, and an empty one.

    A second pose that looks the same has the corners in another order.
    """
    images = np.zeros((2, 48, 64, 3), np.uint8)
    labels = np.zeros((2, 48, 64), np.uint8)
    images[0, 10:30, 20:44] = (255, 0, 0)
    labels[0, 10:30, 20:44] = 2
    keypoints = np.full((2, 2, 2, 9, 2), np.nan, np.float32)
    corners = np.array([(20, 10), (44, 10), (20, 30), (44, 30)])
    keypoints[0, 1] = (32, 20)
    keypoints[0, 1, 0, 1:5] = corners
    keypoints[0, 1, 1, 1:5] = corners[::-1]
    return FrameCache(images, labels, keypoints, np.uint8([[1, 2], [1, 2]]), scale=2.0)


PLAIN = CropConfig(size=32, augmentation=0.0, pixels=64)


def test_labels_and_keypoints_follow_the_picture(cache):
    seen = 0
    for step in range(20):
        inputs, targets = make_batch(cache, PLAIN, 4, seed=0, step=step)
        np.testing.assert_array_equal(inputs["guide"], inputs["labels"])
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
            corners = keypoints[1, :, 1:5]
            np.testing.assert_allclose(corners[1], corners[0, ::-1], atol=1e-4)
            whole = np.all((corners > 0) & (corners < 32))
            if whole:
                rows, columns = np.nonzero(labels == 2)
                middle = (columns.mean() + 0.5, rows.mean() + 0.5)
                np.testing.assert_allclose(keypoints[1, 0, 0], middle, atol=0.75)
            assert np.all(keypoints[0] == keypoints[0, 0, 0])  # the absent object
    assert seen > 20


def test_shapes_and_types(cache):
    inputs, targets = make_batch(cache, PLAIN, 3, seed=1, step=0)
    assert inputs["image"].shape == (3, 32, 32, 3) and inputs["image"].dtype == np.uint8
    for name in ("labels", "guide"):
        assert inputs[name].shape == (3, 32, 32) and inputs[name].dtype == np.uint8
    assert inputs["pixels"].shape == (3, 64) and inputs["pixels"].dtype == np.int32
    assert inputs["classes"].shape == (3, 2) and inputs["classes"].dtype == np.uint8
    assert targets["keypoints"].shape == (3, 2, 2, 9, 2)
    assert np.all(np.isfinite(targets["keypoints"]))


def crops_of(cache, count=200, **changes):
    config = CropConfig(size=32, augmentation=0.0, pixels=64, **changes)
    inputs, _ = make_batch(cache, config, count, seed=0, step=0)
    return inputs


def test_crops_are_placed_on_objects_by_their_weights():
    """Three objects too far apart for one crop, of which a frame lacks the third."""
    labels = np.zeros((2, 48, 192), np.uint8)
    for label in (1, 2, 3):
        labels[:, 16:32, 64 * label - 40 : 64 * label - 24] = label
    labels[1][labels[1] == 3] = 0
    images = np.zeros((*labels.shape, 3), np.uint8)
    keypoints, classes = np.zeros((2, 3, 1, 9, 2), np.float32), np.uint8([[1, 2, 3], [1, 2, 3]])
    cache = FrameCache(images, labels, keypoints, classes, scale=1.0)
    config = replace(PLAIN, centred=1.0, jitter=0.0)

    def shares(weights):
        inputs, _ = make_batch(cache, config, 600, seed=0, step=0, weights=weights)
        assert np.array_equal(inputs["labels"].any(axis=(1, 2)), np.ones(600, bool))
        shown = inputs["labels"].max(axis=(1, 2))
        return [np.mean(shown == label) for label in (1, 2, 3)]

    assert shares(None) == pytest.approx([5 / 12, 5 / 12, 1 / 6], abs=0.06)
    weights = TrainConfig(objects=("a", "b", "c"), object_weights={"b": 6}).weights_of("abc")
    assert shares(weights) == pytest.approx([15 / 112, 45 / 56, 1 / 16], abs=0.06)


def test_guides_are_true_corrupted_or_left_to_the_network(cache):
    inputs = crops_of(cache, corrupted_masks=0.4, predicted_masks=0.3)
    shown = inputs["labels"].any(axis=(1, 2))
    own = np.all(inputs["guide"] == OWN_ESTIMATE, axis=(1, 2))
    true = np.all(inputs["guide"] == inputs["labels"], axis=(1, 2))
    assert own.mean() == pytest.approx(0.3, abs=0.1)
    assert true[shown].mean() == pytest.approx(0.3, abs=0.12)
    corrupted = inputs["guide"][shown & ~own]
    assert set(np.unique(corrupted)) == {0, 2}


def test_pixels_are_where_the_truth_or_the_guide_has_an_object(cache):
    inputs = crops_of(cache, corrupted_masks=1.0)
    beyond = 0
    for labels, guide, pixels in zip(
        *(inputs[n] for n in ("labels", "guide", "pixels")), strict=True
    ):
        there, guided = labels.ravel()[pixels] > 0, guide.ravel()[pixels] > 0
        assert np.all(there | guided) or not (labels.any() or guide.any())
        beyond += np.count_nonzero(guided & ~there)
    assert beyond > 100
    own = crops_of(cache, predicted_masks=1.0)
    shown = own["labels"].any(axis=(1, 2))
    picked = np.take_along_axis(own["labels"].reshape(200, -1), own["pixels"], axis=1)
    assert np.all(picked[shown] == 2)


def test_further_instances_are_guided_by_their_class_and_have_their_own_keypoints(cache):
    """The right part of the square is a second instance of class 2."""
    labels = cache.labels.copy()
    labels[:, :, 36:][labels[:, :, 36:] == 2] = 3
    keypoints = np.concatenate([cache.keypoints, cache.keypoints[:, 1:] + 5], axis=1)
    twins = replace(
        cache, labels=labels, keypoints=keypoints, classes=np.uint8([[1, 2, 2], [1, 2, 0]])
    )
    inputs, targets = make_batch(twins, PLAIN, 200, seed=0, step=0)
    assert {0, 2, 3} == set(np.unique(inputs["labels"]))
    np.testing.assert_array_equal(inputs["guide"], np.minimum(inputs["labels"], 2))
    picked = np.take_along_axis(inputs["labels"].reshape(200, -1), inputs["pixels"], axis=1)
    assert np.any(picked == 2) and np.any(picked == 3)
    shown = inputs["labels"].any(axis=(1, 2))
    shift = (targets["keypoints"][:, 2] - targets["keypoints"][:, 1])[shown]
    np.testing.assert_allclose(np.linalg.norm(shift, axis=-1), 50**0.5, rtol=0.2)
    # Crops are placed on either of them: the left one lies further to the right in them.
    centred = replace(PLAIN, centred=1.0, jitter=0.0, overhang=0.5)
    inputs, _ = make_batch(twins, centred, 200, seed=0, step=0)
    middle = inputs["labels"][:, 16, 16]
    assert np.mean(middle == 3) == pytest.approx(np.mean(middle == 2), abs=0.15)
    assert np.mean(middle > 0) == pytest.approx(0.5, abs=0.1)


def test_what_an_occluder_hides_is_background(cache):
    plain, covered = crops_of(cache), crops_of(cache, occluders=1.0, occluder_size=(0.5, 0.6))
    assert covered["labels"].astype(bool).sum() < 0.9 * plain["labels"].astype(bool).sum()
    red = covered["image"][..., 0] > 127
    assert np.mean(red != (covered["labels"] == 2)) < 0.03


def test_a_step_decides_its_batch_whatever_makes_it(cache):
    config = CropConfig(size=32, occluders=0.5, corrupted_masks=0.5)
    expected = [make_batch(cache, config, 2, seed=5, step=step) for step in range(3, 12)]
    assert not np.array_equal(expected[0][0]["image"], expected[1][0]["image"])
    for workers in (1, 4):
        found = list(prefetch_batches(cache, config, 2, 5, range(3, 12), workers))
        np.testing.assert_equal(found, expected)


def test_hosts_share_a_batch(cache):
    whole, _ = make_batch(cache, PLAIN, 4, seed=0, step=7)
    parts = [make_batch(cache, PLAIN, 4, 0, 7, share)[0] for share in (range(2), range(2, 4))]
    for name, values in whole.items():
        np.testing.assert_array_equal(np.concatenate([part[name] for part in parts]), values)


def test_an_error_while_making_batches_reaches_the_training(cache):
    broken = replace(cache, keypoints=cache.keypoints[:0])
    with pytest.raises(IndexError):
        list(prefetch_batches(broken, PLAIN, 2, seed=0, steps=range(2)))
    assert not [t for t in threading.enumerate() if t.name.startswith("batches")]


def test_leaving_early_ends_the_threads(cache):
    with prefetch_batches(cache, PLAIN, 2, seed=0, steps=range(1000), workers=3) as batches:
        next(batches)
    assert not [t for t in threading.enumerate() if t.name.startswith("batches")]
    with pytest.raises(StopIteration):
        next(batches)


def test_waiting_is_counted():
    stream = BatchStream(lambda step: time.sleep(0.05) or step, range(3), workers=1)
    assert list(stream) == [0, 1, 2]
    assert 0.1 < stream.waited < 5
    stream = BatchStream(lambda step: step, range(3), workers=1)
    time.sleep(0.1)
    assert list(stream) == [0, 1, 2] and stream.waited < 0.1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": 30}, "multiple of 8, got 30"),
        ({"occluders": 1.5}, r"occluders must be in \[0, 1\], got 1.5"),
        ({"corrupted_masks": 0.7, "predicted_masks": 0.6}, "exclude each other"),
        ({"occluder_size": (0.5, 0.2)}, "must be a range above 0"),
        ({"max_occluders": 0}, "max_occluders must be at least 1"),
        ({"augmentation": -1.0}, "augmentation must be at least 0"),
        ({"max_zoom": 0.5}, "max_zoom at least 1"),
        ({"pixels": 0}, "pixels must be at least 1, got 0"),
    ],
)
def test_refuses_what_makes_no_crops(changes, message):
    with pytest.raises(ConfigError, match=message):
        CropConfig(**changes)

"""Corrupted masks: they differ from the truth as a network's do, and by no more."""

import cv2
import numpy as np
import pytest

from casapose_ros.training import mask_corruption
from casapose_ros.training.mask_corruption import corrupt_labels


@pytest.fixture
def labels():
    """Two squares that touch, and a third apart from them."""
    labels = np.zeros((96, 128), np.uint8)
    labels[20:60, 10:50] = 2
    labels[20:60, 50:90] = 5
    labels[70:90, 100:120] = 3
    return labels


def corrupted(kind, labels, seed):
    return getattr(mask_corruption, kind)(labels, np.random.default_rng(seed))


def overlap(a, b):
    return np.mean([np.sum((a == c) & (b == c)) / np.sum((a == c) | (b == c)) for c in (2, 3, 5)])


def distance_from_outline(labels):
    """Of every pixel, to the next one of another class."""
    near = np.zeros(labels.shape)
    for class_id in np.unique(labels):
        near += cv2.distanceTransform((labels == class_id).astype(np.uint8), cv2.DIST_L2, 5)
    return near


def test_a_corrupted_mask_is_wrong_but_like_the_truth(labels):
    before = labels.copy()
    overlaps = []
    for seed in range(100):
        guide = corrupt_labels(labels, np.random.default_rng(seed))
        assert guide.dtype == np.uint8 and guide.shape == labels.shape
        assert set(np.unique(guide)) <= {0, 2, 3, 5}
        overlaps.append(overlap(guide, labels))
    np.testing.assert_array_equal(labels, before)
    assert 0.6 < np.mean(overlaps) < 0.9
    assert np.mean(np.array(overlaps) == 1) < 0.05


def test_the_generator_decides(labels):
    first, again = (corrupt_labels(labels, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_a_mask_without_objects_stays_empty():
    empty = np.zeros((16, 16), np.uint8)
    guide = corrupt_labels(empty, np.random.default_rng(0))
    assert not guide.any() and guide is not empty


@pytest.mark.parametrize("kind", ["_warp", "_grow_or_shrink"])
def test_outlines_wander_by_a_few_pixels(labels, kind):
    reach = mask_corruption.MAX_SHIFT_PX * np.sqrt(2) + 1
    for seed in range(20):
        changed = corrupted(kind, labels, seed) != labels
        assert changed.any()
        assert np.all(distance_from_outline(labels)[changed] <= reach)


def test_holes_are_background_inside_objects(labels):
    for seed in range(20):
        guide = corrupted("_punch_holes", labels, seed)
        changed = guide != labels
        assert changed.any() and np.all(guide[changed] == 0)


def test_confusion_swaps_one_object_for_another(labels):
    for seed in range(20):
        guide = corrupted("_confuse", labels, seed)
        changed = guide != labels
        assert changed.any() and np.all(labels[changed] > 0) and np.all(guide[changed] > 0)
    alone = np.where(labels == 2, labels, 0)
    np.testing.assert_array_equal(corrupted("_confuse", alone, 0), alone)


def test_islands_lie_in_the_background_and_are_small(labels):
    for seed in range(20):
        guide = corrupted("_add_islands", labels, seed)
        changed = guide != labels
        assert changed.any() and np.all(labels[changed] == 0)
        assert changed.sum() <= 3 * np.pi / 4 * (mask_corruption.ISLAND[1] * 128 + 2) ** 2
    full = np.full_like(labels, 2)
    np.testing.assert_array_equal(corrupted("_add_islands", full, 0), full)


def test_small_objects_and_single_pixels_survive_every_kind():
    labels = np.zeros((8, 8), np.uint8)
    labels[0, 0], labels[7, 7] = 1, 2
    for seed in range(50):
        assert corrupt_labels(labels, np.random.default_rng(seed)).shape == (8, 8)

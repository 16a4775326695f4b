"""Occluders: exact labels, no known object among the pieces, something covered."""

import numpy as np
import pytest

from casapose_ros.data.frame_cache import FrameCache
from casapose_ros.data.occluders import paste_occluders

GREEN, RED, BLUE = (0, 255, 0), (255, 0, 0), (0, 0, 255)
SIZE = (0.3, 1.0)


def frame(labels):
    """Known objects are red, everything else is blue."""
    return np.where((labels > 0)[..., None], np.uint8(RED), np.uint8(BLUE))


@pytest.fixture
def frames():
    rng = np.random.default_rng(0)
    labels = np.zeros((4, 60, 80), np.uint8)
    for picture in labels:
        for class_id in (1, 2):
            top, left = rng.integers(0, 40), rng.integers(0, 60)
            picture[top : top + 18, left : left + 18] = class_id
    images = np.stack([frame(picture) for picture in labels])
    return FrameCache(images, labels, np.zeros((4, 2, 1, 9, 2)), np.uint8([[1, 2]] * 4), 1.0)


@pytest.fixture
def crop():
    """A green object of class 3 in the middle of grey."""
    labels = np.zeros((64, 64), np.uint8)
    labels[16:48, 16:48] = 3
    image = np.full((64, 64, 3), 128, np.uint8)
    image[labels == 3] = GREEN
    return image, labels


def test_labels_change_exactly_where_the_piece_covers(frames, crop):
    image, labels = crop
    covered = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        pasted, new = paste_occluders(image, labels, frames, SIZE, 2, rng)
        assert set(np.unique(new)) <= {0, 3} and not np.any((new > 0) & (labels == 0))
        covered += np.count_nonzero(new != labels)
        # On the object's pixels the colour is a mixture of green and blue: a label is that of
        # the greater part. Corners may tip the balance.
        object_part = pasted[..., 1].astype(int) - pasted[..., 2]
        inside = labels == 3
        wrong = inside & ((new == 3) != (object_part > 0)) & (np.abs(object_part) > 30)
        assert np.count_nonzero(wrong) <= 0.02 * inside.sum()
    assert covered > 40 * 50


def test_pieces_never_show_a_known_object(frames, crop):
    for seed in range(40):
        pasted, _ = paste_occluders(*crop, frames, SIZE, 3, np.random.default_rng(seed))
        assert pasted[..., 0].max() <= 128


def test_the_crop_given_is_left_alone_and_the_generator_decides(frames, crop):
    image, labels = (part.copy() for part in crop)
    first = paste_occluders(image, labels, frames, SIZE, 2, np.random.default_rng(5))
    np.testing.assert_array_equal(image, crop[0])
    np.testing.assert_array_equal(labels, crop[1])
    again = paste_occluders(image, labels, frames, SIZE, 2, np.random.default_rng(5))
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)


def test_without_objects_nothing_happens(frames, crop):
    image, empty = crop[0], np.zeros_like(crop[1])
    pasted, labels = paste_occluders(image, empty, frames, SIZE, 2, np.random.default_rng(0))
    assert pasted is image and labels is empty


@pytest.mark.parametrize("size", [(0.01, 0.02), (5.0, 9.0)])
def test_tiny_and_huge_pieces(frames, crop, size):
    for seed in range(10):
        pasted, labels = paste_occluders(*crop, frames, size, 1, np.random.default_rng(seed))
        assert pasted.shape == (64, 64, 3) and labels.shape == (64, 64)


def test_frames_smaller_than_the_piece(crop):
    labels = np.zeros((1, 10, 12), np.uint8)
    image, keypoints = frame(labels[0])[None], np.zeros((1, 1, 1, 9, 2))
    small = FrameCache(image, labels, keypoints, np.ones((1, 1), np.uint8), 1.0)
    pasted, new = paste_occluders(*crop, small, (1.0, 1.0), 1, np.random.default_rng(0))
    assert np.any(new != crop[1]) and np.any(pasted != crop[0])

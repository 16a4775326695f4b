"""Targets of symmetric objects: the equivalent pose nearest to the estimate."""

import numpy as np
import pytest
from keras import ops

from casapose_ros.training.losses import pixel_offsets, unit_vectors
from casapose_ros.training.symmetry import nearest_targets

PIXELS, OBJECTS, EQUIVALENT = 40, 2, 3


@pytest.fixture
def scene():
    """Candidates, centres and labels of two images; pixels of both objects and the background."""
    rng = np.random.default_rng(0)
    candidates = rng.uniform(0, 32, (2, OBJECTS, EQUIVALENT, 9, 2)).astype("f")
    centres = rng.uniform(0, 32, (2, PIXELS, 2)).astype("f")
    labels = rng.integers(0, OBJECTS + 1, (2, PIXELS)).astype("i4")
    return candidates, centres, labels


def directions(candidates, chosen, centres, labels):
    """What a network gives that sees candidate ``chosen[b][k]``."""
    keypoints = np.stack(
        [[candidates[b, k, chosen[b][k]] for k in range(OBJECTS)] for b in range(2)]
    )
    offsets = pixel_offsets(ops.convert_to_tensor(keypoints), labels, centres)
    return keypoints, np.array(unit_vectors(offsets)).reshape(2, PIXELS, 18)


def test_finds_what_the_network_sees(scene):
    candidates, centres, labels = scene
    for chosen in ([[0, 1], [2, 0]], [[2, 2], [1, 0]]):
        keypoints, vectors = directions(candidates, chosen, centres, labels)
        noisy = vectors + np.random.default_rng(1).normal(0, 0.2, vectors.shape).astype("f")
        found = nearest_targets(ops.convert_to_tensor(candidates), noisy, labels, centres)
        np.testing.assert_array_equal(found, keypoints)


def test_only_pixels_of_the_object_decide(scene):
    candidates, centres, labels = scene
    keypoints, vectors = directions(candidates, [[1, 1], [1, 1]], centres, labels)
    vectors[labels == 0] = 100.0
    found = nearest_targets(ops.convert_to_tensor(candidates), vectors, labels, centres)
    np.testing.assert_array_equal(found, keypoints)


def test_an_object_without_pixels_keeps_its_first(scene):
    candidates, centres, labels = scene
    found = nearest_targets(
        ops.convert_to_tensor(candidates),
        np.ones((2, PIXELS, 18), "f"),
        np.zeros_like(labels),
        centres,
    )
    np.testing.assert_array_equal(found, candidates[:, :, 0])


def test_one_candidate_is_itself(scene):
    candidates, centres, labels = scene
    one = ops.convert_to_tensor(candidates[:, :, 1:2])
    found = nearest_targets(one, np.ones((2, PIXELS, 18), "f"), labels, centres)
    np.testing.assert_array_equal(found, candidates[:, :, 1])

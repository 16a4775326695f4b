"""Several instances of one object: where one ends and the next begins."""

import numpy as np
import pytest
from exact_fields import CAMERA, Scene, box_object, random_pose

from casapose_ros.keypoints.components import find_regions
from casapose_ros.keypoints.instances import find_instances, separate
from casapose_ros.keypoints.regression import regress_keypoints
from casapose_ros.types import Fields

BOX = box_object()
SECOND = box_object(2)
LEAST = 50, 200


def instances(fields, max_instances=5, component="largest", seed=0):
    return find_instances(fields, max_instances, np.random.default_rng(seed), component, *LEAST)


def turned(seed):
    return random_pose(np.random.default_rng(seed))[0]


def at(scene, x, y=0.0, seed=0, depth=0.6, obj=BOX, mask=None):
    """Place the object beside the optical axis, in metres; returns its keypoints, px."""
    return scene.place(obj, turned(seed), np.array([x, y, depth]), mask)


def assert_keypoints(found, expected, tolerance=0.01):
    """Each of the expected sets of nine points is one of those found, and there are no others."""
    assert len(found) == len(expected)
    for points in expected:
        assert min(np.abs(one.points - points).max() for one in found) < tolerance


@pytest.mark.parametrize("seed", range(20))
def test_instances_apart_and_over_each_other(seed):
    """Two to four boxes in random places, the later ones over the earlier ones."""
    rng = np.random.default_rng(seed)
    scene = Scene(CAMERA)
    count = 2 + seed % 3
    places = [(0.09 * i - 0.13, rng.uniform(-0.08, 0.08)) for i in range(count)]
    masks = []
    for i, (x, y) in enumerate(places):
        before = scene.fields.vectors.copy()
        expected = at(scene, x, y, seed=10 * seed + i)
        changed = np.any(scene.fields.vectors != before, axis=(2, 3))
        masks = [(mask & ~changed, points) for mask, points in masks] + [(changed, expected)]
    seen = [points for mask, points in masks if np.count_nonzero(mask) >= 1000]
    regions = instances(scene.fields)
    assert_keypoints(regress_keypoints(scene.fields, regions), seen, tolerance=1.5)
    assert regions.instance_ids.tolist() == list(range(len(seen)))


def test_an_instance_in_two_parts_is_one():
    """A bar of another object in front; the parts are of one instance, and ``component`` counts."""
    scene = Scene(CAMERA, num_objects=2)
    expected = [at(scene, -0.08, seed=1), at(scene, 0.08, seed=2)]
    bar = np.zeros((480, 640), bool)
    column = round(expected[0][0, 0])
    bar[:, column - 8 : column + 8] = True
    at(scene, 0.0, seed=3, obj=SECOND, mask=bar)
    regions = instances(scene.fields, component="all")
    assert regions.class_ids.tolist() == [1, 1, 2] and regions.instance_ids.tolist() == [0, 1, 0]
    assert regions.counts[:2].sum() == np.count_nonzero(scene.fields.labels == 1)
    assert_keypoints(regress_keypoints(scene.fields, regions)[:2], expected)
    largest = instances(scene.fields)
    assert largest.counts.sum() < regions.counts.sum() and len(largest) == 3


@pytest.mark.parametrize("noise", [0.0, 0.2, 0.4])
def test_a_single_instance_keeps_all_its_pixels(noise):
    """However noisy its vectors are, it is one; then the choice is that of ``find_regions``."""
    for seed in range(10):
        scene = Scene(CAMERA)
        at(scene, 0.0, seed=seed)
        scene.fields.vectors[...] += np.random.default_rng(seed).normal(0, noise, (480, 640, 9, 2))
        found, whole = instances(scene.fields), find_regions(scene.fields.labels, "largest", *LEAST)
        assert np.array_equal(found.rows, whole.rows) and np.array_equal(found.cols, whole.cols)
        assert found.class_ids.tolist() == [1] and found.instance_ids.tolist() == [0]


def test_noisy_neighbours_are_still_two():
    for seed in range(10):
        scene = Scene(CAMERA)
        at(scene, -0.03, seed=seed)
        left = scene.fields.labels > 0
        at(scene, 0.05, seed=seed + 50)
        left &= scene.fields.vectors[..., 0, 1] < 2  # all that was drawn first ...
        second = Scene(CAMERA)
        at(second, 0.05, seed=seed + 50)
        left &= second.fields.labels == 0  # ... and is still seen
        scene.fields.vectors[...] += np.random.default_rng(seed).normal(0, 0.3, (480, 640, 9, 2))
        regions = instances(scene.fields)
        assert len(regions) == 2
        shares = [left[regions.rows[part], regions.cols[part]].mean() for part in regions.slices()]
        assert min(shares) < 0.1 and max(shares) > 0.9


def test_no_more_than_asked_for_and_the_most_voted_for_first():
    scene = Scene(CAMERA)
    expected = [at(scene, x, seed=4, depth=d) for x, d in ((-0.15, 0.6), (0.1, 0.5), (0.35, 0.8))]
    for count in (1, 2, 3, 4):
        regions = instances(scene.fields, max_instances=count)
        assert len(regions) == min(count, 3)
    found = regress_keypoints(scene.fields, regions)
    assert np.abs(found[0].points - expected[1]).max() < 0.01  # the nearest one


def test_classes_are_independent():
    scene = Scene(CAMERA, num_objects=2)
    expected = [at(scene, -0.1, seed=1), at(scene, 0.0, seed=2, obj=SECOND), at(scene, 0.1, seed=3)]
    regions = instances(scene.fields)
    assert regions.class_ids.tolist() == [1, 1, 2]
    assert_keypoints(regress_keypoints(scene.fields, regions), expected, tolerance=0.5)


def test_nothing_and_nonsense():
    scene = Scene(CAMERA)
    assert len(instances(scene.fields)) == 0
    at(scene, 0.0)
    whole = np.count_nonzero(scene.fields.labels)
    for value in (0.0, np.nan, np.inf):
        fields = Fields(
            scene.fields.logits,
            np.full_like(scene.fields.vectors, value),
            scene.fields.confidence,
            scene.fields.labels,
        )
        assert instances(fields).counts.tolist() == [whole]


def test_pixels_that_point_at_no_instance_are_left_out():
    """Half of the pixels point at one of two places, a tenth somewhere else."""
    rng = np.random.default_rng(0)
    centres = rng.uniform(0, 100, (2, 3000))
    goals = np.where(centres[0] < 50, 20.0, 80.0), np.full(3000, 50.0)
    directions = np.array(goals) - centres
    astray = centres[1] < 10
    directions[:, astray] *= -1
    directions /= np.linalg.norm(directions, axis=0)
    owner = separate(centres, directions, 4, 400, rng)
    assert (owner[astray] == -1).all()
    left = owner[~astray & (centres[0] < 50)]
    right = owner[~astray & (centres[0] > 50)]
    assert {left[0], right[0]} == {0, 1}
    assert np.mean(left == left[0]) > 0.95 and np.mean(right == right[0]) > 0.95


@pytest.mark.parametrize(("second", "count"), [(150, 1), (300, 2)])
def test_pixels_that_point_at_a_centre_make_an_instance(second, count):
    """Not only those of them that vote for it: vectors have errors of ten degrees here."""
    rng = np.random.default_rng(0)
    for _ in range(5):
        middles = np.array([[0.0, 60.0], [0.0, 0.0]])
        owner = np.repeat([0, 1], [3000, second])
        radius = np.where(owner == 0, 31.0, 0.56 * np.sqrt(second))
        angle, away = rng.uniform(0, 2 * np.pi, len(owner)), np.sqrt(rng.uniform(0, 1, len(owner)))
        offsets = radius * away * np.stack([np.cos(angle), np.sin(angle)])
        turned = angle + np.pi + rng.normal(0, np.radians(10), len(owner))
        directions = np.stack([np.cos(turned), np.sin(turned)])
        found = separate(middles[:, owner] + offsets, directions, 4, 200, rng)
        assert found.max() + 1 == count
        assert count == 1 or np.mean(found[owner == 1] == 1) > 0.8


def test_the_same_image_gives_the_same_instances():
    scene = Scene(CAMERA)
    at(scene, -0.04, seed=1)
    at(scene, 0.05, seed=2)
    one, same = instances(scene.fields), instances(scene.fields)
    assert np.array_equal(one.rows, same.rows) and np.array_equal(one.starts, same.starts)

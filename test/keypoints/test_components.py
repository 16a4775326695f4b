"""Component choice on label maps small enough to check by eye."""

import numpy as np
import pytest
from scipy import ndimage

from casapose_ros.errors import ConfigError
from casapose_ros.keypoints.components import Regions, find_regions, label_components


def pixels_of(regions: Regions, index: int) -> set[tuple[int, int]]:
    part = regions.slices()[index]
    return set(zip(regions.rows[part].tolist(), regions.cols[part].tolist(), strict=True))


def mask_pixels(mask: np.ndarray) -> set[tuple[int, int]]:
    return set(zip(*(axis.tolist() for axis in np.nonzero(mask)), strict=True))


@pytest.fixture
def two_blobs():
    """Class 3 has blobs of 100 and 60 pixels and a crumb of 4, class 7 one of 80."""
    labels = np.zeros((40, 50), dtype=np.uint8)
    labels[0:6, 0:10] = 3
    labels[10:20, 0:10] = 3
    labels[30:32, 0:2] = 3
    labels[10:18, 10:20] = 7
    return labels


def test_largest_component_of_each_class(two_blobs):
    regions = find_regions(two_blobs, "largest")
    assert regions.class_ids.tolist() == [3, 7]
    assert regions.counts.tolist() == [100, 80]
    assert pixels_of(regions, 0) == {(r, c) for r in range(10, 20) for c in range(10)}
    assert pixels_of(regions, 1) == mask_pixels(two_blobs == 7)


def test_second_component_leaves_out_classes_that_have_one(two_blobs):
    regions = find_regions(two_blobs, "second")
    assert regions.class_ids.tolist() == [3]
    assert pixels_of(regions, 0) == {(r, c) for r in range(6) for c in range(10)}


def test_a_runner_up_of_enough_pixels_stands_behind_the_largest(two_blobs):
    regions = find_regions(two_blobs, "largest", 50, runner_up=0.6)
    assert regions.class_ids.tolist() == [3, 3, 7]
    assert regions.instance_ids.tolist() == [0, 0, 0]
    assert regions.counts.tolist() == [100, 60, 80]
    assert pixels_of(regions, 1) == {(r, c) for r in range(6) for c in range(10)}
    assert find_regions(two_blobs, "largest", 50, runner_up=0.61).counts.tolist() == [100, 80]
    assert find_regions(two_blobs, "largest", 61, runner_up=0.0).counts.tolist() == [100, 80]


def test_all_takes_every_pixel(two_blobs):
    regions = find_regions(two_blobs, "all")
    assert regions.counts.tolist() == [164, 80]
    assert pixels_of(regions, 0) == mask_pixels(two_blobs == 3)


def test_touching_classes_and_corners_do_not_connect():
    labels = np.array([[1, 1, 0, 2], [0, 0, 1, 2], [3, 3, 3, 3]], dtype=np.uint8)
    components = label_components(labels)
    assert components[0, 0] == components[0, 1] != components[1, 2]
    assert components[0, 3] == components[1, 3] != components[2, 3]
    assert len(np.unique(components)) == 1 + 4
    assert np.array_equal(components == 0, labels == 0)


def test_components_agree_with_scipy_on_noise():
    labels = np.random.default_rng(5).integers(0, 4, size=(37, 53)).astype(np.uint8)
    components = label_components(labels)
    for class_id in (1, 2, 3):
        expected, count = ndimage.label(labels == class_id)
        pairs = set(zip(expected.ravel().tolist(), components.ravel().tolist(), strict=True))
        assert len({pair for pair in pairs if pair[0] > 0}) == count
        found = {b for a, b in pairs if a > 0}
        assert len(found) == count and 0 not in found


def test_small_components_rank_behind_real_ones_and_in_raster_order():
    labels = np.zeros((20, 40), dtype=np.uint8)
    labels[0:2, 0:6] = 1  # 12 pixels, first in raster order
    labels[5:11, 0:6] = 1  # 36 pixels
    assert find_regions(labels, "largest", min_component_pixels=50).counts.tolist() == [12]
    assert find_regions(labels, "second", min_component_pixels=50).counts.tolist() == [36]
    assert find_regions(labels, "largest", min_component_pixels=20).counts.tolist() == [36]


def test_equal_components_go_by_raster_order():
    labels = np.zeros((30, 30), dtype=np.uint8)
    labels[10:20, 0:8] = 1
    labels[5:13, 10:20] = 1
    assert find_regions(labels, "largest").rows.min() == 5
    assert find_regions(labels, "second").rows.min() == 10


def test_background_is_class_zero_even_when_an_object_fills_the_image():
    labels = np.ones((20, 20), dtype=np.uint8)
    labels[0, 0] = 0
    regions = find_regions(labels)
    assert regions.class_ids.tolist() == [1] and regions.counts.tolist() == [399]


@pytest.mark.parametrize("component", ["largest", "second", "all"])
def test_objects_below_min_pixels_are_left_out(component):
    labels = np.zeros((20, 40), dtype=np.uint8)
    labels[:, 0:10] = 1
    labels[:, 15:17] = 1
    labels[0:5, 20:24] = 2
    regions = find_regions(labels, component, min_component_pixels=10, min_pixels=30)
    assert 2 not in regions.class_ids
    assert np.all(regions.class_ids == 1) and len(regions) == 1


@pytest.mark.parametrize("component", ["largest", "second", "all"])
@pytest.mark.parametrize("shape", [(8, 8), (1, 1), (1, 9), (9, 1)])
def test_nothing_in_view_is_an_empty_list(component, shape):
    regions = find_regions(np.zeros(shape, dtype=np.uint8), component)
    assert len(regions) == 0 and len(regions.rows) == 0
    assert regions.counts.tolist() == [] and regions.slices() == []


def test_single_row_and_highest_label():
    labels = np.full((1, 60), 255, dtype=np.uint8)
    regions = find_regions(labels)
    assert regions.class_ids.tolist() == [255] and regions.counts.tolist() == [60]


def test_gather_sum_and_spread_follow_the_pixels(two_blobs):
    regions = find_regions(two_blobs)
    image = np.random.default_rng(0).normal(size=(40, 50, 9, 2))
    gathered = regions.gather(image)
    assert gathered.shape == (9, 2, 180)
    assert np.array_equal(gathered, image[regions.rows, regions.cols].transpose(1, 2, 0))
    assert np.array_equal(
        regions.gather(image[:, :, 0, 0]), image[regions.rows, regions.cols, 0, 0]
    )
    assert regions.sum(np.ones(180)).tolist() == [100, 80]
    assert regions.spread(np.array([5, 6])).tolist() == [5] * 100 + [6] * 80


def test_thinned_keeps_every_instance(two_blobs):
    thinned = find_regions(two_blobs).thinned(25)
    assert thinned.class_ids.tolist() == [3, 7]
    assert np.all(thinned.counts >= 25)
    assert thinned.counts.sum() < 180
    assert np.all(two_blobs[thinned.rows, thinned.cols] == thinned.spread(thinned.class_ids))


def test_unknown_choice_is_named():
    with pytest.raises(ConfigError, match="'biggest'.*largest, second, all"):
        find_regions(np.zeros((4, 4), dtype=np.uint8), "biggest")

"""DKR: lines of known points give those points back; then the reference data."""

import dataclasses

import numpy as np
import pytest
from exact_fields import CAMERA, Scene, box_object, random_pose

from casapose_ros.keypoints.components import find_regions
from casapose_ros.keypoints.regression import MIN_VARIANCE, regress_keypoints
from casapose_ros.types import CameraModel, Fields

SMALL = CameraModel(np.diag([60.0, 60.0, 1.0]), 60, 50)


def square_scene(keypoints, rows=slice(10, 30), cols=slice(20, 40), num_objects=1, class_id=1):
    scene = Scene(SMALL, num_objects)
    mask = np.zeros((50, 60), dtype=bool)
    mask[rows, cols] = True
    scene.point_at(mask, class_id, keypoints)
    return scene


def regress(fields: Fields, component: str = "largest"):
    return regress_keypoints(fields, find_regions(fields.labels, component))


def test_exact_vectors_give_the_points_back():
    expected = np.random.default_rng(0).uniform(-50, 110, size=(9, 2))
    (found,) = regress(square_scene(expected).fields)
    assert np.abs(found.points - expected).max() < 1e-4
    assert found.valid.all()
    assert found.class_id == 1 and found.instance_id == 0 and found.pixels == 400
    assert found.box == (20, 10, 40, 30)
    assert np.allclose(found.covariances, MIN_VARIANCE * np.eye(2), atol=1e-6)


def test_length_of_the_vectors_does_not_matter():
    expected = np.random.default_rng(1).uniform(0, 50, size=(9, 2))
    scene = square_scene(expected)
    scene.fields.vectors[...] *= np.random.default_rng(2).uniform(1e-3, 1e3, (50, 60, 9, 1))
    (found,) = regress(scene.fields)
    assert np.abs(found.points - expected).max() < 1e-4


def test_two_pixels_by_hand():
    """Pixel (row 1, col 1) looks along x, pixel (row 4, col 6) along y: they meet at (6.5, 1.5)."""
    fields = Scene(SMALL).fields
    fields.labels[1, 1] = fields.labels[4, 6] = 1
    fields.vectors[1, 1] = (0, 1)  # (dy, dx)
    fields.vectors[4, 6] = (-2, 0)
    (found,) = regress(fields, "all")
    assert np.allclose(found.points, (6.5, 1.5))


def test_confidence_weighs_like_softplus():
    """Three parallel lines at y = 0.5, 10.5, 10.5 and one upright: y is their weighted mean."""
    fields = Scene(SMALL).fields
    for row, col, vector, confidence in [
        (0, 0, (0, 1), 2.0),
        (10, 0, (0, 1), -1.0),
        (10, 1, (0, 1), 0.5),
        (20, 5, (1, 0), 0.0),
    ]:
        fields.labels[row, col] = 1
        fields.vectors[row, col] = vector
        fields.confidence[row, col] = confidence
    weights = np.log(1 + np.exp([2.0, -1.0, 0.5]))
    (found,) = regress(fields, "all")
    assert np.allclose(found.points, (5.5, weights @ [0.5, 10.5, 10.5] / weights.sum()))


def test_extreme_confidences_neither_overflow_nor_win():
    expected = np.full((9, 2), 25.0)
    scene = square_scene(expected)
    scene.fields.confidence[10:20] = 3e38
    scene.fields.confidence[20:30] = -3e38
    (found,) = regress(scene.fields)
    assert found.valid.all() and np.abs(found.points - expected).max() < 1e-3


def test_parallel_lines_are_not_valid_and_give_the_nearest_point():
    fields = Scene(SMALL).fields
    fields.labels[10:30, 20:40] = 1
    fields.vectors[10:30, 20:40] = (0, 1)
    (found,) = regress(fields)
    assert not found.valid.any()
    assert np.allclose(found.points, (30, 20))  # on the common line, nearest to the object


def test_zero_vectors_pull_to_the_pixels_themselves():
    fields = Scene(SMALL).fields
    fields.labels[10:30, 20:40] = 1
    (found,) = regress(fields)
    assert np.allclose(found.points, (30, 20))


@pytest.mark.parametrize(
    ("where", "poison"),
    [("vectors", np.nan), ("vectors", np.inf), ("vectors", -np.inf)]
    + [("confidence", np.nan), ("confidence", np.inf)],
)
def test_not_a_number_spoils_only_its_own_keypoint(poison, where):
    expected = np.random.default_rng(3).uniform(0, 50, size=(9, 2))
    scene = square_scene(expected)
    getattr(scene.fields, where)[15, 25, 4] = poison
    (found,) = regress(scene.fields)
    assert found.valid.tolist() == [k != 4 for k in range(9)]
    others = np.arange(9) != 4
    assert np.abs(found.points - expected)[others].max() < 1e-4


def test_no_objects_no_keypoints():
    assert regress(Scene(SMALL).fields) == []


def test_each_object_has_its_own_sums():
    rng = np.random.default_rng(4)
    scene = Scene(SMALL, 30)
    expected = {}
    for class_id in range(1, 31):
        mask = np.zeros((50, 60), dtype=bool)
        row, col = 8 * ((class_id - 1) // 6), 10 * ((class_id - 1) % 6)
        mask[row : row + 8, col : col + 9] = True
        expected[class_id] = rng.uniform(0, 50, (9, 2))
        scene.point_at(mask, class_id, expected[class_id])
    found = regress(scene.fields)
    assert [k.class_id for k in found] == list(range(1, 31))
    for keypoints in found:
        assert np.abs(keypoints.points - expected[keypoints.class_id]).max() < 1e-3
        assert keypoints.pixels == 72


def test_mask_probability_is_the_mean_softmax():
    scene = square_scene(np.full((9, 2), 25.0), num_objects=2)
    scene.fields.logits[10:20, 20:40] = (0, 1, 0)
    scene.fields.logits[20:30, 20:40] = (-1000, 1000, 0)
    (found,) = regress(scene.fields)
    expected = (np.e / (2 + np.e) + 1) / 2
    assert found.mask_probability == pytest.approx(expected, rel=1e-6)


def test_covariance_predicts_the_scatter_of_independent_errors():
    """Blocks of 8x8 pixels that err together, as the encoder's cells do: errors match in size."""
    rng = np.random.default_rng(6)
    expected = np.tile((100.0, 30.0), (9, 1))  # off to the right: x is known worse than y
    normalised = []
    stds = []
    for _ in range(150):
        scene = square_scene(expected, slice(0, 48), slice(0, 56))
        angles = np.kron(rng.normal(0, 0.02, (6, 7)), np.ones((8, 8)))[:, :, None]
        dy, dx = np.moveaxis(scene.fields.vectors[:48, :56], -1, 0)
        cos, sin = np.cos(angles), np.sin(angles)
        turned = np.stack([cos * dy + sin * dx, cos * dx - sin * dy], axis=-1)
        scene.fields.vectors[:48, :56] = turned
        (found,) = regress(scene.fields)
        error = found.points[0] - expected[0]
        normalised.append(error @ np.linalg.inv(found.covariances[0]) @ error)
        stds.append(np.sqrt(np.diag(found.covariances[0])))
    assert np.median(normalised) == pytest.approx(1.39, rel=0.5)  # median of chi^2 with 2 dof
    assert np.mean(stds, axis=0)[0] > 2 * np.mean(stds, axis=0)[1]


def test_a_view_of_larger_fields_gives_the_same():
    scene = Scene(CAMERA)
    scene.place(box_object(), *random_pose(np.random.default_rng(7)))
    fields = scene.fields
    padded = Fields(
        **{
            f.name: np.pad(v, [(0, 8), (0, 16)] + [(0, 0)] * (v.ndim - 2))[:480, :640]
            for f in dataclasses.fields(fields)
            for v in [getattr(fields, f.name)]
        }
    )
    (one,), (other,) = regress(fields), regress(padded)
    assert np.array_equal(one.points, other.points)


@pytest.mark.parametrize("image", [0, 1])
@pytest.mark.parametrize(
    ("component", "key"),
    [("all", "out_nofilter"), ("largest", "out_filter"), ("second", "out_filter_second")],
)
def test_reference_data(shared_dir, image, component, key):
    data = np.load(shared_dir / "golden" / "golden_dkr.npz")
    fields = Fields(
        logits=data["seg_logits"][image].astype(np.float32),
        vectors=data["vectors"][image].astype(np.float32).reshape(64, 80, 9, 2),
        confidence=data["confidence"][image].astype(np.float32),
        labels=data["labels"][image],
    )
    expected = data[key][image].copy()
    if image == 1 and component == "largest":
        # The reference took its background for the largest region, which here is object 3.
        expected[2] = data["out_nofilter"][1, 2]
    found = np.zeros((3, 9, 2))
    for keypoints in regress(fields, component):
        found[keypoints.class_id - 1] = keypoints.points[:, ::-1]
    tolerance = np.full((3, 1, 1), 1e-3)
    if image == 1:
        tolerance[1] = 5e-3  # 12 pixels, badly conditioned
    assert np.all(np.abs(found - expected) < tolerance)

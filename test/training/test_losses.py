"""Losses: values worked out by hand, then values and gradients of the reference data."""

import numpy as np
import pytest
import tensorflow as tf

from casapose_ros.training import losses


def value_and_gradient(loss, x):
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = loss(x)
    return float(value), tape.gradient(value, x).numpy()


def test_smooth_l1_by_hand():
    np.testing.assert_allclose(losses.smooth_l1(np.array([-3.0, -0.5, 0, 1])), [2.5, 0.125, 0, 0.5])


def test_segmentation_loss_of_even_logits_is_log_of_classes():
    loss = losses.segmentation_loss(np.zeros((2, 4, 4, 5), "f"), np.ones((2, 4, 4), "i4"))
    assert float(loss) == pytest.approx(np.log(5))


def test_offsets_point_from_the_pixels_centre_to_its_objects_keypoints():
    keypoints = np.zeros((1, 2, 9, 2), "f")
    keypoints[0, 1, 3] = (2.5, 7.0)
    centres = losses.pixel_centres(4, 4)
    labels = np.full((1, 16), 2, "i4")
    offsets = np.asarray(losses.pixel_offsets(keypoints, labels, centres)).reshape(4, 4, 9, 2)
    np.testing.assert_allclose(offsets[1, 2, 3], (2.5 - 1.5, 7.0 - 2.5))


def test_distance_from_a_line():
    vectors = np.zeros((1, 1, 18), "f")
    vectors[0, 0, 0::2] = 2.0  # straight down, whatever the length
    offsets = np.tile(np.array([5.0, 3.0], "f"), (1, 1, 9, 1))
    distance = losses.line_distance(vectors, offsets)
    np.testing.assert_allclose(distance, 3 * np.ones((1, 1, 9)), rtol=1e-6)


def test_background_and_empty_images_cost_nothing():
    labels = np.zeros((2, 16), "i4")
    vectors = np.ones((2, 16, 18), "f")
    offsets = np.ones((2, 16, 9, 2), "f")
    assert float(losses.vector_loss(vectors, offsets, labels)) == 0
    assert float(losses.proxy_voting_loss(vectors, offsets, labels)) == 0
    assert float(losses.confidence_regulariser(np.ones((2, 16, 9), "f"), labels)) == 0
    points = np.ones((2, 3, 9, 2), "f")
    assert float(losses.keypoint_loss(points, 0 * points, np.zeros((2, 3), bool))) == 0


def test_keypoint_loss_is_nearly_flat_far_away():
    points = np.zeros((1, 1, 9, 2), "f")
    far = points + np.array([0, 100.0], "f")
    counts = np.ones((1, 1), bool)
    value, gradient = value_and_gradient(lambda p: losses.keypoint_loss(p, far, counts), points)
    assert value == pytest.approx(12.5 + 0.01 * (99.5 - 12.5))
    np.testing.assert_allclose(np.linalg.norm(gradient, axis=-1), 0.01 / 9, rtol=1e-4)


@pytest.fixture
def data(shared_dir):
    return np.load(shared_dir / "golden" / "golden_losses.npz")


def flat(array):
    return array.reshape(2, 24 * 32, *array.shape[3:])


@pytest.mark.parametrize("filtered", [False, True])
@pytest.mark.parametrize("name", ["smooth_l1", "proxy_v2"])
def test_vector_losses_match_the_reference_data(data, name, filtered):
    labels = flat(data["labels"].astype("i4"))
    centres = losses.pixel_centres(24, 32)
    offsets = losses.pixel_offsets(data["keypoints_yx"][:, :, 0], labels, centres)
    directions = losses.unit_vectors(offsets)
    foreground = labels > 0
    target = flat(data["target_dirs"])[foreground].reshape(-1, 9, 2)
    np.testing.assert_allclose(np.asarray(directions)[foreground], target, atol=1e-6)
    if filtered:
        labels = losses.counted_labels(labels, flat(data["seg_logits"]))
        np.testing.assert_array_equal(labels, flat(data["filtered_labels"]))
        name += "_filtered"
    if name.startswith("smooth"):
        value, gradient = value_and_gradient(
            lambda v: losses.vector_loss(v, directions, labels), flat(data["vectors_pred"])
        )
    else:
        value, gradient = value_and_gradient(
            lambda v: losses.proxy_voting_loss(v, offsets, labels), flat(data["vectors_pred"])
        )
    assert value == pytest.approx(float(data[name]), rel=1e-5)
    np.testing.assert_allclose(gradient, flat(data[f"{name}__grad"]), rtol=1e-4, atol=1e-7)


def test_segmentation_loss_matches_the_reference_data(data):
    labels = data["labels"].astype("i4")
    value, gradient = value_and_gradient(
        lambda x: losses.segmentation_loss(x, labels), data["seg_logits"]
    )
    assert value == pytest.approx(float(data["mask_loss"]), rel=1e-5)
    np.testing.assert_allclose(gradient, data["mask_loss__grad"], rtol=1e-4, atol=1e-8)


def test_confidence_regulariser_matches_the_reference_data(data):
    labels = flat(data["kp_target_labels"].astype("i4"))
    value, gradient = value_and_gradient(
        lambda x: losses.confidence_regulariser(x, labels), flat(data["confidence"])
    )
    assert value == pytest.approx(float(data["conf_reg"]), rel=1e-5)
    np.testing.assert_allclose(gradient, flat(data["conf_reg_grad"]), rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("minimum", [10, 50])
def test_keypoint_loss_matches_the_reference_data(data, minimum):
    poses, points = data["kp_poses_gt"][:, :, 0], data["kp_object_points"][:, :, 0]
    in_camera = np.einsum("bkij,bknj->bkni", poses[..., :3], points) + poses[..., None, :, 3]
    image = np.einsum("bij,bknj->bkni", data["kp_camera"], in_camera)
    targets = image[..., :2] / np.where(image[..., 2:] == 0, 1, image[..., 2:])
    true = data["kp_target_labels"].astype("i4")
    estimated = data["kp_seg_logits"].argmax(-1).astype("i4")
    counts = np.minimum(losses.pixel_counts(true, 3), losses.pixel_counts(estimated, 3)) > minimum
    counts &= np.abs(poses).sum((2, 3)) > 0
    targets = np.where(counts[..., None, None], targets, 0).astype("f")
    back = data[f"kp_points_back_xy_min{minimum}"]
    value, gradient = value_and_gradient(lambda p: losses.keypoint_loss(p, targets, counts), back)
    assert value == pytest.approx(float(data[f"kp_loss_min{minimum}"]), rel=1e-5)
    # The reference differentiates with respect to points in the crop, which an affine map per
    # image takes to the original image.
    for image_index in range(2):
        used = counts[image_index]
        crop = data["kp_points_est_yx"][image_index][used].reshape(-1, 2).astype("f8")
        original = back[image_index][used].reshape(-1, 2).astype("f8")
        augmented = np.column_stack([crop, np.ones(len(crop))])
        affine, residual, *_ = np.linalg.lstsq(augmented, original, rcond=None)
        assert np.all(residual < 1e-4)
        expected = data[f"kp_loss_min{minimum}__grad"][image_index]
        np.testing.assert_allclose(
            gradient[image_index] @ affine[:2].T, expected, rtol=1e-3, atol=1e-6
        )

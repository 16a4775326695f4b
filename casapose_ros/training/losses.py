"""The losses of the paper (section 3.4), one function each, in ``keras.ops``.

Shapes: B images, H x W pixels, K objects, 9 keypoints. Vector channels are dy, dx per keypoint;
keypoints here are **(y, x)** px, as the network has them. ``labels`` are (B, H, W) int32.
"""

from __future__ import annotations

from keras import ops

from casapose_ros.types import NUM_KEYPOINTS

CHANNELS = 2 * NUM_KEYPOINTS
FAR_SLOPE = 0.01
CONFIDENCE_MEAN = 0.7


def smooth_l1(x):
    """Quadratic below 1, linear above."""
    size = ops.abs(x)
    return ops.where(size < 1, 0.5 * x * x, size - 0.5)


def segmentation_loss(logits, labels):
    """Softmax cross-entropy, mean over all pixels. ``logits`` is (B, H, W, K+1)."""
    num_classes = logits.shape[-1]
    picked = ops.sum(
        ops.log_softmax(logits, axis=-1) * ops.one_hot(labels, num_classes, dtype=logits.dtype),
        axis=-1,
    )
    return -ops.mean(picked)


def counted_labels(labels, logits):
    """Labels with every pixel whose estimated class is wrong set to background."""
    estimated = ops.cast(ops.argmax(logits, axis=-1), labels.dtype)
    return ops.where(ops.equal(estimated, labels), labels, ops.zeros_like(labels))


def pixel_offsets(keypoints, labels):
    """Offsets from each pixel's centre to the keypoints of its object.

    Args:
        keypoints: (B, K, 9, 2) px, y then x.
        labels: (B, H, W) int32.

    Returns:
        (B, H, W, 9, 2) px, dy then dx; of no meaning on the background.
    """
    batch, height, width = ops.shape(labels)
    num_objects = keypoints.shape[1]
    own = ops.arange(batch, dtype="int32")[:, None, None] * num_objects
    index = own + ops.maximum(ops.cast(labels, "int32") - 1, 0)
    table = ops.reshape(keypoints, (-1, CHANNELS))
    targets = ops.take(table, ops.reshape(index, (-1,)), axis=0)
    targets = ops.reshape(targets, (batch, height, width, NUM_KEYPOINTS, 2))
    rows = ops.arange(height, dtype=keypoints.dtype) + 0.5
    columns = ops.arange(width, dtype=keypoints.dtype) + 0.5
    centres = ops.stack(ops.meshgrid(rows, columns, indexing="ij"), axis=-1)
    return targets - centres[None, :, :, None, :]


def unit_vectors(offsets):
    """Offsets (..., 2) scaled to length 1; a zero offset stays zero."""
    norm = ops.sqrt(ops.sum(offsets * offsets, axis=-1, keepdims=True))
    return offsets / ops.maximum(norm, 1e-6)


def vector_loss(vectors, directions, labels):
    """Smooth-L1 of the raw vectors against unit vectors, over the foreground of ``labels``.

    Args:
        vectors: (B, H, W, 18) raw network output.
        directions: (B, H, W, 9, 2) unit vectors to the keypoints.
        labels: (B, H, W) int32, background where a pixel does not count.
    """
    target = ops.reshape(directions, ops.shape(vectors))
    return _foreground_mean(ops.sum(smooth_l1(vectors - target), axis=-1), labels)


def proxy_voting_loss(vectors, offsets, labels):
    """Smooth-L1 of the keypoints' distances from the lines along the predicted vectors, in px.

    Args:
        vectors: (B, H, W, 18) raw network output.
        offsets: (B, H, W, 9, 2) from :func:`pixel_offsets`.
        labels: (B, H, W) int32, background where a pixel does not count.
    """
    return _foreground_mean(ops.sum(smooth_l1(line_distance(vectors, offsets)), axis=-1), labels)


def line_distance(vectors, offsets):
    """(B, H, W, 9) distance in px of the keypoints from the lines along ``vectors``."""
    vectors = ops.reshape(vectors, ops.shape(offsets))
    cross = vectors[..., 0] * offsets[..., 1] - vectors[..., 1] * offsets[..., 0]
    squared = ops.sum(vectors * vectors, axis=-1)
    return ops.abs(cross) * ops.rsqrt(ops.maximum(squared, 1e-12))


def keypoint_loss(points, targets, counts, max_error: float = 12.5):
    """Euclidean error of regressed keypoints, smooth-L1, nearly flat above ``max_error`` px.

    Args:
        points: (B, K, 9, 2) regressed keypoints, px of the original image.
        targets: (B, K, 9, 2) projected true keypoints in the same order of coordinates.
        counts: (B, K) bool, objects with enough pixels in both the true and the estimated mask.
        max_error: Where the slope falls to ``FAR_SLOPE``, px.

    Returns:
        Mean over the keypoints of the objects that count; 0 if none does.
    """
    squared = ops.sum(ops.square(points - targets), axis=-1)
    counts = ops.cast(ops.expand_dims(counts, -1), points.dtype)
    error = ops.sqrt(ops.maximum(squared, 1e-12))
    far = smooth_l1(ops.full_like(error, max_error)) + FAR_SLOPE * (error - max_error)
    loss = ops.where(error > max_error, far, smooth_l1(error)) * counts
    return ops.sum(loss) / ops.maximum(ops.sum(counts) * NUM_KEYPOINTS, 1)


def confidence_regulariser(confidence, labels):
    """Distance of the mean foreground confidence from 0.7, mean over the nine maps.

    Args:
        confidence: (B, H, W, 9) raw confidences.
        labels: (B, H, W) int32.
    """
    foreground = ops.cast(labels > 0, confidence.dtype)[..., None]
    count = ops.maximum(ops.sum(foreground), 1)
    mean = ops.sum(ops.softplus(confidence) * foreground, axis=(0, 1, 2)) / count
    return ops.mean(ops.abs(mean - CONFIDENCE_MEAN))


def pixel_counts(labels, num_objects: int):
    """(B, K) number of pixels of each object."""
    one_hot = ops.one_hot(labels, num_objects + 1, dtype="float32")
    return ops.sum(one_hot, axis=(1, 2))[:, 1:]


def _foreground_mean(per_pixel, labels):
    """Per image: sum over the foreground by 18 times its pixels; then the mean over the batch."""
    foreground = ops.cast(labels > 0, per_pixel.dtype)
    total = ops.sum(per_pixel * foreground, axis=(1, 2))
    return ops.mean(total / (CHANNELS * ops.sum(foreground, axis=(1, 2)) + 1e-3))

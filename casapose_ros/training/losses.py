"""The losses of the paper (section 3.4), one function each, in ``keras.ops``.

Shapes: B images, P pixels of each (all H x W flattened, or a sample), K objects, 9 keypoints.
Vector channels are dy, dx per keypoint; keypoints here are **(y, x)** px, as the network has them.
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
    """Softmax cross-entropy, mean over all pixels.

    Args:
        logits: (..., K+1).
        labels: (...) int32.
    """
    num_classes = logits.shape[-1]
    picked = ops.sum(
        ops.log_softmax(logits, axis=-1) * ops.one_hot(labels, num_classes, dtype=logits.dtype),
        axis=-1,
    )
    return -ops.mean(picked)


def counted_labels(labels, logits):
    """Labels (...) with every pixel whose estimated class is wrong set to background."""
    estimated = ops.cast(ops.argmax(logits, axis=-1), labels.dtype)
    return ops.where(ops.equal(estimated, labels), labels, ops.zeros_like(labels))


def pixel_centres(height: int, width: int, dtype="float32"):
    """(1, H*W, 2) centres of all pixels, y then x."""
    rows = ops.arange(height, dtype=dtype) + 0.5
    columns = ops.arange(width, dtype=dtype) + 0.5
    grid = ops.stack(ops.meshgrid(rows, columns, indexing="ij"), axis=-1)
    return ops.reshape(grid, (1, height * width, 2))


def pixel_offsets(keypoints, labels, centres):
    """Offsets from each pixel's centre to the keypoints of its object.

    Args:
        keypoints: (B, K, 9, 2) px, y then x.
        labels: (B, P) int32.
        centres: (B, P, 2) or (1, P, 2) px, y then x.

    Returns:
        (B, P, 9, 2) px, dy then dx; of no meaning on the background.
    """
    batch, pixels = ops.shape(labels)
    own = ops.arange(batch, dtype="int32")[:, None] * keypoints.shape[1]
    index = own + ops.maximum(ops.cast(labels, "int32") - 1, 0)
    targets = ops.take(ops.reshape(keypoints, (-1, CHANNELS)), index, axis=0)
    targets = ops.reshape(targets, (batch, pixels, NUM_KEYPOINTS, 2))
    return targets - centres[:, :, None, :]


def unit_vectors(offsets):
    """Offsets (..., 2) scaled to length 1; a zero offset stays zero."""
    norm = ops.sqrt(ops.sum(offsets * offsets, axis=-1, keepdims=True))
    return offsets / ops.maximum(norm, 1e-6)


def vector_loss(vectors, directions, labels):
    """Smooth-L1 of the raw vectors against unit vectors, over the foreground of ``labels``.

    Args:
        vectors: (B, P, 18) raw network output.
        directions: (B, P, 9, 2) unit vectors to the keypoints.
        labels: (B, P) int32, background where a pixel does not count.
    """
    target = ops.reshape(directions, ops.shape(vectors))
    return _foreground_mean(ops.sum(smooth_l1(vectors - target), axis=-1), labels)


def proxy_voting_loss(vectors, offsets, labels):
    """Smooth-L1 of the keypoints' distances from the lines along the predicted vectors, in px.

    Args:
        vectors: (B, P, 18) raw network output.
        offsets: (B, P, 9, 2) from :func:`pixel_offsets`.
        labels: (B, P) int32, background where a pixel does not count.
    """
    return _foreground_mean(ops.sum(smooth_l1(line_distance(vectors, offsets)), axis=-1), labels)


def line_distance(vectors, offsets):
    """(B, P, 9) distance in px of the keypoints from the lines along ``vectors``."""
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
    error = smooth_l1(ops.sqrt(ops.maximum(squared, 1e-12)))
    flat = max_error + FAR_SLOPE * (error - max_error)
    loss = ops.where(error > max_error, flat, error) * counts
    return ops.sum(loss) / ops.maximum(ops.sum(counts) * NUM_KEYPOINTS, 1)


def confidence_regulariser(confidence, labels):
    """Distance of an image's mean foreground confidence from 0.7, mean over maps and images.

    Args:
        confidence: (B, P, 9) raw confidences.
        labels: (B, P) int32.
    """
    foreground = ops.cast(labels > 0, confidence.dtype)[..., None]
    count = ops.sum(foreground, axis=1)
    mean = ops.sum(ops.softplus(confidence) * foreground, axis=1) / ops.maximum(count, 1)
    # An image without foreground has no mean to regularise.
    return ops.mean(ops.abs(mean - CONFIDENCE_MEAN) * ops.cast(count > 0, mean.dtype))


def pixel_counts(labels, num_objects: int):
    """(B, K) number of pixels of each object in (B, ...) label maps or samples of them."""
    one_hot = ops.one_hot(labels, num_objects + 1, dtype="float32")
    return ops.sum(one_hot, axis=tuple(range(1, len(labels.shape))))[:, 1:]


def _foreground_mean(per_pixel, labels):
    """Per image: sum over the foreground by 18 times its pixels; then the mean over the batch."""
    foreground = ops.cast(labels > 0, per_pixel.dtype)
    total = ops.sum(per_pixel * foreground, axis=1)
    return ops.mean(total / (CHANNELS * ops.sum(foreground, axis=1) + 1e-3))

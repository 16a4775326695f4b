"""Differentiable keypoint regression in ``keras.ops``, for training (paper section 3.3).

``regression.py`` computes the same for inference, in NumPy and with covariances.
"""

from __future__ import annotations

from keras import ops

from casapose_ros.types import NUM_KEYPOINTS

MINIMUM_NORM = 1e-12
MINIMUM_WEIGHT = 1e-30
"""Sum of an object's weights below which its keypoints are not determined."""


def regress_keypoints(
    vectors, confidence, labels, centres, num_objects: int, regularisation: float = 0.0
):
    """Least-squares intersection of the lines through an object's pixels.

    Each pixel's line runs along its unit vector n and weighs w = softplus(confidence):
    R = sum w (I - n n^T), q = sum w (I - n n^T) c, keypoint = R^-1 q. Sums run per label over the
    pixels, so that the cost does not grow with the number of objects. They are taken about the
    object's mean pixel and in its scale, which keeps float32 exact enough for training.

    Args:
        vectors: (B, P, 18) raw directions at P pixels, dy then dx per keypoint.
        confidence: (B, P, 9) raw confidences.
        labels: (B, P) int32; 0 is background and is left out.
        centres: (B, P, 2) or (1, P, 2) px centres of the pixels, y then x.
        num_objects: K.
        regularisation: Added to the diagonal of R / sum w, pulling badly determined points to
            the object's mean pixel. 0 reproduces the paper's pinv(R) q where R is regular.

    Returns:
        (B, K, 9, 2) keypoints in px, **(y, x)**; (0, 0) for an object without pixels.
    """
    batch, count = ops.shape(labels)
    dtype = vectors.dtype
    segments = batch * (num_objects + 1)
    offsets = ops.arange(batch, dtype="int32")[:, None] * (num_objects + 1)
    index = ops.reshape(ops.cast(labels, "int32") + offsets, (-1,))

    def per_object(values):
        return ops.segment_sum(values, index, num_segments=segments)

    centres = ops.cast(ops.broadcast_to(centres, (batch, count, 2)), dtype)
    centres = ops.reshape(centres, (-1, 2))
    pixels = per_object(ops.ones_like(centres[:, :1]))
    mean = per_object(centres) / ops.maximum(pixels, 1)
    scale = ops.sqrt(ops.maximum(pixels, 1))
    local = (centres - ops.take(mean, index, axis=0)) / ops.take(scale, index, axis=0)

    n = _unit(ops.reshape(vectors, (-1, NUM_KEYPOINTS, 2)))
    ny, nx = n[..., 0], n[..., 1]
    w = ops.softplus(ops.reshape(confidence, (-1, NUM_KEYPOINTS)))
    # Only their ratios count; as shares of their sum, the products of small ones do not vanish.
    all_weights = ops.maximum(ops.stop_gradient(per_object(w)), MINIMUM_WEIGHT)
    w = w / ops.take(all_weights, index, axis=0)
    along = ny * local[:, :1] + nx * local[:, 1:]
    terms = [
        w,
        w * (1 - ny * ny),
        -w * ny * nx,
        w * (1 - nx * nx),
        w * (local[:, :1] - ny * along),
        w * (local[:, 1:] - nx * along),
    ]
    sums = per_object(ops.concatenate(terms, axis=-1))
    total, ryy, ryx, rxx, qy, qx = ops.split(sums, len(terms), axis=-1)
    ryy, rxx = ryy + regularisation * total, rxx + regularisation * total
    determinant = ryy * rxx - ryx * ryx
    present = ops.logical_and(pixels > 0, determinant > 0)
    safe = ops.where(present, determinant, ops.ones_like(determinant))
    point = ops.stack([rxx * qy - ryx * qx, ryy * qx - ryx * qy], axis=-1) / safe[..., None]
    point = point * scale[:, None] + mean[:, None]
    point = ops.where(present[..., None], point, ops.zeros_like(point))
    point = ops.reshape(point, (batch, num_objects + 1, NUM_KEYPOINTS, 2))
    return point[:, 1:]


def _unit(vectors):
    """Unit vectors; the zero vector stays zero and has a gradient of zero."""
    squared = ops.sum(vectors * vectors, axis=-1, keepdims=True)
    is_zero = squared < MINIMUM_NORM
    safe = ops.where(is_zero, ops.ones_like(squared), squared)
    return ops.where(is_zero, ops.zeros_like(vectors), vectors * ops.rsqrt(safe))

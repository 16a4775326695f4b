"""Targets for symmetric objects: of all poses that look alike, the one nearest to the estimate.

A network that is asked for one of two views that nothing tells apart learns their mean, which is
neither. Here it is asked for the one that it is about to give.
"""

from __future__ import annotations

from keras import ops

from casapose_ros.training.losses import CHANNELS, smooth_l1, unit_vectors
from casapose_ros.types import NUM_KEYPOINTS


def nearest_targets(candidates, vectors, labels, centres):
    """The equivalent pose of each object whose directions are nearest to the estimated ones.

    Args:
        candidates: (B, K, S, 9, 2) keypoints of S equivalent poses, px, y then x.
        vectors: (B, P, 18) raw network output at P pixels.
        labels: (B, P) int32 classes of those pixels, 0 for those that say nothing.
        centres: (B, P, 2) or (1, P, 2) px centres of the pixels, y then x.

    Returns:
        (B, K, 9, 2) keypoints; the first candidate of an object without pixels.
    """
    num_objects, count = candidates.shape[1:3]
    if count == 1:
        return candidates[:, :, 0]
    batch, pixels = ops.shape(labels)
    objects = ops.arange(batch, dtype="int32")[:, None] * num_objects
    own = objects + ops.maximum(ops.cast(labels, "int32") - 1, 0)
    targets = ops.take(ops.reshape(candidates, (-1, count * CHANNELS)), own, axis=0)
    targets = ops.reshape(targets, (batch, pixels, count, NUM_KEYPOINTS, 2))
    directions = unit_vectors(targets - centres[:, :, None, None, :])
    directions = ops.reshape(directions, (batch, pixels, count, CHANNELS))
    errors = ops.sum(smooth_l1(ops.stop_gradient(vectors)[:, :, None] - directions), axis=-1)
    errors = errors * ops.cast(labels > 0, errors.dtype)[..., None]
    costs = ops.segment_sum(
        ops.reshape(errors, (-1, count)),
        ops.reshape(own, (-1,)),
        num_segments=batch * num_objects,
    )
    flat = ops.reshape(candidates, (-1, count, CHANNELS))
    chosen = ops.take_along_axis(flat, ops.argmin(costs, axis=-1)[:, None, None], axis=1)
    return ops.reshape(chosen, (batch, num_objects, NUM_KEYPOINTS, 2))

"""Values at chosen pixels of each image of a batch."""

from __future__ import annotations

import keras
from keras import ops


def take_pixels(maps, index):
    """Values of each image at indices into its own pixels.

    JAX is given a gather within each image: indices into the pixels of the whole batch would make
    the devices that share a batch exchange their features.

    Args:
        maps: (B, N, ...) values of N pixels.
        index: (B, ...) int32 indices into the N pixels.

    Returns:
        (B, ..., ...): the shape of ``index``, then the channels of ``maps``.
    """
    batch, size, *channels = ops.shape(maps)
    shape = ops.shape(index)
    if keras.backend.backend() == "jax":
        flat = ops.reshape(index, (batch, -1, *(1 for _ in channels)))
        return ops.reshape(ops.take_along_axis(maps, flat, axis=1), (*shape, *channels))
    first = ops.arange(batch, dtype="int32") * size
    index = index + ops.reshape(first, (-1, *(1 for _ in shape[1:])))
    return ops.take(ops.reshape(maps, (-1, *channels)), index, axis=0)

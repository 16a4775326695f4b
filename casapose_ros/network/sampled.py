"""A decoder's last block at chosen pixels only.

Training needs vectors at a sample of the foreground pixels, while most of a decoder's time goes
into its last, full-resolution block. Shapes stay static, so this serves every backend.
"""

from __future__ import annotations

from keras import ops

from casapose_ros.network.gathering import take_pixels
from casapose_ros.network.guided import TAPS


def convolution_at(pixels, labels, coarse, sources, image, kernel, guided: bool):
    """3x3 convolution of (upsampled features + image), at some pixels of the full resolution.

    Args:
        pixels: (B, P) int32 indices into the flattened H x W pixels of each image.
        labels: (B, H, W) int32.
        coarse: (B, H/2, W/2, C) features before upsampling.
        sources: (B, H, W) int32 indices into each image's flattened coarse pixels, as from
            ``guided.guided_sources``.
        image: (B, H, W, 3).
        kernel: (3, 3, C + 3, C_out).
        guided: Only taps of the centre's class count, scaled as in ``guided_convolution``;
            otherwise taps outside the image are zero.

    Returns:
        (B, P, C_out).
    """
    taps = _tap_indices(pixels, ops.shape(labels)[2])  # (B, P, 9) into the padded pixels
    padded = ((0, 0), (1, 1), (1, 1))
    neighbours = values_at(taps, ops.pad(labels, padded, constant_values=-1))
    own = neighbours[..., 4:5]
    counts = ops.equal(neighbours, own) if guided else neighbours >= 0
    counts = ops.cast(counts, coarse.dtype)

    features = values_at(values_at(taps, ops.pad(sources, padded)), coarse)
    colours = values_at(taps, ops.pad(image, (*padded, (0, 0))))
    values = ops.concatenate([features, colours], axis=-1) * counts[..., None]
    flat = ops.reshape(values, (*ops.shape(pixels), 9 * values.shape[-1]))
    y = ops.matmul(flat, ops.reshape(kernel, (-1, kernel.shape[-1])))
    if guided:
        y = y * (9.0 / ops.sum(counts, axis=-1, keepdims=True))
    return y


def values_at(pixels, maps):
    """Values of (B, H, W, ...) ``maps`` at (B, ...) indices into each image's flattened H x W."""
    batch, height, width, *channels = ops.shape(maps)
    return take_pixels(ops.reshape(maps, (batch, height * width, *channels)), pixels)


def _tap_indices(pixels, width):
    """Indices of each pixel's nine taps in the (H+2) x (W+2) pixels of its padded image."""
    rows, columns = pixels // width, pixels % width
    return ops.stack([(rows + dy) * (width + 2) + (columns + dx) for dy, dx in TAPS], axis=-1)

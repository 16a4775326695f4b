"""A decoder's last block at chosen pixels only.

Training needs vectors at a sample of the foreground pixels, while most of a decoder's time goes
into its last, full-resolution block. Shapes stay static, so this serves every backend.
"""

from __future__ import annotations

from keras import ops

from casapose_ros.network.guided import TAPS


def convolution_at(pixels, labels, coarse, sources, image, kernel, guided: bool):
    """3x3 convolution of (upsampled features + image), at some pixels of the full resolution.

    Args:
        pixels: (B, P) int32 indices into the flattened H x W pixels of each image.
        labels: (B, H, W) int32.
        coarse: (B, H/2, W/2, C) features before upsampling.
        sources: (B, H, W) int32 indices into the flattened coarse pixels, as from
            ``guided.guided_sources``.
        image: (B, H, W, 3).
        kernel: (3, 3, C + 3, C_out).
        guided: Only taps of the centre's class count, scaled as in ``guided_convolution``;
            otherwise taps outside the image are zero.

    Returns:
        (B, P, C_out).
    """
    batch, height, width = ops.shape(labels)
    taps = _tap_indices(pixels, batch, height, width)  # (B, P, 9) into the padded pixels
    padded = ((0, 0), (1, 1), (1, 1))
    neighbours = _pick(ops.pad(labels, padded, constant_values=-1), taps)
    own = neighbours[..., 4:5]
    counts = ops.equal(neighbours, own) if guided else neighbours >= 0
    counts = ops.cast(counts, coarse.dtype)

    features = ops.take(
        ops.reshape(coarse, (-1, coarse.shape[-1])), _pick(ops.pad(sources, padded), taps), axis=0
    )
    colours = ops.take(
        ops.reshape(ops.pad(image, (*padded, (0, 0))), (-1, image.shape[-1])), taps, axis=0
    )
    values = ops.concatenate([features, colours], axis=-1) * counts[..., None]
    flat = ops.reshape(values, (batch, pixels.shape[1], -1))
    y = ops.matmul(flat, ops.reshape(kernel, (flat.shape[-1], -1)))
    if guided:
        y = y * (9.0 / ops.sum(counts, axis=-1, keepdims=True))
    return y


def values_at(pixels, maps):
    """Values of (B, H, W, ...) ``maps`` at (B, P) flattened ``pixels``: (B, P, ...)."""
    batch, size = ops.shape(maps)[0], ops.shape(maps)[1] * ops.shape(maps)[2]
    flat = ops.reshape(maps, (-1, *maps.shape[3:]))
    offsets = ops.arange(batch, dtype="int32")[:, None] * size
    return ops.take(flat, pixels + offsets, axis=0)


def _tap_indices(pixels, batch, height, width):
    """Flat indices of each pixel's nine taps in the (B, H+2, W+2) padded images."""
    rows, columns = pixels // width, pixels % width
    image = ops.arange(batch, dtype="int32")[:, None] * ((height + 2) * (width + 2))
    return ops.stack(
        [image + (rows + dy) * (width + 2) + (columns + dx) for dy, dx in TAPS], axis=-1
    )


def _pick(padded, indices):
    return ops.take(ops.reshape(padded, (-1,)), indices, axis=0)

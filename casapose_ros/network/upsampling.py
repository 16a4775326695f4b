"""Upsampling that no label map guides (paper section 3.2)."""

from __future__ import annotations

import keras
from keras import ops


def bilinear_upsampling(x):
    """Double the resolution of (B, H, W, C) with half-pixel centres."""
    if keras.backend.backend() == "tensorflow":
        from casapose_ros.network.tensorflow_ops import resize_bilinear

        # Keras' own function does not take the sizes of images that vary from call to call.
        return resize_bilinear(x, factor=2)
    height, width = x.shape[1:3]
    return ops.image.resize(
        x, (2 * height, 2 * width), interpolation="bilinear", data_format="channels_last"
    )

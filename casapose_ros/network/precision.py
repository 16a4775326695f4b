"""Numbers of what precision a network computes with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras

PRECISIONS = {"float32": "float32", "bfloat16": "mixed_bfloat16"}
"""What may be asked for, and Keras' name of it.

``bfloat16`` is for the features between layers. Weights, the statistics and parameters of
normalisations, sums over the taps of guided convolutions, and all outputs are float32 in both.
"""


@contextmanager
def layer_precision(name: str) -> Iterator[None]:
    """Layers made in this context compute with a precision of ``PRECISIONS``."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(PRECISIONS[name])
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)

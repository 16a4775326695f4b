"""These tests run on any backend: ``KERAS_BACKEND=jax`` or ``torch``."""

import keras
import pytest


@pytest.fixture(autouse=True)
def without_gradients():
    """Torch does not let NumPy look at what it may still differentiate."""
    if keras.backend.backend() != "torch":
        yield
        return
    import torch

    with torch.no_grad():
        yield

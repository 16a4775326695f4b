"""What backends of Keras do in ways of their own."""

from __future__ import annotations

import keras
import numpy as np


def value_and_gradients(function, *arrays):
    """A scalar function's value, and its gradients with respect to all its arguments, as arrays."""
    backend = keras.backend.backend()
    tensors = [keras.ops.convert_to_tensor(array) for array in arrays]
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(tensors)
            value = function(*tensors)
        gradients = tape.gradient(value, tensors)
    elif backend == "jax":
        import jax

        differentiated = jax.value_and_grad(function, tuple(range(len(arrays))))
        value, gradients = jax.jit(differentiated)(*tensors)
    else:
        import torch

        with torch.enable_grad():
            for tensor in tensors:
                tensor.requires_grad_()
            value = function(*tensors)
        gradients = torch.autograd.grad(value, tensors)
        value = value.detach()
    return np.asarray(value), [np.asarray(g) for g in gradients]

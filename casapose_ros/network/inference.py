"""One image through the network, compiled once for all image sizes."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from casapose_ros.errors import ImageError
from casapose_ros.types import NUM_KEYPOINTS, STRIDE, Fields


def normalise_image(image):
    """uint8 RGB -> float32 in [-1, 1], as the network takes it."""
    return ops.cast(image, "float32") / 127.5 - 1.0


class FieldPredictor:
    """Callable: (H, W, 3) uint8 RGB with H and W divisible by 8 -> :class:`~types.Fields`.

    Args:
        network: A built :class:`~casapose_ros.network.CASAPose`.
    """

    def __init__(self, network: keras.Model):
        self.network = network
        self._run = _compiled(network)

    def __call__(self, image: np.ndarray) -> Fields:
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ImageError(f"expected an (H, W, 3) uint8 image, got {image.shape} {image.dtype}")
        height, width = image.shape[:2]
        if height % STRIDE or width % STRIDE or not height or not width:
            raise ImageError(f"network input must be a multiple of {STRIDE}, got {width}x{height}")
        logits, vectors, confidence, labels = (
            ops.convert_to_numpy(x)[0] for x in self._run(image[None])
        )
        return Fields(
            logits=logits,
            vectors=vectors.reshape(height, width, NUM_KEYPOINTS, 2),
            confidence=confidence,
            labels=labels.astype(np.uint8),
        )


def _fields(network, image):
    """Logits, vectors and confidence of (1, H, W, 3) uint8 images, float32, and uint8 labels."""
    logits, vectors, confidence = network(normalise_image(image), training=False)
    labels = ops.cast(ops.argmax(logits, axis=-1), "uint8")
    return (*(ops.cast(x, "float32") for x in (logits, vectors, confidence)), labels)


def _compiled(network):
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        signature = [tf.TensorSpec((1, None, None, 3), tf.uint8)]
        return tf.function(lambda image: _fields(network, image), input_signature=signature)
    if backend == "jax":
        return _compiled_by_jax(network)
    import torch

    return torch.no_grad()(lambda image: _fields(network, image))


def _compiled_by_jax(network):
    """JAX takes the weights as arguments: as part of the function, they would be those of the
    first call for ever, and a network that is still in training would be measured wrongly."""
    import jax

    @jax.jit
    def run(trainable, others, image):
        def stateless(x, training):
            return network.stateless_call(trainable, others, x, training=training)[0]

        return _fields(stateless, image)

    return lambda image: run(
        [v.value for v in network.trainable_variables],
        [v.value for v in network.non_trainable_variables],
        image,
    )

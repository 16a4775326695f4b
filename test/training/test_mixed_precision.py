"""A step of training with bfloat16 features is that of float32, to a stated tolerance."""

import keras
import ml_dtypes
import numpy as np
import pytest
from any_backend import value_and_gradients

from casapose_ros.network import NetworkConfig, build_network
from casapose_ros.network.weights import get_weights, set_weights
from casapose_ros.training import losses
from casapose_ros.training.trainer import LossWeights, Trainer

WEIGHTS = LossWeights(1.0, 1.0, 0.0, 0.0)
"""Without those losses that are ill-conditioned while vectors are near zero, as at the start."""
HEADS = ("segmentation_decoder/head/kernel", "vector_decoder/head/kernel")


def made_up_batch():
    """Crops in which every pixel tells its class by its colour, and noise."""
    rng = np.random.default_rng(0)
    labels = np.zeros((4, 32, 32), np.uint8)
    labels[:, 2:18, 2:18], labels[:, 14:30, 12:30] = 1, 2
    image = 60 + 60 * labels[..., None] + rng.integers(-40, 40, (4, 32, 32, 3))
    pixels = rng.choice(np.flatnonzero(labels[0]), (4, 128)).astype(np.int32)
    inputs = {"image": image.astype(np.uint8), "labels": labels, "guide": labels, "pixels": pixels}
    inputs["classes"] = np.tile(np.uint8([1, 2]), (4, 1))
    inputs["step"] = np.zeros(len(labels), np.int32)
    return inputs, {"keypoints": rng.uniform(4, 28, (4, 2, 1, 9, 2)).astype(np.float32)}


def loss_and_gradients(precision: str, weights: dict | None):
    """The loss of a first step, its gradients by variable, and the weights it started from."""
    network = build_network(NetworkConfig(2, width=0.25), precision)
    if weights is not None:
        set_weights(network, weights)
    trainer = Trainer(network, WEIGHTS, WEIGHTS, 10, 1.0)
    trainer.compile(optimizer=keras.optimizers.SGD())
    inputs, targets = made_up_batch()
    variables = trainer.trainable_variables

    def loss(*values):
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
            outputs = trainer(inputs, training=True)
            return trainer.compute_loss(inputs, targets, outputs)

    values = [keras.ops.convert_to_numpy(variable) for variable in variables]
    value, gradients = value_and_gradients(loss, *values)
    names = [variable.path.split("/", 1)[1] for variable in variables]
    return float(value), dict(zip(names, gradients, strict=True)), get_weights(network)


def angle(a, b) -> float:
    """Between two arrays taken as vectors, degrees."""
    cosine = np.vdot(a, b) / np.linalg.norm(a) / np.linalg.norm(b)
    return float(np.rad2deg(np.arccos(np.clip(cosine, -1, 1))))


def rounded_kernels(weights: dict) -> dict:
    return {
        name: value.astype(ml_dtypes.bfloat16).astype("f") if name.endswith("kernel") else value
        for name, value in weights.items()
    }


def test_loss_and_gradients_are_those_of_float32(monkeypatch):
    """Loss within 1 %, gradients of the heads within 2 degrees; on the way down to the first layer
    errors grow, but no more than three times as much as if nothing but the kernels were rounded.
    """
    # Otherwise a pixel whose class is nearly undecided would count in one and not in the other.
    monkeypatch.setattr(losses, "counted_labels", lambda labels, logits: labels)
    keras.utils.set_random_seed(1)
    loss, exact, weights = loss_and_gradients("float32", None)
    _, floor, _ = loss_and_gradients("float32", rounded_kernels(weights))
    rounded_loss, rounded, _ = loss_and_gradients("bfloat16", weights)
    assert rounded_loss == pytest.approx(loss, rel=0.01)
    for name in HEADS:
        assert 0 < angle(rounded[name], exact[name]) < 2, name
    whole = [np.concatenate([g.ravel() for g in each.values()]) for each in (exact, floor, rounded)]
    assert np.linalg.norm(whole[2]) == pytest.approx(np.linalg.norm(whole[0]), rel=0.1)
    assert angle(whole[2], whole[0]) < 3 * angle(whole[1], whole[0])

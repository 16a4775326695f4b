"""Encoders from files: what fits is loaded into the encoder alone, what does not is named."""

import h5py
import keras
import numpy as np
import pytest

from casapose_ros.errors import WeightsError
from casapose_ros.network import NetworkConfig, build_network
from casapose_ros.network.encoder_files import load_encoder
from casapose_ros.network.normalisation import EPSILON
from casapose_ros.network.weights import get_weights, save_weights


def small(width=0.125, num_objects=2, variant="base"):
    return build_network(NetworkConfig(num_objects, variant, width=width))


def made_up(network, seed=0):
    """Weights for the encoder as ``classification_models`` names them: (layer, weight) -> array.

    The first layer's statistics are those of images in 0..255.
    """
    rng = np.random.default_rng(seed)
    arrays = {}
    for name, value in get_weights(network).items():
        if name.startswith("encoder/"):
            layer, leaf = name.removeprefix("encoder/").rsplit("/", 1)
            array = rng.uniform(0.5, 1.5, value.shape).astype("f")
            arrays[layer.replace("/", "_"), leaf] = array * 0.1 if "kernel" in leaf else array
    arrays["bn_data", "moving_mean"] = np.array([123.7, 116.3, 103.5], "f")
    arrays["bn_data", "moving_variance"] = np.array([3400.0, 3300.0, 3500.0], "f")
    return arrays


def write_h5(path, arrays, top="", doubled=False):
    """As Keras 2 wrote: a group for each layer, in whole models below ``model_weights``."""
    with h5py.File(path, "w") as file:
        for (layer, leaf), value in arrays.items():
            file[f"{top}{layer}/{layer + '/' if doubled else ''}{leaf}:0"] = value
        file[f"{top}fc1/fc1/kernel:0"] = np.zeros((4, 10), "f")
    return path


@pytest.mark.parametrize(("top", "doubled"), [("", True), ("model_weights/", True), ("", False)])
def test_an_encoder_of_imagenet_computes_the_same_here(tmp_path, top, doubled):
    network = small()
    arrays = made_up(network)
    before = get_weights(network)
    load_encoder(network, write_h5(tmp_path / "resnet18.h5", arrays, top, doubled))
    after = get_weights(network)
    for (layer, leaf), value in arrays.items():
        if layer != "bn_data":
            name = layer.replace("_bn", "/bn").replace("_conv", "/conv").replace("_sc", "/sc")
            np.testing.assert_array_equal(after[f"encoder/{name}/{leaf}"], value)
    for name, value in before.items():
        if not name.startswith("encoder/"):
            np.testing.assert_array_equal(after[name], value)
    # The first layer gives for x / 127.5 - 1 what it gave for x.
    pixels = np.array([0, 17, 255], np.uint8).repeat(3).reshape(1, 1, 3, 3)
    x = pixels.astype("f") - arrays["bn_data", "moving_mean"]
    x = x / np.sqrt(arrays["bn_data", "moving_variance"] + EPSILON) + arrays["bn_data", "beta"]
    y = keras.ops.convert_to_numpy(network.encoder.bn_data(pixels / np.float32(127.5) - 1))
    np.testing.assert_allclose(y, x, rtol=1e-4, atol=1e-5)


def test_an_encoder_of_a_bundle_fits_other_objects_and_variants(tmp_path):
    old, new = small(num_objects=5), small(variant="c_gcu5")
    old.encoder.bn_data.moving_mean.assign([0.1, -0.2, 0.9])
    save_weights(old, tmp_path / "weights.npz", "float32")
    head = get_weights(new)["vector_decoder/head/kernel"]
    load_encoder(new, tmp_path / "weights.npz")
    old, new = get_weights(old), get_weights(new)
    for name, value in old.items():
        if name.startswith("encoder/"):
            np.testing.assert_array_equal(new[name], value)
    np.testing.assert_array_equal(new["vector_decoder/head/kernel"], head)


def without(arrays, layer):
    return {key: value for key, value in arrays.items() if key[0] != layer}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: {}, r"lacks 96 of 96 weights, among them encoder/bn0/beta"),
        (
            lambda a: without(a, "stage4_unit2_conv2"),
            r"lacks 1 of .* encoder/stage4_unit2/conv2/kernel; expected a ResNet-18",
        ),
        (
            lambda a: {**a, ("stage1_unit3_conv1", "kernel"): np.zeros((3, 3, 8, 8), "f")},
            "encoder/stage1_unit3/conv1/kernel is no part of a ResNet-18",
        ),
        (
            lambda a: {**a, ("conv0", "kernel"): np.zeros((7, 7, 3, 64), "f")},
            r"encoder/conv0/kernel has shape \(7, 7, 3, 64\), the network expects \(7, 7, 3, 8\); "
            "the network has width 0.125, ImageNet encoders have width 1",
        ),
        (
            lambda a: {**a, ("bn1", "beta"): np.full(64, np.nan, "f")},
            "encoder/bn1/beta holds NaN",
        ),
    ],
)
def test_encoders_that_do_not_fit_are_refused(tmp_path, change, message):
    network = small()
    path = write_h5(tmp_path / "resnet18.h5", change(made_up(network)), doubled=True)
    before = get_weights(network)
    with pytest.raises(WeightsError, match=message):
        load_encoder(network, path)
    np.testing.assert_equal(get_weights(network), before)


@pytest.mark.parametrize("suffix", [".npz", ".h5"])
def test_damaged_files_are_named(tmp_path, suffix):
    path = tmp_path / f"encoder{suffix}"
    with pytest.raises(WeightsError, match=f"encoder{suffix}: no such"):
        load_encoder(small(), path)
    path.write_bytes(b"neither the one nor the other")
    with pytest.raises(WeightsError, match=f"encoder{suffix}: not a readable"):
        load_encoder(small(), path)

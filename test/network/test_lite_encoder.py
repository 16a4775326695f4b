"""EfficientNet-Lite0: the features of its definition, from weights in the form of a file."""

import sys

import numpy as np
import pytest
from keras import ops

from casapose_ros.errors import ConfigError, WeightsError
from casapose_ros.network import NetworkConfig, build_network
from casapose_ros.network.encoder_files import lite_encoder_weights, load_encoder
from casapose_ros.network.weights import get_weights, save_weights

CHANNELS = (16, 24, 24, 40, 40, 80, 80, 80, 112, 112, 112, 192)
KERNELS = (3, 3, 3, 5, 5, 3, 3, 3, 5, 5, 5, 5)
STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2)


def lite(num_objects=2):
    return build_network(
        NetworkConfig(num_objects, encoder="efficientnet_lite0", width=0.125), "float32"
    )


@pytest.fixture(scope="module")
def state():
    """Made-up weights up to block 11 and of the last layers, as the file has them."""
    rng = np.random.default_rng(0)
    made = {}

    def conv(name, out, into, size):
        made[f"{name}.weight"] = rng.normal(0, (into * size**2) ** -0.5, (out, into, size, size))

    def bn(name, channels):
        made[f"{name}.weight"] = rng.uniform(0.5, 1.5, channels)
        made[f"{name}.bias"] = rng.normal(0, 0.3, channels)
        made[f"{name}.running_mean"] = rng.normal(0, 0.3, channels)
        made[f"{name}.running_var"] = rng.uniform(0.01, 1.5, channels)
        made[f"{name}.num_batches_tracked"] = np.array(7)

    conv("_conv_stem", 32, 3, 3)
    bn("_bn0", 32)
    channels = 32
    for i, (filters, size) in enumerate(zip(CHANNELS, KERNELS, strict=True)):
        inner = channels * (6 if i else 1)
        if i:
            conv(f"_blocks.{i}._expand_conv", inner, channels, 1)
            bn(f"_blocks.{i}._bn0", inner)
        conv(f"_blocks.{i}._depthwise_conv", inner, 1, size)
        bn(f"_blocks.{i}._bn1", inner)
        conv(f"_blocks.{i}._project_conv", filters, inner, 1)
        bn(f"_blocks.{i}._bn2", filters)
        channels = filters
    conv("_conv_head", 8, channels, 1)
    bn("_bn1", 8)
    made["_fc.weight"], made["_fc.bias"] = np.zeros((10, 8)), np.zeros(10)
    return {k: v if v.ndim == 0 else v.astype("f") for k, v in made.items()}


def features(state, image):
    """Of the definition, at strides 2, 4, 8 and 16."""

    def conv(x, name, stride=1):
        kernel = state[f"{name}.weight"].transpose(2, 3, 1, 0)
        return ops.conv(x, kernel, strides=stride, padding="same")

    def bn(x, name):
        weight, bias, mean, variance = (
            state[f"{name}.{leaf}"] for leaf in ("weight", "bias", "running_mean", "running_var")
        )
        return (x - mean) / np.sqrt(variance + 1e-3) * weight + bias

    x = ops.relu6(bn(conv(image, "_conv_stem", 2), "_bn0"))
    outputs = []
    for i, stride in enumerate(STRIDES[:11]):
        name, y = f"_blocks.{i}.", x
        if i:
            y = ops.relu6(bn(conv(y, f"{name}_expand_conv"), f"{name}_bn0"))
        kernel = state[f"{name}_depthwise_conv.weight"].transpose(2, 3, 0, 1)
        y = ops.depthwise_conv(y, kernel, strides=stride, padding="same")
        y = bn(conv(ops.relu6(bn(y, f"{name}_bn1")), f"{name}_project_conv"), f"{name}_bn2")
        x = x + y if x.shape == y.shape else y
        outputs.append(x)
    return [ops.convert_to_numpy(outputs[i]) for i in (0, 2, 4, 10)]


def test_features_are_those_of_the_definition(state):
    network = lite()
    weights = lite_encoder_weights(state)
    for name, variable in ((v.path.split("/", 1)[1], v) for v in network.encoder.variables):
        variable.assign(weights.pop(name))
    assert not weights
    image = np.random.default_rng(1).uniform(-1, 1, (2, 64, 96, 3)).astype("f")
    *fine, deep = (ops.convert_to_numpy(x) for x in network.encoder(image))
    *expected, s16 = features(state, image)
    for x, y in zip(fine, expected, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-3, atol=1e-3)
    # Bilinear upsampling with half-pixel centres.
    assert deep.shape == (2, 8, 12, 112)
    np.testing.assert_allclose(deep[:, 0, 0], s16[:, 0, 0], rtol=1e-3, atol=1e-3)
    weights = np.array([[9, 3], [3, 1]]) / 16
    middle = np.tensordot(weights, s16[0, 1:3, 2:4], axes=2)
    np.testing.assert_allclose(deep[0, 3, 5], middle, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("height", "width"), [(72, 136), (8, 8), (64, 40)])
def test_any_size_divisible_by_8_will_do(height, width):
    network = lite()
    image = np.zeros((1, height, width, 3), "f")
    shapes = [tuple(x.shape[1:3]) for x in network.encode(image)]
    assert shapes == [(height // s, width // s) for s in (8, 8, 4, 2, 1)]
    assert network(image)[1].shape == (1, height, width, 18)


def test_a_bundle_hands_its_encoder_on(tmp_path):
    old, new = lite(num_objects=5), lite()
    save_weights(old, tmp_path / "weights.npz", "float32")
    head = get_weights(new)["vector_decoder/head/kernel"]
    load_encoder(new, tmp_path / "weights.npz")
    old, new = get_weights(old), get_weights(new)
    names = [name for name in old if name.startswith("encoder/")]
    assert len(names) == 165
    for name in names:
        np.testing.assert_array_equal(new[name], old[name])
    np.testing.assert_array_equal(new["vector_decoder/head/kernel"], head)


def test_the_other_encoder_is_refused_by_name(tmp_path):
    paper = build_network(NetworkConfig(2, width=0.125))
    save_weights(paper, tmp_path / "weights.npz")
    with pytest.raises(WeightsError, match="lacks 160 of 165 .* expected an EfficientNet-Lite0"):
        load_encoder(lite(), tmp_path / "weights.npz")
    with pytest.raises(ConfigError, match="unknown encoder 'vgg'; known: resnet18, efficient"):
        NetworkConfig(2, encoder="vgg")


def test_a_file_of_pytorch_is_read_without_executing_it(tmp_path, state):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    path = tmp_path / "lite0.pth"
    torch.save({k: torch.from_numpy(np.asarray(v)) for k, v in state.items()}, path)
    network = lite()
    load_encoder(network, path)
    kernel = get_weights(network)["encoder/conv0/kernel"]
    np.testing.assert_array_equal(kernel, state["_conv_stem.weight"].transpose(2, 3, 1, 0))

    class Malice:
        def __reduce__(self):
            return (tmp_path / "executed").touch, ()

    torch.save({"_bn0.weight": Malice()}, path)
    with pytest.raises(WeightsError, match="lite0.pth: not a readable"):
        load_encoder(network, path)
    assert not (tmp_path / "executed").exists()
    path.write_bytes(b"no such thing")
    with pytest.raises(WeightsError, match="lite0.pth: not a readable"):
        load_encoder(network, path)


def test_without_pytorch_its_files_are_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(WeightsError, match=r"lite0.pth: .pth files are read with PyTorch: pip"):
        load_encoder(lite(), tmp_path / "lite0.pth")


def test_a_frozen_encoder_keeps_its_statistics():
    network = lite()
    network.encoder.trainable = False
    before = get_weights(network)
    image = np.random.default_rng(0).uniform(-1, 1, (2, 32, 32, 3)).astype("f")
    network(image, training=True)
    after = get_weights(network)
    changed = {name for name, value in before.items() if (after[name] != value).any()}
    assert changed
    assert not any(name.startswith("encoder/") for name in changed)

"""Encoders to start a training from: of one of our bundles, or trained on ImageNet by others."""

from __future__ import annotations

import re
from pathlib import Path
from pickle import UnpicklingError

import numpy as np

from casapose_ros.errors import WeightsError
from casapose_ros.network.lite_encoder import BLOCKS
from casapose_ros.network.model import CASAPose
from casapose_ros.network.normalisation import EPSILON
from casapose_ros.network.weights import named_variables, read_weights

LITE_EPSILON = 1e-3
"""Of the batch normalisation of ``efficientnet_lite_pytorch``."""

_RESNET_LAYER = re.compile(
    r"(?:^|/)(bn_data|conv0|bn0|bn1|stage\d+_unit\d+_[a-z0-9]+)/([a-z_]+?)(?:_\d+)?(?::0)?$"
)

_LITE_LAYER = re.compile(
    r"(?:_blocks\.(?P<block>\d+)\.)?_(?P<part>conv_stem|bn\d|\w+_conv)\."
    r"(?P<leaf>weight|bias|running_mean|running_var)"
)
_LITE_LEAVES = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}
_LITE_LAYERS = {
    # Inside a block or not, and the name there.
    (False, "conv_stem"): "conv0",
    (False, "bn0"): "bn0",
    (True, "expand_conv"): "expand",
    (True, "bn0"): "bn_expand",
    (True, "depthwise_conv"): "depthwise",
    (True, "bn1"): "bn_depthwise",
    (True, "project_conv"): "project",
    (True, "bn2"): "bn_project",
}
_NAMES = {"resnet18": "a ResNet-18", "efficientnet_lite0": "an EfficientNet-Lite0"}
_LAYERS = {
    "resnet18": "bn_data, conv0, bn0, stage1_unit1_bn1 ... bn1",
    "efficientnet_lite0": "_conv_stem, _bn0, _blocks.0 ... _blocks.10",
}


def load_encoder(network: CASAPose, path: str | Path) -> None:
    """Give a network's encoder the weights of a file; the rest of the network stays as it is.

    Args:
        network: A built network.
        path: A ``.npz`` of this package, for example a bundle's ``weights.npz``; a ``.h5`` with
            the layer names of ``classification_models``' ResNet-18; or a ``.pth`` with those of
            ``efficientnet_lite_pytorch``'s EfficientNet-Lite0. Layers behind the encoder's may be
            there or not.

    Raises:
        WeightsError: The file cannot be read, lacks weights, is of another encoder or another
            width, or holds NaN. The network is left as it was.
    """
    path, kind = Path(path), network.config.encoder
    read = {".npz": read_weights, ".pth": _lite_encoder_of_pth}.get(path.suffix, _resnet_of_h5)
    found = read(path)
    found, variables = (
        {name: value for name, value in each.items() if name.startswith("encoder/")}
        for each in (found, named_variables(network))
    )
    missing = sorted(variables.keys() - found.keys())
    if missing:
        raise WeightsError(
            f"{path}: not such an encoder: it lacks {len(missing)} of {len(variables)} weights, "
            f"among them {missing[0]}; expected {_NAMES[kind]} with the layers {_LAYERS[kind]}"
        )
    unknown = sorted(found.keys() - variables.keys())
    if unknown:
        raise WeightsError(f"{path}: {unknown[0]} is no part of {_NAMES[kind]} encoder")
    for name, variable in variables.items():
        if found[name].shape != tuple(variable.shape):
            raise WeightsError(
                f"{path}: {name} has shape {found[name].shape}, the network expects "
                f"{tuple(variable.shape)}; the network has width {network.config.width}, ImageNet "
                "encoders have width 1"
            )
        if not np.all(np.isfinite(found[name])):
            raise WeightsError(f"{path}: {name} holds NaN or infinite values")
    for name, variable in variables.items():
        variable.assign(found[name])


def _resnet_of_h5(path: Path) -> dict[str, np.ndarray]:
    import h5py

    found: dict[str, np.ndarray] = {}

    def visit(name: str, item) -> None:
        match = _RESNET_LAYER.search(name)
        if match and isinstance(item, h5py.Dataset):
            layer = re.sub(r"^(stage\d+_unit\d+)_", r"\1/", match[1])
            found[f"encoder/{layer}/{match[2]}"] = np.asarray(item[()], np.float32)

    try:
        with h5py.File(path, "r") as file:
            file.visititems(visit)
    except FileNotFoundError as error:
        raise WeightsError(f"{path}: no such file") from error
    except OSError as error:
        raise WeightsError(f"{path}: not a readable HDF5 weight file: {error}") from error
    return _with_signed_input(found)


def _lite_encoder_of_pth(path: Path) -> dict[str, np.ndarray]:
    try:
        import torch
    except ImportError as error:
        raise WeightsError(
            f"{path}: .pth files are read with PyTorch: pip install torch"
        ) from error
    try:
        # Without weights_only, a .pth may execute code.
        state = torch.load(path, map_location="cpu", weights_only=True)
        return lite_encoder_weights({name: value.numpy() for name, value in state.items()})
    except FileNotFoundError as error:
        raise WeightsError(f"{path}: no such file") from error
    except (OSError, RuntimeError, EOFError, AttributeError, TypeError, UnpicklingError) as error:
        raise WeightsError(f"{path}: not a readable file of weights: {error}") from error


def lite_encoder_weights(state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Weights of ``efficientnet_lite_pytorch``'s EfficientNet-Lite0 by this package's names.

    Layers behind the encoder's, that is from block 11 on, are left out. That package's batch
    normalisation adds 1e-3 to the variance, this one's 2e-5: the difference goes into the variance.
    """
    weights = {}
    for name, value in state.items():
        match = _LITE_LAYER.fullmatch(name)
        if match is None:
            continue
        block, part, leaf = match.groups()
        layer = _LITE_LAYERS.get((block is not None, part))
        if layer is None or int(block or 0) >= len(BLOCKS):
            continue
        if value.ndim == 4:
            leaf = "kernel"
            value = value.transpose((2, 3, 0, 1) if layer == "depthwise" else (2, 3, 1, 0))
        else:
            leaf = _LITE_LEAVES[leaf]
        if leaf == "moving_variance":
            value = value + (LITE_EPSILON - EPSILON)
        prefix = "" if block is None else f"block{block}/"
        weights[f"encoder/{prefix}{layer}/{leaf}"] = value.astype(np.float32)
    return weights


def _with_signed_input(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Statistics of the first layer for images in [-1, 1], if they are of images in 0..255.

    No image in [-1, 1] has a mean beyond 1. The layer's output is the same, to rounding, for
    ``x`` before and ``x / 127.5 - 1`` after.
    """
    mean = weights.get("encoder/bn_data/moving_mean")
    variance = weights.get("encoder/bn_data/moving_variance")
    if mean is None or variance is None or np.abs(mean).max() <= 1:
        return weights
    return {
        **weights,
        "encoder/bn_data/moving_mean": mean / 127.5 - 1,
        "encoder/bn_data/moving_variance": (variance + EPSILON) / 127.5**2 - EPSILON,
    }

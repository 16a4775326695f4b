"""Read weight files that others published (Keras 2 HDF5) into this package's network.

Whole networks of the method: the encoder is one HDF5 group whatever its name; blocks 1-5 are
decoder 1, blocks 6-10 decoder 2. Names are matched by their suffix, and where a suffix says
nothing, by their order in the layer.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from casapose_ros.errors import WeightsError
from casapose_ros.network.model import VECTOR_CHANNELS
from casapose_ros.types import NUM_KEYPOINTS

_LAYERS = (
    (r"pv_block_(\d+)_conv2d", "conv", ("kernel",)),
    (r"pv_block_(\d+)_prepare_conv2d", "guided", ("kernel",)),
    (r"pv_block_(\d+)_bn", "norm", ("gamma", "beta", "moving_mean", "moving_variance")),
    (r"pv_block_(\d+)_clade", "clade", ("beta", "gamma", "moving_mean", "moving_variance")),
    (r"segmentation_(half|quater|quarter|eighth)_size", "mask", ("kernel",)),
    (r"(pv_final_conv|pv_final_conv_segmentation)", "segmentation_head", ("kernel",)),
    (r"(pv_final_conv_vertex)", "vector_head", ("kernel",)),
)


def read_published_weights(path: str | Path) -> dict[str, np.ndarray]:
    """Read an HDF5 weight file.

    Returns:
        Arrays by this package's names (``network.weights.named_variables``), kernels as
        (ky, kx, C_in, C_out).

    Raises:
        WeightsError: The file cannot be read, or holds a layer the method does not have.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            if "layer_names" not in file.attrs:
                raise WeightsError(
                    f"{path}: no attribute 'layer_names'; expected weights saved by Keras' "
                    "save_weights in HDF5 form"
                )
            weights: dict[str, np.ndarray] = {}
            for layer in map(_text, file.attrs["layer_names"]):
                names = [_text(n) for n in file[layer].attrs.get("weight_names", ())]
                weights.update(_rename(layer, {n: file[layer][n][()] for n in names}, path))
            return weights
    except FileNotFoundError as error:
        raise WeightsError(f"{path}: no such file") from error
    except (OSError, KeyError) as error:
        raise WeightsError(f"{path}: not a readable HDF5 weight file: {error}") from error


def infer_num_objects(weights: dict[str, np.ndarray], variant: str) -> int:
    """K, from the width of the segmentation head.

    Raises:
        WeightsError: There is no head, or its width cannot belong to ``variant``.
    """
    head = weights.get("segmentation_decoder/head/kernel")
    if head is None:
        raise WeightsError("the file has no segmentation head (pv_final_conv...)")
    joint = VECTOR_CHANNELS + NUM_KEYPOINTS if variant == "base" else 0
    num_objects = head.shape[-1] - joint - 1
    if num_objects < 1:
        raise WeightsError(
            f"the segmentation head has {head.shape[-1]} outputs, too few for variant {variant!r}"
        )
    return num_objects


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def _rename(layer: str, arrays: dict[str, np.ndarray], path) -> dict[str, np.ndarray]:
    if not arrays:
        return {}
    if any(re.search(r"(^|/)conv0/", name) for name in arrays):
        return dict(_encoder_weight(name, value, path) for name, value in arrays.items())
    for pattern, kind, order in _LAYERS:
        match = re.fullmatch(pattern, layer)
        if match:
            prefix = _prefix(kind, match.group(1))
            return {
                prefix + name: value
                for name, value in _by_role(kind, order, arrays, f"{path}: {layer}").items()
            }
    raise WeightsError(f"{path}: unknown layer {layer!r}; is this file made for CASAPose?")


def _encoder_weight(name: str, value: np.ndarray, path) -> tuple[str, np.ndarray]:
    match = re.search(r"([^/]+)/([a-z_]+?)(?:_\d+)?(?::0)?$", name)
    if match is None:
        raise WeightsError(f"{path}: unknown encoder weight {name!r}")
    layer, leaf = match.groups()
    layer = re.sub(r"^(stage\d_unit\d)_", r"\1/", layer)
    return f"encoder/{layer}/{leaf}", value


def _prefix(kind: str, which: str) -> str:
    if kind == "segmentation_head":
        return "segmentation_decoder/head/"
    if kind == "vector_head":
        return "vector_decoder/head/"
    if kind == "mask":
        return f"vector_decoder/mask_{which.replace('quater', 'quarter')}/"
    block = int(which)
    decoder = "segmentation_decoder" if block <= 5 else "vector_decoder"
    part = "conv" if kind == "guided" else kind
    return f"{decoder}/block{(block - 1) % 5 + 1}_{part}/"


def _by_role(
    kind: str, order: tuple[str, ...], arrays: dict[str, np.ndarray], where: str
) -> dict[str, np.ndarray]:
    if len(arrays) != len(order):
        raise WeightsError(f"{where}: expected {len(order)} weights, found {len(arrays)}")
    leaves = [re.sub(r"(_\d+)?(:0)?$", "", name.rsplit("/", 1)[-1]) for name in arrays]
    roles = [next((r for r in order if leaf.endswith(r)), None) for leaf in leaves]
    if sorted(r or "" for r in roles) != sorted(order):
        roles = list(order)
    result = {}
    for role, value in zip(roles, arrays.values(), strict=True):
        if kind == "guided":
            value = value.transpose(1, 2, 0, 3)
        statistic = kind == "clade" and role.startswith("moving")
        result[f"statistics/{role}" if statistic else role] = value
    return result

"""Weights on disk: an ``.npz`` of named arrays, which loads without executing code from it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import keras
import numpy as np

from casapose_ros.errors import WeightsError


def named_variables(network: keras.Model) -> dict[str, keras.Variable]:
    """The network's variables by name, for example ``encoder/conv0/kernel``."""
    return {v.path.split("/", 1)[1]: v for v in network.variables}


def get_weights(network: keras.Model) -> dict[str, np.ndarray]:
    """Copies of all weights, float32, by name."""
    return {
        name: keras.ops.convert_to_numpy(v).astype(np.float32)
        for name, v in named_variables(network).items()
    }


def set_weights(
    network: keras.Model, weights: dict[str, np.ndarray], source: str = "weights"
) -> None:
    """Give the network all its weights.

    Args:
        network: A built network.
        weights: One array for each of the network's variables, by name.
        source: What to call them in messages, for example a file name.

    Raises:
        WeightsError: A name is missing or not known, a shape differs, or a value is not finite.
            The network is left as it was.
    """
    variables = named_variables(network)
    missing = sorted(variables.keys() - weights.keys())
    unknown = sorted(weights.keys() - variables.keys())
    if missing or unknown:
        parts = [
            f"{what} {_some(names)}"
            for what, names in (("lacks", missing), ("has also", unknown))
            if names
        ]
        raise WeightsError(
            f"{source} does not fit this network ({' and '.join(parts)}); "
            "it was made for another variant"
        )
    for name, variable in variables.items():
        if tuple(weights[name].shape) != tuple(variable.shape):
            raise WeightsError(
                f"{source}: {name} has shape {tuple(weights[name].shape)}, the network expects "
                f"{tuple(variable.shape)}; it was made for another number of objects or width"
            )
        if not np.all(np.isfinite(weights[name])):
            raise WeightsError(f"{source}: {name} holds NaN or infinite values")
    for name, variable in variables.items():
        variable.assign(weights[name].astype(np.float32))


def save_weights(network: keras.Model, path: str | Path, dtype: str = "float16") -> None:
    """Write all weights to ``path`` (.npz), each array as ``dtype``.

    Raises:
        WeightsError: A weight is not finite, or becomes so in ``dtype``.
    """
    arrays = {}
    for name, value in get_weights(network).items():
        with np.errstate(over="ignore"):
            arrays[name] = value.astype(dtype)
        if not np.all(np.isfinite(arrays[name])):
            raise WeightsError(f"{name} cannot be saved as {dtype}: not finite")
    with open(path, "wb") as file:
        np.savez_compressed(file, **arrays)


def read_weights(path: str | Path) -> dict[str, np.ndarray]:
    """All arrays that :func:`save_weights` wrote, float32, by name.

    Raises:
        WeightsError: The file is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name].astype(np.float32) for name in archive.files}
    except FileNotFoundError as error:
        raise WeightsError(f"{path}: no such weights file") from error
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise WeightsError(f"{path}: not a readable weights file: {error}") from error


def load_weights(network: keras.Model, path: str | Path) -> None:
    """Read what :func:`save_weights` wrote; see :func:`set_weights` for what can go wrong."""
    set_weights(network, read_weights(path), str(path))


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return shown + (f" and {len(names) - 3} more" if len(names) > 3 else "")

"""Checkpoints: everything a run needs to go on as if it had never stopped.

One ``.npz`` without pickled objects holds the network, its averaged copy, the optimiser and the
step. Batches are a function of (seed, step), so the position in the data needs no more than that.
"""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import keras
import numpy as np

from casapose_ros.config import to_dict
from casapose_ros.errors import ConfigError, WeightsError
from casapose_ros.network.weights import get_weights, set_weights
from casapose_ros.training.settings import TrainConfig


def save_checkpoint(
    path: Path,
    step: int,
    config: TrainConfig,
    networks: dict[str, keras.Model],
    optimizer: keras.optimizers.Optimizer,
) -> None:
    """Write a checkpoint; the old one stays whole until the new one is."""
    arrays = {"step": np.int64(step), "config": np.array(json.dumps(to_dict(config)))}
    for prefix, network in networks.items():
        arrays |= {f"{prefix}/{name}": value for name, value in get_weights(network).items()}
    for index, variable in enumerate(optimizer.variables):
        arrays[f"optimizer/{index}"] = keras.ops.convert_to_numpy(variable)
    part = path.with_suffix(".part")
    with open(part, "wb") as file:
        np.savez(file, **arrays)
    os.replace(part, path)


def load_checkpoint(
    path: Path,
    config: TrainConfig,
    networks: dict[str, keras.Model],
    optimizer: keras.optimizers.Optimizer,
) -> int:
    """Restore a checkpoint.

    Returns:
        The number of steps done.

    Raises:
        ConfigError: It was written with other settings; the message names them.
        WeightsError: The file is damaged or belongs to another network.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise WeightsError(f"{path}: not a readable checkpoint: {error}") from error
    if not {"step", "config", "optimizer/0"} <= arrays.keys():
        raise WeightsError(f"{path}: not a checkpoint of a training run; name the run's folder")
    _check_same(path, json.loads(str(arrays["config"])), to_dict(config))
    for prefix, network in networks.items():
        start = f"{prefix}/"
        weights = {n[len(start) :]: v for n, v in arrays.items() if n.startswith(start)}
        set_weights(network, weights, str(path))
    for index, variable in enumerate(optimizer.variables):
        variable.assign(arrays[f"optimizer/{index}"])
    return int(arrays["step"])


def _check_same(path: Path, stored: dict, given: dict) -> None:
    different = [
        f"{key}: {stored.get(key)!r} there, {given.get(key)!r} here"
        for key in sorted(stored.keys() | given.keys())
        if stored.get(key) != given.get(key)
    ]
    if different:
        raise ConfigError(
            f"{path} was written with other settings ({'; '.join(different)}); resume with the "
            "same settings or train into another folder"
        )

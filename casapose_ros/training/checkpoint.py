"""Checkpoints: everything a run needs to go on as if it had never stopped.

A checkpoint is a folder named by its step: the networks, the averaged copy and the optimiser as
an ``.npz`` without pickled objects, cut into pieces of at most 16 MiB that are easy to move between
machines, and ``index.json`` with the settings and each piece's SHA-256. Batches are a function of
(seed, step), so the position in the data needs no more than the step.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np

from casapose_ros.config import differences, to_dict
from casapose_ros.errors import ConfigError, OutputError, WeightsError
from casapose_ros.network.weights import get_weights, set_weights
from casapose_ros.training.settings import TrainConfig

PIECE_BYTES = 16 * 2**20
INDEX_FILE = "index.json"


def newest_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint in a run's folder of checkpoints, or None if there is none."""
    return max(_checkpoints(folder), key=lambda path: int(path.name), default=None)


def save_checkpoint(
    folder: Path,
    step: int,
    config: TrainConfig,
    layers: dict[str, keras.Layer],
    optimizer: keras.optimizers.Optimizer,
) -> None:
    """Write a checkpoint; the one before is removed when this one is whole.

    Raises:
        WeightsError: A weight is not finite.
        OutputError: The disk is full, or the folder cannot be written.

    In both cases the checkpoint before is kept.
    """
    arrays = {}
    for prefix, layer in layers.items():
        arrays |= {f"{prefix}/{name}": value for name, value in get_weights(layer).items()}
    for index, variable in enumerate(optimizer.variables):
        arrays[f"optimizer/{index}"] = keras.ops.convert_to_numpy(variable)
    for name, value in arrays.items():
        if not np.all(np.isfinite(value)):
            raise WeightsError(
                f"{name} is not finite after {step} steps; the checkpoint before is kept. Train "
                "into another folder with a lower learning_rate"
            )
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    target, part = folder / f"{step:06d}", folder / f".part-{step:06d}"
    shutil.rmtree(part, ignore_errors=True)
    try:
        _write(part, step, config, stream.getbuffer())
        shutil.rmtree(target, ignore_errors=True)
        part.rename(target)
        _sync(folder)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise OutputError(
            f"{target}: the checkpoint cannot be written: {error.strerror}; the one before is "
            "kept. Make room, then go on with --resume"
        ) from error
    for old in _checkpoints(folder):
        if old != target:
            shutil.rmtree(old, ignore_errors=True)


def load_checkpoint(
    path: Path,
    config: TrainConfig,
    layers: dict[str, keras.Layer],
    optimizer: keras.optimizers.Optimizer,
) -> int:
    """Restore a checkpoint.

    Returns:
        The number of steps done.

    Raises:
        ConfigError: It was written with other settings; the message names them.
        WeightsError: A piece is missing or damaged, or it belongs to another network.
    """
    index = _read_index(path)
    check_settings(path, config)
    arrays = _read_arrays(path, index["pieces"])
    for prefix, layer in layers.items():
        start = f"{prefix}/"
        weights = {n[len(start) :]: v for n, v in arrays.items() if n.startswith(start)}
        set_weights(layer, weights, str(path))
    kept = sum(name.startswith("optimizer/") for name in arrays)
    if kept != len(optimizer.variables):
        raise WeightsError(
            f"{path} holds {kept} variables of an optimizer, this one has "
            f"{len(optimizer.variables)}; it was written by another version"
        )
    for number, variable in enumerate(optimizer.variables):
        variable.assign(arrays[f"optimizer/{number}"])
    return int(index["step"])


def check_settings(path: Path, config: TrainConfig) -> None:
    """Whether a run with these settings can go on from a checkpoint.

    Raises:
        ConfigError: It was written with other settings; the message names them.
        WeightsError: It is no checkpoint.
    """
    now = json.loads(json.dumps(settings_of(config)))
    if different := differences(_read_index(path)["config"], now):
        raise ConfigError(
            f"{path} was written with other settings ({'; '.join(different)}); resume with the "
            "same settings or train into another folder"
        )


def settings_of(config: TrainConfig) -> dict:
    """What has to be the same when a run goes on, also elsewhere: of files the name."""
    if config.encoder_weights is not None:
        config = replace(config, encoder_weights=Path(config.encoder_weights).name)
    return to_dict(config)


def _write(part: Path, step: int, config: TrainConfig, content: memoryview) -> None:
    """Write all files of a checkpoint; they are on the disk when this returns."""
    part.mkdir(parents=True)
    pieces = []
    for number, start in enumerate(range(0, len(content), PIECE_BYTES)):
        piece = content[start : start + PIECE_BYTES]
        name = f"{number:03d}.bin"
        _write_through(part / name, piece)
        pieces.append({"file": name, "sha256": hashlib.sha256(piece).hexdigest()})
    index = {"step": step, "config": settings_of(config), "pieces": pieces}
    _write_through(part / INDEX_FILE, json.dumps(index, indent=1).encode() + b"\n")
    _sync(part)


def _write_through(path: Path, content: bytes | memoryview) -> None:
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    """The names in a folder reach the disk, too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _checkpoints(folder: Path) -> list[Path]:
    return [p for p in folder.iterdir() if p.name.isdigit()] if folder.is_dir() else []


def _read_index(path: Path) -> dict:
    try:
        index = json.loads((path / INDEX_FILE).read_text())
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path / INDEX_FILE}: not readable: {error}") from error
    if not isinstance(index, dict) or not {"step", "config", "pieces"} <= index.keys():
        raise WeightsError(f"{path}: not a checkpoint of a training run")
    return index


def _read_arrays(path: Path, pieces: list[dict[str, str]]) -> dict[str, np.ndarray]:
    stream = io.BytesIO()
    for piece in pieces:
        file = path / piece["file"]
        if not file.is_file():
            raise WeightsError(f"{file}: missing; bring all {len(pieces)} pieces of {path.name}")
        content = file.read_bytes()
        if hashlib.sha256(content).hexdigest() != piece["sha256"]:
            raise WeightsError(f"{file}: its SHA-256 is not that of the index; copy it again")
        stream.write(content)
    stream.seek(0)
    try:
        with np.load(stream, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise WeightsError(f"{path}: not a readable checkpoint: {error}") from error

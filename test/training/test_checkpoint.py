"""Checkpoints: whole or not there, in small pieces, and refused when they do not fit."""

import errno
import json
from dataclasses import replace

import keras
import numpy as np
import pytest

from casapose_ros.errors import ConfigError, OutputError, WeightsError
from casapose_ros.network import NetworkConfig, build_network
from casapose_ros.network.weights import get_weights
from casapose_ros.training import checkpoint
from casapose_ros.training.checkpoint import load_checkpoint, newest_checkpoint, save_checkpoint
from casapose_ros.training.settings import TrainConfig

CONFIG = TrainConfig()


@pytest.fixture(scope="module")
def network():
    return build_network(NetworkConfig(1, width=0.125))


@pytest.fixture
def optimizer(network):
    optimizer = keras.optimizers.AdamW(1e-3)
    optimizer.build(network.trainable_variables)
    return optimizer


@pytest.fixture
def save(network, optimizer, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "PIECE_BYTES", 100_000)

    def at(step):
        save_checkpoint(tmp_path, step, CONFIG, {"network": network}, optimizer)
        return tmp_path / f"{step:06d}"

    return at


def test_comes_back_from_its_pieces(save, network, optimizer, tmp_path):
    optimizer.iterations.assign(7)
    path = save(7)
    assert newest_checkpoint(tmp_path) == path
    sizes = [p.stat().st_size for p in path.glob("*.bin")]
    assert len(sizes) > 3 and max(sizes) <= 100_000
    expected = get_weights(network)
    other = build_network(NetworkConfig(1, width=0.125))
    optimizer.iterations.assign(0)
    assert load_checkpoint(path, CONFIG, {"network": other}, optimizer) == 7
    np.testing.assert_equal(get_weights(other), expected)
    assert int(optimizer.iterations) == 7


def test_the_old_one_goes_when_the_new_one_is_whole(save, tmp_path, monkeypatch):
    first = save(1)

    def fail(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(checkpoint.os, "fsync", fail)
        with pytest.raises(OutputError, match="000002: .* No space left on device; the one before"):
            save(2)
    assert newest_checkpoint(tmp_path) == first and len(list(tmp_path.iterdir())) == 1
    second = save(2)
    assert newest_checkpoint(tmp_path) == second and not first.exists()
    assert [p.name for p in tmp_path.iterdir()] == ["000002"]


def test_weights_that_are_not_finite_do_not_replace_good_ones(save, optimizer, tmp_path):
    good = save(1)
    optimizer.variables[-1].assign(optimizer.variables[-1] * np.nan)
    with pytest.raises(WeightsError, match="not finite after 2 steps; the checkpoint before is"):
        save(2)
    assert newest_checkpoint(tmp_path) == good


def test_goes_on_where_the_encoders_file_lies_elsewhere(network, optimizer, tmp_path):
    here = replace(CONFIG, encoder_weights="/data/here/resnet18.h5")
    save_checkpoint(tmp_path, 1, here, {"network": network}, optimizer)
    path = newest_checkpoint(tmp_path)
    there = replace(CONFIG, encoder_weights="there/resnet18.h5")
    assert load_checkpoint(path, there, {"network": network}, optimizer) == 1
    with pytest.raises(ConfigError, match="encoder_weights: 'resnet18.h5' there, 'other.h5' here"):
        load_checkpoint(
            path, replace(CONFIG, encoder_weights="other.h5"), {"network": network}, optimizer
        )


def test_no_checkpoint(tmp_path):
    assert newest_checkpoint(tmp_path) is None
    assert newest_checkpoint(tmp_path / "nothing") is None


def test_says_what_is_wrong(save, network, optimizer):
    path = save(3)

    def load(config=CONFIG):
        return load_checkpoint(path, config, {"network": network}, optimizer)

    with pytest.raises(ConfigError, match=r"learning_rate: 0\.003 there, 0\.1 here"):
        load(replace(CONFIG, learning_rate=0.1))
    piece = path / "002.bin"
    content = piece.read_bytes()
    piece.write_bytes(content[:-1] + b"x")
    with pytest.raises(WeightsError, match=r"002\.bin: its SHA-256"):
        load()
    piece.unlink()
    with pytest.raises(WeightsError, match=r"002\.bin: missing; bring all \d+ pieces"):
        load()
    index = path / "index.json"
    index.write_text(json.dumps({"step": 3}))
    with pytest.raises(WeightsError, match="not a checkpoint"):
        load()
    index.write_text("{")
    with pytest.raises(WeightsError, match="not readable"):
        load()

"""Two hosts, or two devices, learn what one device learns with the same whole batch."""

import importlib.util
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from casapose_ros.errors import CasaposeError, ConfigError
from casapose_ros.training.distribution import Devices, Hosts, join_hosts, local_value
from casapose_ros.training.logs import TRAINING_LOG, read_log

PROGRAM = Path(__file__).with_name("shared_run.py")
STEPS = 8
PATIENCE_S = 400
needs_jax = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None,
    reason="JAX is not installed; sharing a batch between devices needs it (pip install jax)",
)


def free_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


def start(kind: str, out: Path, host: int = 0, devices: int = 1, **job) -> subprocess.Popen:
    """One host's process."""
    job = {"hosts": 1, "host": host, "coordinator": None, "out": str(out), **job}
    environment = {
        **os.environ,
        "KERAS_BACKEND": "jax",
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
    }
    path = out / f"log_{host}.txt"
    with open(path, "w") as log:
        return subprocess.Popen(
            [sys.executable, str(PROGRAM), kind, json.dumps(job), str(path)],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def finish(*processes: subprocess.Popen) -> None:
    """Wait for all of them; none is left behind."""
    try:
        for process in processes:
            assert process.wait(PATIENCE_S) == 0, Path(process.args[-1]).read_text()[-3000:]
    finally:
        for process in processes:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Folders of the small network's runs: on one device, on two, and on two hosts."""
    folders = {name: tmp_path_factory.mktemp(name) for name in ("one", "devices", "hosts")}
    for folder in folders.values():
        (folder / "folder").mkdir()
        (folder / "folder" / "first").write_text("1")
        (folder / "folder" / "second").write_text("2")
    finish(
        start("small", folders["one"], steps=STEPS),
        start("small", folders["devices"], steps=STEPS, devices=2),
    )
    shared = {"steps": STEPS, "hosts": 2, "coordinator": free_address()}
    finish(
        start("small", folders["hosts"], host=0, **shared),
        start("small", folders["hosts"], host=1, **shared),
    )
    return folders


def result(folder: Path, host: int = 0) -> dict:
    return json.loads((folder / f"result_{host}.json").read_text())


@needs_jax
@pytest.mark.parametrize("name", ["devices", "hosts"])
def test_learns_what_one_device_learns(runs, name):
    expected, found = result(runs["one"]), result(runs[name])
    assert (expected["devices"], found["devices"]) == (1, 2)
    np.testing.assert_allclose(found["losses"], expected["losses"], rtol=1e-5)
    assert expected["losses"][-1] != pytest.approx(expected["losses"][0], rel=1e-3)
    with (
        np.load(runs["one"] / "weights_0.npz") as one,
        np.load(runs[name] / "weights_0.npz") as two,
    ):
        assert set(one.files) == set(two.files)
        for weight in one.files:
            np.testing.assert_allclose(two[weight], one[weight], rtol=1e-4, atol=1e-5)


@needs_jax
def test_devices_keep_their_features_to_themselves(runs):
    """They exchange sums; to exchange the features themselves would take longer than the step."""
    assert result(runs["devices"])["exchanged"] == []


@needs_jax
def test_hosts_agree(runs):
    assert result(runs["hosts"])["hosts"] == 2
    first, second = (np.load(runs["hosts"] / f"weights_{host}.npz") for host in (0, 1))
    for weight in first.files:
        np.testing.assert_array_equal(first[weight], second[weight])


@needs_jax
def test_all_hosts_are_told_that_one_was_started_differently(runs):
    for host in (0, 1):
        assert result(runs["hosts"], host)["different"] == (
            "host 1 was started with other data than host 0"
        )


@needs_jax
def test_all_hosts_get_the_folder_of_the_first(runs):
    for host in (0, 1):
        assert result(runs["hosts"], host)["copied"] == {"first": "1", "second": "2"}


@needs_jax
def test_a_lost_host_ends_the_run_with_a_message(runs):
    assert "host 0 of 2: another host seems to be gone" in result(runs["hosts"])["gone"]


@needs_jax
@pytest.mark.slow
def test_a_whole_run_on_two_hosts_is_that_of_one_even_if_resumed(tmp_path):
    folders = [tmp_path / name for name in ("one", "first", "second")]
    for folder in folders:
        folder.mkdir()
    one, *two = folders
    finish(start("whole", one, steps=4))
    for stop in (3, None):  # the checkpoint is that of step 2, and only host 0 has it
        shared = {"steps": 4, "hosts": 2, "coordinator": free_address(), "stop_after": stop}
        finish(*(start("whole", folder, host=i, **shared) for i, folder in enumerate(two)))
    expected, found = (read_log(folder / TRAINING_LOG) for folder in folders[:2])
    assert [row["step"] for row in found] == [1, 2, 3, 4]
    for name in ("loss", "segmentation", "vectors", "voting", "keypoints", "accuracy"):
        np.testing.assert_allclose(
            [row[name] for row in found], [row[name] for row in expected], rtol=1e-3
        )
    assert (two[0] / "bundle").is_dir() and (two[0] / "checkpoints" / "000004").is_dir()
    assert [path.name for path in two[1].iterdir()] == ["log_1.txt"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ((2, 2, "a:1"), "host 2 of 2: hosts are numbered from 0"),
        ((0, 0, None), "host 0 of 0"),
        ((2, 0, None), "ADDRESS:PORT, got None"),
        ((2, 0, "here"), "ADDRESS:PORT, got 'here'"),
        ((2, 0, ":12"), "ADDRESS:PORT"),
    ],
)
def test_hosts_that_make_no_sense(settings, message):
    with pytest.raises(ConfigError, match=message):
        Hosts(*settings)


def test_one_host_alone_waits_for_nobody():
    join_hosts(Hosts())


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="JAX can")
def test_other_backends_refuse_several_hosts():
    with pytest.raises(ConfigError, match="2 hosts needs the JAX backend"):
        join_hosts(Hosts(2, 0, "127.0.0.1:1"))


@needs_jax
def test_a_host_that_finds_nobody_says_so(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    address = free_address()
    with pytest.raises(CasaposeError, match=f"host 1 of 2: nobody answers at {address}"):
        join_hosts(Hosts(2, 1, address), patience_s=0)


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="JAX may have several devices")
def test_one_device_has_nothing_to_share(tmp_path):
    devices = Devices(5)
    assert (devices.count, devices.is_chief, devices.share) == (1, True, range(5))
    devices.check_same("settings", "mine")
    with devices.scope(), devices.folder_of_chief(tmp_path) as folder:
        assert folder == tmp_path
    variable = keras.Variable([1.0, 2.0])
    np.testing.assert_array_equal(local_value(variable), [1.0, 2.0])


@needs_jax
def test_a_batch_that_cannot_be_shared_out(tmp_path):
    program = "from casapose_ros.training.distribution import Devices; Devices(5)"
    environment = {
        **os.environ,
        "KERAS_BACKEND": "jax",
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
    }
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert "a batch_size of 5 cannot be shared out to 2 devices" in done.stderr

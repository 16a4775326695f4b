"""Killed at any moment, a run goes on to the same curve."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rendered import require_gl, small_object_set

from casapose_ros.training.logs import TRAINING_LOG, VALIDATION_LOG, read_log

PROGRAM = Path(__file__).parent / "killed_run.py"
STEPS = 12
LIMIT_S = 300


def begin(folder, pause, *objects):
    root, tests = (str(PROGRAM.parents[i]) for i in (2, 1))
    return subprocess.Popen(
        [sys.executable, PROGRAM, folder, str(pause), *objects],
        env={**os.environ, "PYTHONPATH": f"{root}:{tests}", "CUDA_VISIBLE_DEVICES": ""},
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    _, errors = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, errors


def kill_after(process, folder, step):
    """End the process without warning as soon as it has logged a step."""
    limit = time.monotonic() + LIMIT_S
    while not (rows := read_log(folder / TRAINING_LOG)) or rows[-1]["step"] < step:
        assert process.poll() is None and time.monotonic() < limit
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=LIMIT_S)  # until its children have closed their ends, too


def losses(folder):
    timing = ("seconds_per_step", "cpu_seconds_per_step", "waiting")
    rows = read_log(folder / TRAINING_LOG)
    return [{k: v for k, v in row.items() if k not in timing} for row in rows]


@pytest.mark.parametrize(
    "steps", [(2, 8), pytest.param((1, 4, 7, 10), marks=pytest.mark.slow)], ids=["once", "often"]
)
def test_a_killed_run_goes_on_to_the_same_curve(tmp_path, steps):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    finish(begin(whole, 0))
    for step in steps:
        kill_after(begin(killed, 0.05), killed, step)
    finish(begin(killed, 0))
    assert_same_curve(whole, killed)


@pytest.mark.slow
def test_a_killed_run_renders_its_frames_again(tmp_path):
    require_gl()
    small_object_set(tmp_path / "objects")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    finish(begin(whole, 0, tmp_path / "objects"))
    for step in (2, 8):
        kill_after(begin(killed, 0.05, tmp_path / "objects"), killed, step)
    finish(begin(killed, 0, tmp_path / "objects"))
    assert_same_curve(whole, killed)


def assert_same_curve(whole, killed):
    expected, found = losses(whole), losses(killed)
    assert [row["step"] for row in found] == list(range(1, STEPS + 1))
    for there, here in zip(expected, found, strict=True):
        assert here == pytest.approx(there, rel=1e-5)
    assert read_log(killed / VALIDATION_LOG) == read_log(whole / VALIDATION_LOG)

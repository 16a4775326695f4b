"""The nodes as processes, the way users start and stop them."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from casapose_ros.ros.child import Child, NodeError, isolation, ros_arguments

NODES = Path(__file__).parents[2] / "nodes"


class Process:
    """A node started from ``nodes/``; its output is read from a file."""

    def __init__(self, log, name, *parameters):
        self.log = log
        words = ["--ros-args", *(word for p in parameters for word in ("-p", p))]
        self.popen = subprocess.Popen(
            [sys.executable, str(NODES / name), *words],
            stdout=log.open("wb"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def wait_for(self, text):
        deadline = time.monotonic() + 20
        while text not in self.log.read_text():
            assert time.monotonic() < deadline, self.log.read_text()
            assert self.popen.poll() is None, self.log.read_text()
            time.sleep(0.02)


@pytest.fixture
def start(tmp_path):
    processes = []

    def start(name, *parameters):
        processes.append(Process(tmp_path / f"{len(processes)}.log", name, *parameters))
        return processes[-1]

    yield start
    for process in processes:
        process.popen.kill()
        process.popen.wait()


@pytest.mark.parametrize(
    ("number", "times"), [(signal.SIGINT, 1), (signal.SIGINT, 3), (signal.SIGTERM, 1)]
)
@pytest.mark.parametrize("delay", [0, 0.5])
def test_pose_node_ends_quietly_however_often_it_is_told(start, number, times, delay):
    process = start("casapose_node")
    process.wait_for("no model: no bundle is given: set the parameter model_path")
    time.sleep(delay)  # 0 meets the node while it is still being made.
    for _ in range(times):
        process.popen.send_signal(number)
        time.sleep(0.02)
    assert process.popen.wait(10) == 0
    assert "Traceback" not in process.log.read_text()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        ("rclpy.shutdown(); SingleThreadedExecutor()", ""),  # which rclpy leaves half made
        ("Broken(); raise ConfigError('no, thanks')", "Exception ignored in.*no, thanks"),
    ],
)
def test_only_what_a_shutdown_leaves_half_made_is_deleted_in_silence(make, said):
    program = f"""
import rclpy
from rclpy.executors import SingleThreadedExecutor
from casapose_ros.errors import ConfigError
from casapose_ros.ros.run import run_node
class Broken:
    def __del__(self):
        raise ValueError("broken")
def make():
    {make}
run_node(make)
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == bool(said)
    assert re.fullmatch(said, ended.stderr.strip(), re.DOTALL)


def test_missing_bundle_is_named(start):
    process = start("casapose_node", "model_path:=/nowhere")
    process.wait_for("no model: /nowhere is no model bundle")


@pytest.mark.parametrize(
    ("parameter", "complaint"),
    [
        ("min_pixels:=0", "min_pixels"),
        ("component:=biggest", "component must be one of largest, second, all"),
        ("score_threshold:=high", "score_threshold"),
    ],
)
def test_bad_parameters_end_the_node_with_one_line(start, parameter, complaint):
    process = start("casapose_node", parameter)
    assert process.popen.wait(20) == 1
    (line,) = [x for x in process.log.read_text().splitlines() if not x.startswith("[")]
    assert line.startswith("cannot start: ") and complaint in line


def test_camera_node_ends_with_its_source(start, tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((8, 8, 3), np.uint8))
    process = start("camera_node", f"source:={tmp_path}", "loop:=false", "rate:=50.0")
    assert process.popen.wait(20) == 0
    assert "no more images" in process.log.read_text()
    assert "Traceback" not in process.log.read_text()


def test_child_that_dies_is_reported_with_its_last_output(tmp_path):
    child = Child("casapose_ros.no_such_module", [], tmp_path / "log")
    with child:
        deadline = time.monotonic() + 10
        with pytest.raises(NodeError, match="No module named casapose_ros.no_such_module"):
            while time.monotonic() < deadline:
                child.check()
                time.sleep(0.02)


def test_child_is_ended_with_its_context(tmp_path):
    module = "http.server"
    with Child(module, ["0", "--bind", "127.0.0.1"], tmp_path / "log") as child:
        child.check()
    with pytest.raises(NodeError, match="ended with status"):
        child.check()


def test_parameters_keep_their_types_on_the_command_line(start):
    arguments = ros_arguments({"rectified": "true", "max_image_age": 1.5, "model_path": Path("42")})
    assert arguments[0] == "--ros-args" and arguments[1::2] == ["-p"] * 3
    process = start("casapose_node", *arguments[2::2])
    process.wait_for("no model: 42 is no model bundle")
    assert "cannot start" not in process.log.read_text()


def test_isolated_nodes_are_in_another_domain_than_a_robot_here(monkeypatch):
    monkeypatch.setenv("ROS_DOMAIN_ID", "42")
    domains = {isolation()["ROS_DOMAIN_ID"] for _ in range(2000)}
    assert "42" not in domains and domains <= {str(n) for n in range(1, 101)}
    assert len(domains) > 90
    assert isolation("7")["ROS_DOMAIN_ID"] == "7"

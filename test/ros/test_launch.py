"""The launch files with the real launch system, where there is one."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from robot import PATIENCE
from sensor_msgs.msg import CameraInfo, Image

pytest.importorskip("launch_ros.actions", reason="the launch system is not on PyPI")

LAUNCH = Path(__file__).parents[2] / "launch"


# What `ros2 launch FILE NAME:=VALUE` does; ros2cli is not needed for it.
ROS2_LAUNCH = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

arguments = [a.split(":=", 1) for a in sys.argv[2:]]
include = IncludeLaunchDescription(
    PythonLaunchDescriptionSource(sys.argv[1]), launch_arguments=arguments
)
service = LaunchService(noninteractive=True)
service.include_launch_description(LaunchDescription([include]))
sys.exit(service.run())
"""


@contextlib.contextmanager
def launched(log, name, **arguments):
    """Run a launch file as long as the context lasts; it must end without an error then."""
    words = [f"{key}:={value}" for key, value in arguments.items()]
    process = subprocess.Popen(
        [sys.executable, "-c", ROS2_LAUNCH, str(LAUNCH / name), *words],
        stdout=log.open("wb"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        text = log.read_text()
        print(text)
    assert "Traceback" not in text


def collect(ros, topics, seconds=3 * PATIENCE):
    """The first message of each topic, by topic."""
    listener = Node("listener")
    first = {}
    for topic, kind in topics.items():
        listener.create_subscription(
            kind, topic, lambda m, topic=topic: first.setdefault(topic, m), qos_profile_sensor_data
        )
    deadline = listener.get_clock().now().nanoseconds + seconds * 1e9
    while len(first) < len(topics):
        assert listener.get_clock().now().nanoseconds < deadline, f"only {list(first)}"
        ros.spin_once(listener, timeout_sec=0.1)
    listener.destroy_node()
    return first


def test_casapose_launch_passes_topics_and_parameters(ros, tmp_path):
    parameters = tmp_path / "parameters.yaml"
    parameters.write_text("/**:\n  ros__parameters:\n    tf_prefix: launched_\n")
    arguments = {
        "model_path": "/nowhere",
        "image": "/front/image_raw",
        "camera_info": "/front/camera_info",
        "params_file": str(parameters),
    }
    tester = Node("tester")
    with launched(tmp_path / "log", "casapose.launch.py", **arguments):
        status = collect(ros, {"/diagnostics": DiagnosticArray})["/diagnostics"].status[0]
        subscriptions = tester.get_subscriptions_info_by_topic("/front/image_raw")
        assert [s.node_name for s in subscriptions] == ["casapose"]
        assert len(tester.get_subscriptions_info_by_topic("/front/camera_info")) == 1
        assert _parameter(ros, tester, "tf_prefix") == "launched_"
    assert status.message.startswith("no model: /nowhere")


def test_demo_launch_starts_camera_and_pose_node(ros, tmp_path):
    topics = {
        "/image": Image,
        "/camera_info": CameraInfo,
        "/diagnostics": DiagnosticArray,
    }
    with launched(tmp_path / "log", "demo.launch.py", model_path="/nowhere", rviz="false"):
        first = collect(ros, topics)
    assert (first["/image"].width, first["/image"].height) == (640, 480)
    assert first["/camera_info"].k[0] > 0


def _parameter(ros, node, name):
    from rcl_interfaces.srv import GetParameters

    client = node.create_client(GetParameters, "/casapose/get_parameters")
    assert client.wait_for_service(PATIENCE)
    future = client.call_async(GetParameters.Request(names=[name]))
    ros.spin_until_future_complete(node, future, timeout_sec=PATIENCE)
    return future.result().values[0].string_value

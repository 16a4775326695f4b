"""A ROS context of its own for the tests of this folder, on a domain that nobody else uses."""

import os
import random

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed; run the tests with `make test`")

os.environ["ROS_DOMAIN_ID"] = str(random.SystemRandom().randint(1, 100))
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"


@pytest.fixture
def ros():
    """An initialised rclpy; everything in it is gone after the test."""
    import rclpy

    rclpy.init(args=[])
    yield rclpy
    rclpy.try_shutdown()


@pytest.fixture
def make_node(ros):
    """Makes pose nodes and takes them down again, also when the test fails."""
    from casapose_ros.ros.node import CasaposeNode

    nodes = []

    def make(load, **options):
        nodes.append(CasaposeNode(load, **options))
        return nodes[-1]

    yield make
    for node in nodes:
        node.destroy_node()


@pytest.fixture
def script():
    """What the fake network answers."""
    from ros_fakes import Script

    return Script()


@pytest.fixture
def make_robot(make_node, monkeypatch):
    """Makes nodes with a fake network and a robot about each."""
    from rclpy.parameter import Parameter
    from robot import Robot
    from ros_fakes import load_fake

    from casapose_ros.ros import node

    monkeypatch.setattr(node, "REPORT_PERIOD", 0.1)
    monkeypatch.setattr(node, "SILENCE", 0.5)
    robots = []

    def make(script, load=None, **parameters):
        overrides = [Parameter(name, value=value) for name, value in parameters.items()]
        robots.append(Robot(make_node(load or load_fake(script), parameter_overrides=overrides)))
        return robots[-1]

    yield make
    for robot in robots:
        robot.close()


@pytest.fixture
def robot(make_robot, script):
    return make_robot(script)

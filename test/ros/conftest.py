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

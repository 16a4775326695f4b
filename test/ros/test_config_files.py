"""The files in ``config/`` say what the code says."""

import dataclasses
import re
from pathlib import Path

import yaml
from rclpy.qos import ReliabilityPolicy
from ros_fakes import Script, load_fake

from casapose_ros.ros.camera_node import CameraParameters
from casapose_ros.ros.node_parameters import ModelParameters, NodeParameters

CONFIG = Path(__file__).parents[2] / "config"
PARAMETERS = CONFIG / "casapose.yaml"


def test_parameter_file_names_every_parameter_and_holds_the_defaults():
    defaults = dataclasses.asdict(ModelParameters()) | dataclasses.asdict(NodeParameters())
    text = PARAMETERS.read_text()
    named = set(re.findall(r"^    (?:# )?(\w+): ", text, re.MULTILINE)) - {"qos_overrides"}
    assert named == set(defaults)
    for name, value in yaml.safe_load(text)["/**"]["ros__parameters"].items():
        assert value == defaults[name], name


def test_node_starts_with_the_parameter_file(make_node):
    arguments = ["--ros-args", "--params-file", str(PARAMETERS)]
    node = make_node(load_fake(Script()), cli_args=arguments)
    assert node.get_parameter("device").value == "auto"


def test_demo_asks_for_reliable_images(make_node):
    arguments = ["--ros-args", "--params-file", str(CONFIG / "demo.yaml")]
    node = make_node(load_fake(Script()), cli_args=arguments)
    (image,) = (s for s in node.subscriptions if s.topic_name == "/image")
    assert image.qos_profile.reliability == ReliabilityPolicy.RELIABLE


def test_rviz_shows_topics_and_frame_that_exist(make_node):
    manager = yaml.safe_load((CONFIG / "casapose.rviz").read_text())["Visualization Manager"]
    node = make_node(load_fake(Script()))
    published = {p.topic_name: p.msg_type.__name__ for p in node.publishers}
    assert manager["Global Options"]["Fixed Frame"] == CameraParameters().frame_id
    displays = [d for d in manager["Displays"] if "Topic" in d]
    assert len(displays) == 6
    for display in displays:
        kind = display["Class"].removeprefix("rviz_default_plugins/")
        assert published[display["Topic"]["Value"]] == kind

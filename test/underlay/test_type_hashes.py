"""The underlay's messages are the published ones: DDS refuses types whose hashes differ."""

import json
from pathlib import Path

import pytest

packages = pytest.importorskip(
    "ament_index_python.packages", reason="no ROS environment; run `make test`"
)

# Computed by rosidl from the definitions of vision_msgs 4.1.1 and of geometry2's Jazzy branch.
PUBLISHED = {
    "vision_msgs/msg/Detection3DArray": (
        "RIHS01_793f5eab9595ac1c0da07873cc859db42eae51f0ee76056db8562515d830e018"
    ),
    "tf2_msgs/msg/TFMessage": (
        "RIHS01_e369d0f05a23ae52508854b66f6aa0437f3449d652e8cbf22d5abe85d020f087"
    ),
    "tf2_msgs/msg/TF2Error": (
        "RIHS01_db2485e7d6a0ec75bf087e058ee45df682acc3a621ca7780503d10aac141809a"
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_type_hash(name):
    package, *rest = name.split("/")
    path = Path(packages.get_package_share_directory(package), *rest).with_suffix(".json")
    hashes = {h["type_name"]: h["hash_string"] for h in json.loads(path.read_text())["type_hashes"]}
    assert hashes[name] == PUBLISHED[name]

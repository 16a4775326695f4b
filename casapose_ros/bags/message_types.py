"""The message types in our bags: ROS 2's own and the package's, for reading and writing."""

from __future__ import annotations

import os
import sys
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.base import TypesysError
from rosbags.typesys.store import Typestore

import casapose_ros
from casapose_ros.errors import ConfigError

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
OBJECT_POSE_ARRAY = "casapose_ros/msg/ObjectPoseArray"
TF = "tf2_msgs/msg/TFMessage"

OWN_MESSAGES = ("ObjectPose", "ObjectPoseArray")
NANOSECONDS = 10**9


@cache
def typestore() -> Typestore:
    """The types of ROS 2 Jazzy and this package's.

    Raises:
        ConfigError: The package's message definitions are not where an installation puts them.
    """
    store = get_typestore(Stores.ROS2_JAZZY)
    folder = message_folder()
    types: dict[str, Any] = {}
    for name in OWN_MESSAGES:
        text = (folder / f"{name}.msg").read_text()
        types |= get_types_from_msg(text, f"casapose_ros/msg/{name}")
    store.register(types)
    return store


def message_folder() -> Path:
    """Where ``ObjectPose.msg`` is: in the source tree, a pip installation or a ROS workspace."""
    package = Path(casapose_ros.__file__).parent
    prefixes = [p for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    folders = [
        package.parent / "msg",
        package / "message_definitions",
        *(Path(p) / "share" / "casapose_ros" / "msg" for p in [*prefixes, sys.prefix]),
    ]
    for folder in folders:
        if all((folder / f"{name}.msg").is_file() for name in OWN_MESSAGES):
            return folder
    raise ConfigError(
        "the definitions of casapose_ros/msg/ObjectPoseArray are missing; looked in "
        + ", ".join(map(str, folders))
    )


@lru_cache(maxsize=4)
def is_our_version(text: str) -> bool:
    """Whether a bag's definition of ``ObjectPoseArray`` has this version's fields."""
    ours = typestore().fielddefs
    try:
        theirs = get_types_from_msg(text, OBJECT_POSE_ARRAY)
    except TypesysError:
        return False
    return all(ours.get(name) == fields for name, fields in theirs.items())


def stamp_ns(stamp: Any) -> int:
    """A ``builtin_interfaces/Time`` in nanoseconds."""
    return stamp.sec * NANOSECONDS + stamp.nanosec


def make(type_name: str, **fields: Any) -> Any:
    """A message of a type by its full name, for example ``std_msgs/msg/Header``."""
    return typestore().types[type_name](**fields)

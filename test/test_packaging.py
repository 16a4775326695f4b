"""Versions agree, all parts are installed, and messages and Python code share one package."""

import importlib
import os
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

import casapose_ros

needs_workspace = pytest.mark.skipif(
    "AMENT_PREFIX_PATH" not in os.environ, reason="no ROS environment; run `make test`"
)


@pytest.fixture
def distribution(repository):
    """What setup.py says."""
    from distutils.core import run_setup  # setuptools provides it on Python 3.12 and later

    return run_setup(str(repository / "setup.py"), stop_after="init")


def test_versions_agree(repository, distribution):
    manifest = ElementTree.parse(repository / "package.xml")
    assert manifest.findtext("version") == casapose_ros.__version__
    assert distribution.get_version() == casapose_ros.__version__


def test_licence_is_apache(repository):
    manifest = ElementTree.parse(repository / "package.xml")
    assert manifest.findtext("license") == "Apache-2.0"
    assert "Version 2.0, January 2004" in (repository / "LICENSE").read_text()


def test_cmake_lists_every_message(repository):
    listed = re.findall(r"msg/\w+\.msg", (repository / "CMakeLists.txt").read_text())
    assert sorted(listed) == sorted(f"msg/{path.name}" for path in (repository / "msg").iterdir())


def pins(path):
    return set(re.findall(r"^([\w-]+)==([\w.]+)", path.read_text(), flags=re.MULTILINE))


def test_every_requirement_is_locked(repository, distribution):
    locked = pins(repository / "requirements" / "lock.txt")
    assert pins(repository / "requirements" / "ros-jazzy.txt") <= locked
    extras = {k: v for k, v in distribution.extras_require.items() if k != "gpu"}
    wanted = sum(extras.values(), distribution.install_requires)
    assert {re.match(r"[\w-]+", w)[0] for w in wanted} <= {name for name, _ in locked}


@needs_workspace
def test_messages_and_code_share_the_package():
    from casapose_ros.msg import ObjectPose, ObjectPoseArray

    estimator = importlib.import_module("casapose_ros.estimator")
    assert Path(estimator.__file__).parent == Path(casapose_ros.__file__).parent
    message = ObjectPoseArray(model_name="demo", objects=[ObjectPose(box=[1.0, 2.0, 3.0, 4.0])])
    assert list(message.objects[0].box) == [1, 2, 3, 4]


@needs_workspace
@pytest.mark.parametrize("name", ["casapose_node", "camera_node"])
def test_executables_have_their_entry_point(name, repository):
    (module,) = re.findall(r"from (\S+) import main", (repository / "nodes" / name).read_text())
    assert callable(importlib.import_module(module).main)
    assert os.access(repository / "nodes" / name, os.X_OK)


@needs_workspace
def test_share_folders_are_installed(repository):
    from ament_index_python.packages import get_package_prefix, get_package_share_directory

    share = Path(get_package_share_directory("casapose_ros"))
    for folder in ("launch", "config", "models"):
        sources = {p.relative_to(repository) for p in (repository / folder).rglob("*.*")}
        installed = {p.relative_to(share) for p in (share / folder).rglob("*.*")}
        assert installed >= {p for p in sources if "__pycache__" not in p.parts}
    executables = Path(get_package_prefix("casapose_ros")) / "lib" / "casapose_ros"
    assert {p.name for p in executables.iterdir()} == {"casapose_node", "camera_node"}

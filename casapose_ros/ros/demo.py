"""``make demo``: a synthetic camera and the pose node as two processes, watched by a third.

The three talk over DDS like any ROS nodes. At the end stands a table and, in the output folder,
``poses.json``, pictures, the logs of both nodes and the rendered objects. The exit status is 0 if
at least 80 % of the objects were found.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import rclpy
from ament_index_python.packages import get_package_share_path
from rich.console import Console
from rich.live import Live

from casapose_ros.bundle import Bundle, load_bundle
from casapose_ros.config import load_yaml
from casapose_ros.data.demo_objects import demo_object_set
from casapose_ros.data.meshes import ObjectSet, load_object_set
from casapose_ros.data.scene_config import SceneConfig
from casapose_ros.errors import CasaposeError, ConfigError
from casapose_ros.evaluation.matching import Reference
from casapose_ros.ros.child import Child
from casapose_ros.ros.demo_observer import DemoObserver
from casapose_ros.ros.demo_report import progress, table, write_poses

FIRST_ANSWER = 180.0
"""Seconds that both nodes get to start: loading the network, building the renderer's scene."""
REFRESH = 0.5


def main(argv: list[str] | None = None) -> int:
    """Run the demo.

    Returns:
        0 if enough was found, 1 if not, 2 if something went wrong.
    """
    args = _arguments(argv)
    console = Console()
    try:
        return run(args, console)
    except CasaposeError as error:
        console.print(f"[bold red]demo:[/] {error}", highlight=False)
        return 2


def run(args: argparse.Namespace, console: Console) -> int:
    """Prepare, watch for ``args.seconds`` and report; see :func:`main`.

    Raises:
        CasaposeError: The model, the objects or the scenario cannot be used, or a node died.
    """
    bundle = load_bundle(args.model)
    scene = load_yaml(SceneConfig, args.scene)
    args.out.mkdir(parents=True, exist_ok=True)
    for old in args.out.glob("[0-9][0-9][0-9]_*.png"):
        old.unlink()
    object_set = _demo_objects(args.out / "objects", console)
    references = _references(bundle, object_set)
    environment = os.environ | {
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "ROS_DOMAIN_ID": os.environ.get("ROS_DOMAIN_ID") or str(random.randint(1, 100)),
    }
    os.environ.update(environment)
    # See run.run_node: no KeyboardInterrupt, but a context that is no longer ok.
    signal.signal(signal.SIGINT, lambda signum, stack: None)
    rclpy.init(args=[])
    try:
        observer = DemoObserver(references, scene.camera.model(), args.out)
        with ExitStack() as stack:
            children = [
                stack.enter_context(child) for child in _start_nodes(args, object_set, environment)
            ]
            _watch(observer, children, args.seconds, console)
        observer.destroy_node()
    finally:
        rclpy.try_shutdown()
    return _report(observer, bundle, args.out, console)

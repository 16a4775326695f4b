"""``make demo``: a synthetic camera and the pose node as two processes, watched by a third.

The three talk over DDS like any ROS nodes. At the end stands a table and, in the output folder,
``poses.json``, pictures, the logs of both nodes and the rendered objects. The exit status is 0 if
at least 80 % of the objects were found.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import rclpy
from ament_index_python.packages import get_package_share_path
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rich.console import Console
from rich.live import Live

from casapose_ros.config import load_yaml
from casapose_ros.data.demo_objects import demo_object_set
from casapose_ros.data.meshes import ObjectSet, load_object_set
from casapose_ros.data.scene_config import SceneConfig
from casapose_ros.errors import CasaposeError, ConfigError
from casapose_ros.evaluation.matching import Reference
from casapose_ros.ros.child import Child, NodeError, isolation, ros_arguments
from casapose_ros.ros.demo_observer import DemoObserver
from casapose_ros.ros.demo_report import headline, progress, table, write_poses
from casapose_ros.ros.demo_score import REQUIRED_RECALL
from casapose_ros.ros.run import ignore_interrupts

if TYPE_CHECKING:
    from casapose_ros.bundle import Bundle

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
    with console.status("reading the model"):
        # Not earlier: it brings Keras with it, which takes seconds.
        from casapose_ros.bundle import load_bundle

        bundle = load_bundle(args.model)
    scene = load_yaml(SceneConfig, args.scene)
    instances = scene.instances_per_object[1]
    args.out.mkdir(parents=True, exist_ok=True)
    for old in args.out.glob("[0-9][0-9][0-9]_*.png"):
        old.unlink()
    object_set = _demo_objects(args.out / "objects", console)
    references = _references(bundle, object_set)
    os.environ.update(isolation(os.environ.get("ROS_DOMAIN_ID", "")))
    ignore_interrupts()
    rclpy.init(args=[])
    try:
        observer = DemoObserver(references, scene.camera.model(), args.out)
        with contextlib.ExitStack() as stack:
            nodes = _start_nodes(args, object_set, instances)
            children = [stack.enter_context(child) for child in nodes]
            _watch(observer, children, args.seconds, console)
        observer.destroy_node()
    finally:
        rclpy.try_shutdown()
    return _report(observer, bundle, args.out, console)


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    share = get_package_share_path("casapose_ros")
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to watch")
    parser.add_argument("--rate", type=float, default=5.0, help="images per second")
    parser.add_argument("--seed", type=int, default=0, help="of the scenes")
    parser.add_argument("--model", type=Path, default=share / "models" / "demo", help="bundle")
    parser.add_argument(
        "--scene", type=Path, default=share / "config" / "scenes" / "demo.yaml", help="scenario"
    )
    parser.add_argument("--out", type=Path, default=Path("demo_out"), help="output folder")
    return parser.parse_args(argv)


def _demo_objects(folder: Path, console: Console) -> ObjectSet:
    """The demo objects, made anew unless they are there already."""
    if not (folder / "objects.json").exists():
        with console.status("making the demo objects"):
            demo_object_set(folder)
    return load_object_set(folder)


def _references(bundle: Bundle, object_set: ObjectSet) -> dict[str, Reference]:
    """What the model knows, with the meshes that the errors are measured on."""
    meshes = {obj.name: obj for obj in object_set.objects}
    for model in bundle.objects:
        if model.name not in meshes:
            raise ConfigError(
                f"{bundle.path} knows {model.name!r}, which is not one of the demo objects "
                f"({', '.join(meshes)})"
            )
    return {
        model.name: Reference(model, object_set.mesh(meshes[model.name]).vertices)
        for model in bundle.objects
    }


def _start_nodes(
    args: argparse.Namespace, object_set: ObjectSet, instances: int
) -> Iterator[Child]:
    """The two nodes, each as soon as it is asked for."""
    camera = {
        "objects_path": object_set.path,
        "scene_file": args.scene,
        "rate": args.rate,
        "seed": args.seed,
    }
    # On a busy machine best effort loses most images between two processes.
    pose = {"model_path": args.model, "qos_overrides./image.subscription.reliability": "reliable"}
    if instances > 1:
        pose["max_instances"] = instances
    nodes = {"camera_node": camera, "node": pose}
    for module, parameters in nodes.items():
        log = args.out / f"{module}.log"
        yield Child(f"casapose_ros.ros.{module}", ros_arguments(parameters), log)


def _watch(
    observer: DemoObserver, children: Sequence[Child], seconds: float, console: Console
) -> None:
    """Listen for so many seconds from the first answer, or until Ctrl-C.

    Raises:
        CasaposeError: A node died, or no answer came.
    """
    executor = SingleThreadedExecutor()
    executor.add_node(observer)
    start, first_answer, refresh = time.monotonic(), None, 0.0
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while rclpy.ok():
            now = time.monotonic()
            if first_answer is None and observer.board.frames_out:
                first_answer = now
            if first_answer is not None and now - first_answer >= seconds:
                return
            if first_answer is None and now - start >= FIRST_ANSWER:
                raise NodeError(f"no answer after {FIRST_ANSWER:.0f} s: {observer.condition}")
            for child in children:
                child.check()
            if now >= refresh:
                refresh = now + REFRESH
                elapsed = None if first_answer is None else now - first_answer
                live.update(
                    progress(observer.board, observer.condition, elapsed, seconds), refresh=True
                )
            with contextlib.suppress(ExternalShutdownException):
                executor.spin_once(timeout_sec=0.1)


def _report(observer: DemoObserver, bundle: Bundle, folder: Path, console: Console) -> int:
    score = observer.board.score()
    if score is None:
        console.print("stopped before the first answer")
        return 1
    write_poses(folder / "poses.json", bundle.name, observer.board, score)
    console.print(headline(score), table(score), sep="\n")
    verdict = "[bold green]passed[/]" if score.passed else "[bold red]not enough found[/]"
    console.print(
        f"{verdict}: recall {score.total.recall_add_10:.0%}, {REQUIRED_RECALL:.0%} is asked for; "
        f"pictures and poses are in {folder}/"
    )
    return 0 if score.passed else 1


if __name__ == "__main__":
    sys.exit(main())

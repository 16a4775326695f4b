"""Plays a bag to the running pose node over DDS and writes down when what came back.

Started by ``casapose bag evaluate --live``, which itself needs no ROS. In the output folder stand
at the end ``delivery.json``, ``answers.jsonl`` and ``node.log``. The exit status is 0 if images
were sent, also if the replay ended early: ``delivery.json`` says so then.

Images come as far apart as they were recorded, but with new stamps: as old as they were when they
were recorded, counted from now. So ages are those that a robot would see, and the node's limit for
stale images holds. The recorded stamps with a simulated clock would give ages no finer than that
clock ticks, and hand a jump of the recorder's clock on to the node.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rich.progress import Progress
from std_msgs.msg import Header

from casapose_ros.camera_file import load_camera
from casapose_ros.errors import CasaposeError, ConfigError
from casapose_ros.evaluation.answers import AnswerLog
from casapose_ros.evaluation.delivery import (
    ANSWERS_FILE,
    DELIVERY_FILE,
    Delivery,
    Drops,
    write_delivery,
)
from casapose_ros.files import make_folder
from casapose_ros.image_messages import RECTIFIED_TOPIC
from casapose_ros.ros import conversions
from casapose_ros.ros.child import Child, NodeError, isolation, ros_arguments
from casapose_ros.ros.replay_bag import Recording
from casapose_ros.ros.replay_node import ReplayNode
from casapose_ros.ros.replay_run import Replay
from casapose_ros.ros.replay_schedule import LONGEST_STEP, ahead
from casapose_ros.ros.run import ignore_interrupts

NODE = "casapose_ros.ros.node"
AHEAD = 4
"""Images that are read before they are due."""
LATE = 0.05
"""Seconds by which 95 % of the images may be late before it is mentioned."""
LOST = 0.1
"""Fraction of the images that best effort may lose before it is mentioned."""
POLL = 0.1
FAILED, INTERRUPTED = 2, 130


class Interrupted(CasaposeError):
    """Somebody asked the replay to stop."""


def main(argv: list[str] | None = None, node_module: str = NODE) -> int:
    """Replay a bag; see :func:`run`.

    Returns:
        0 if images were sent, 2 if something was wrong before, 130 if it was stopped before.
    """
    parent = os.getppid()
    args = parse_arguments(argv)
    try:
        run(args, node_module, parent)
    except Interrupted:
        return INTERRUPTED
    except CasaposeError as error:
        print(error, file=sys.stderr)
        return FAILED
    return 0


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="replay", description=__doc__.split("\n")[0])
    parser.add_argument("bag", type=Path)
    parser.add_argument("--model", type=Path, required=True, help="bundle")
    parser.add_argument("--out", type=Path, required=True, help="output folder")
    parser.add_argument("--image-topic", required=True)
    calibration = parser.add_mutually_exclusive_group(required=True)
    calibration.add_argument("--info-topic")
    calibration.add_argument("--camera", type=Path, help="calibration file instead of a topic")
    parser.add_argument("--rectified", choices=("auto", "true", "false"), default="auto")
    parser.add_argument("--speed", type=float, default=1.0, help="how much faster than recorded")
    parser.add_argument("--limit", type=int, help="only so many images")
    parser.add_argument("--reliable", action="store_true", help="send lost images again")
    parser.add_argument("--params", type=Path, help="the node's parameters, a YAML file of ROS")
    return parser.parse_args(argv)


def run(args: argparse.Namespace, node_module: str, parent: int) -> Delivery:
    """Start the node, replay to it, write what came of it.

    Args:
        args: From :func:`parse_arguments`.
        node_module: The module that is the pose node.
        parent: Process whose end is the end of the replay.

    Raises:
        CasaposeError: No image was sent, and why; or the results cannot be written.
    """
    if not 0 < args.speed < float("inf"):
        raise ConfigError(f"--speed must be positive, got {args.speed}")
    make_folder(args.out)
    (args.out / DELIVERY_FILE).unlink(missing_ok=True)
    recording = Recording(args.bag, args.image_topic, args.info_topic, args.limit)
    if args.camera is not None:
        recording.first_info = conversions.info_from_camera(load_camera(args.camera), Header())
    os.environ.update(isolation())
    ignore_interrupts()
    rclpy.init(args=[])
    try:
        with (
            Child(node_module, _node_arguments(args), args.out / "node.log") as child,
            AnswerLog(args.out / ANSWERS_FILE) as log,
            _listening(child, parent) as (node, listen),
        ):
            replay = Replay(node, listen, log, args.speed)
            delivery = _replay(replay, recording, args)
    finally:
        rclpy.try_shutdown()
    write_delivery(delivery, args.out / DELIVERY_FILE)
    return delivery


def _node_arguments(args: argparse.Namespace) -> list[str]:
    rectified = args.rectified
    if rectified == "auto":  # The node would go by the topic of the replay.
        rectified = "true" if RECTIFIED_TOPIC.search(args.image_topic) else "false"
    parameters = {"model_path": args.model, "rectified": rectified}
    if args.reliable:
        parameters["qos_overrides./image.subscription.reliability"] = "reliable"
    # What is given on the command line has the last word.
    file = ["--params-file", str(args.params)] if args.params else []
    first, *others = ros_arguments(parameters)
    return [first, *file, *others]


@contextlib.contextmanager
def _listening(child: Child, parent: int) -> Iterator[tuple[ReplayNode, Callable[[float], None]]]:
    """A node and a function that lets it hear what has come."""
    node, executor = ReplayNode(), SingleThreadedExecutor()
    executor.add_node(node)

    def listen(seconds: float) -> None:
        with contextlib.suppress(ExternalShutdownException):
            executor.spin_once(timeout_sec=min(seconds, POLL))
        if not rclpy.ok() or os.getppid() != parent:
            raise Interrupted("stopped before the end")
        child.check()

    try:
        yield node, listen
    finally:
        executor.shutdown()
        node.destroy_node()


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """Raises :class:`Interrupted` for whatever fails because ROS was told to stop."""
    try:
        yield
    except CasaposeError:
        raise
    except Exception as error:
        # Nearly every call into ROS fails then.
        if rclpy.ok():
            raise
        raise Interrupted("stopped before the end") from error


def _replay(replay: Replay, recording: Recording, args: argparse.Namespace) -> Delivery:
    drops, problems = None, []
    with Progress(transient=True) as progress:
        task = progress.add_task("starting the node", total=None)
        with _stoppable():
            replay.prepare(recording.first_info, recording.first_image)
        progress.update(task, description="replaying", total=len(recording))
        try:
            with _stoppable(), contextlib.closing(ahead(iter(recording), AHEAD)) as items:
                for _ in replay.play(items):
                    progress.advance(task)
                drops = replay.drops()
        except (NodeError, Interrupted) as error:
            if not replay.images:
                raise
            problems = [f"the replay ended after {len(replay.images)} images: {error}"]
    images = replay.images
    if drops is None:
        drops = Drops(unknown=sum(image.latency is None for image in images))
    complete = not problems
    delivery = Delivery(images, drops, args.speed, args.reliable, replay.warm_up, complete)
    problems += [*recording.problems, *_remarks(delivery, replay.bridged)]
    return dataclasses.replace(delivery, problems=tuple(problems))


def _remarks(delivery: Delivery, bridged: int) -> Iterator[str]:
    """Where the replay was not what was recorded."""
    if bridged:
        yield (
            f"{bridged} steps of the recording's clock, backwards, to the same time or over "
            f"{LONGEST_STEP:.0f} s, were replayed as steps of the usual length"
        )
    if not delivery.reliable and delivery.drops.lost > LOST * delivery.sent:
        yield (
            f"{delivery.drops.lost} images did not reach the node: best effort, which cameras use, "
            "loses a whole image with any part of it; --reliable lets the node ask again, as its "
            "parameter qos_overrides./TOPIC.subscription.reliability does on a robot"
        )
    late = float(np.percentile(delivery.lateness, 95))
    if late > LATE:
        yield (
            f"the replay could not keep its pace: 5 % of the images were sent over {late:.3f} s "
            "late; a lower --speed or a faster disk or machine helps"
        )


if __name__ == "__main__":
    sys.exit(main())

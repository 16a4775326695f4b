"""Replaying a bag to the running node, from a program that has no ROS in it.

ROS is in a process of its own, ``casapose_ros.ros.replay``; what it writes is read here.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from casapose_ros.bags.choosing import CameraTopics
from casapose_ros.errors import CasaposeError, ConfigError
from casapose_ros.evaluation.delivery import (
    ANSWERS_FILE,
    DELIVERY_FILE,
    Delivery,
    read_delivery,
)
from casapose_ros.files import make_folder

REPLAY = "casapose_ros.ros.replay"
NEEDED = "import rclpy, casapose_ros.msg"
INTERRUPTED = 130
"""Status of a replay that was stopped before it had begun."""


class ReplayDied(CasaposeError):
    """The replay was killed; ``answers.jsonl`` holds what had come until then."""


@dataclass(frozen=True)
class LiveOptions:
    """How to replay.

    Attributes:
        model: The bundle that the node loads.
        speed: How much faster than recorded.
        reliable: Whether the node asks again for images that the transport lost.
        params: The node's parameters, a YAML file of ROS; None for its defaults.
        camera: Calibration file that takes the place of those in the bag.
        limit: Only so many images.

    Raises:
        ConfigError: An option is out of range.
    """

    model: Path
    speed: float = 1.0
    reliable: bool = False
    params: Path | None = None
    camera: Path | None = None
    limit: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.speed < float("inf"):
            raise ConfigError(f"the speed must be positive, got {self.speed}")
        if self.params is not None and not self.params.is_file():
            raise ConfigError(f"{self.params}: no such file of parameters")

    def arguments(self, topics: CameraTopics) -> list[str]:
        """The command line of the replay."""
        given = {
            "--model": self.model,
            "--image-topic": topics.image,
            "--info-topic": None if self.camera else topics.info,
            "--camera": self.camera,
            "--rectified": "true" if topics.rectified else "false",
            "--speed": self.speed,
            "--params": self.params,
            "--limit": self.limit,
        }
        words = [(name, str(value)) for name, value in given.items() if value is not None]
        return [word for pair in words for word in pair] + ["--reliable"] * self.reliable


def replay_live(path: Path, topics: CameraTopics, options: LiveOptions, out: Path) -> Delivery:
    """Start the node and play a bag to it.

    Ctrl-C ends the replay early; what came until then counts.

    Args:
        path: The bag.
        topics: The camera to replay.
        options: How.
        out: Folder for ``delivery.json``, ``answers.jsonl`` and ``node.log``.

    Raises:
        ConfigError: This Python has no ROS 2.
        ReplayDied: It was killed after the first answers.
        CasaposeError: Nothing was replayed, and why.
        OutputError: The folder cannot be written.
    """
    check_ros()
    make_folder(out)
    for file in (DELIVERY_FILE, ANSWERS_FILE):
        (out / file).unlink(missing_ok=True)
    command = [sys.executable, "-m", REPLAY, str(path), "--out", str(out)]
    status, complaint = _run([*command, *options.arguments(topics)])
    if status == INTERRUPTED:
        raise KeyboardInterrupt
    if status and _has_answers(out / ANSWERS_FILE):
        raise ReplayDied(
            f"the replay died (status {status}): {complaint.strip() or 'it said nothing'}; of what "
            "came until then the poses are known, but neither the images that were sent nor why "
            "others were not answered"
        )
    if status:
        raise CasaposeError(complaint.strip() or f"the replay ended with status {status}")
    return read_delivery(out / DELIVERY_FILE)


def check_ros() -> None:
    """Make sure that a process started from here has ROS 2 and this package's messages.

    Raises:
        ConfigError: It has not.
    """
    done = subprocess.run([sys.executable, "-c", NEEDED], capture_output=True, text=True)
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1:]
        raise ConfigError(
            f"--live needs ROS 2, and {sys.executable} has not got it ({' '.join(reason)}): "
            "source /opt/ros/DISTRO/setup.bash and the workspace's install/setup.bash first; in "
            "the source tree of casapose_ros put scripts/ros-run before the command"
        )


def _has_answers(path: Path) -> bool:
    """Whether there is one whole line."""
    return path.is_file() and b"\n" in path.read_bytes()


def _run(command: list[str]) -> tuple[int, str]:
    """Run a command to its end; its status and what it complained about."""
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            _, complaint = process.communicate()
        except KeyboardInterrupt:
            # It ends what it has started and writes what it has; the next Ctrl-C is for us.
            process.send_signal(signal.SIGINT)
            _, complaint = process.communicate()
    return process.returncode, complaint

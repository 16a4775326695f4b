"""Programs that the demo and the replay start and stop, with their output in files."""

from __future__ import annotations

import ctypes
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from casapose_ros.errors import CasaposeError

LAST_LINES = 15
PATIENCE = 10.0
"""Seconds that a child gets to end after it was asked to."""


PR_SET_PDEATHSIG = 1
"""Of Linux's prctl: the signal that a process gets when the one that started it is gone."""


class NodeError(CasaposeError):
    """A node ended before its time or gives no answer; the message says why."""


def isolation(domain: str = "") -> dict[str, str]:
    """Environment in which the nodes of this machine find each other, and nobody else's.

    Args:
        domain: The ROS domain; if empty one at random, but not this process's own, in which a
            robot may be running.
    """
    others = {str(number) for number in range(1, 101)} - {os.environ.get("ROS_DOMAIN_ID")}
    return {
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "ROS_DOMAIN_ID": domain or random.SystemRandom().choice(sorted(others)),
    }


def ros_arguments(parameters: Mapping[str, object]) -> list[str]:
    """The command line that sets a node's parameters: numbers, texts and paths."""
    # Quoted, for else a text such as "true" would be no text.
    texts = {
        name: str(value) if isinstance(value, (int, float)) else json.dumps(str(value))
        for name, value in parameters.items()
    }
    given = (f"{name}:={text}" for name, text in texts.items())
    return ["--ros-args", *(word for text in given for word in ("-p", text))]


def end_with_parent() -> None:
    """Have Linux end this process, just forked, when its parent ends in whatever way.

    A parent that is killed with SIGKILL has no time to end its children itself.
    """
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Child:
    """A Python module as a process of its own; a context manager that ends it.

    It ends too when the thread that made it does.

    Args:
        module: The module to run.
        arguments: Its command line arguments.
        log: File for its output.
    """

    def __init__(self, module: str, arguments: Sequence[str], log: Path) -> None:
        self._module = module
        self._log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
                # Ctrl-C reaches this process alone, which then ends its children in order.
                start_new_session=True,
                preexec_fn=end_with_parent if sys.platform == "linux" else None,
            )

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self._process.poll() is not None:
                return
            self._process.send_signal(number)
            try:
                self._process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                continue

    def check(self) -> None:
        """Make sure that it runs.

        Raises:
            NodeError: It does not.
        """
        status = self._process.poll()
        if status is None:
            return
        lines = self._log.read_text(errors="replace").splitlines()[-LAST_LINES:]
        raise NodeError(
            f"{self._module} ended with status {status}; the end of {self._log}:\n"
            + os.linesep.join(f"    {line}" for line in lines)
        )

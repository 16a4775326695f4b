"""A program that the demo starts and stops, with its output in a file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from casapose_ros.errors import CasaposeError

LAST_LINES = 15
PATIENCE = 10.0
"""Seconds that a child gets to end after it was asked to."""


class NodeError(CasaposeError):
    """A node of the demo ended before its time or gives no answer; the message says why."""


class Child:
    """A Python module as a process of its own; a context manager that ends it.

    Args:
        module: The module to run.
        arguments: Its command line arguments.
        log: File for its output.
        environment: Its environment.
    """

    def __init__(
        self, module: str, arguments: Sequence[str], log: Path, environment: dict[str, str]
    ) -> None:
        self._module = module
        self._log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=environment | {"PYTHONUNBUFFERED": "1"},
                # Ctrl-C reaches the demo alone, which then ends its children in order.
                start_new_session=True,
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

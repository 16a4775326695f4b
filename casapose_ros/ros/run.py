"""From the command line to a spinning node and out again, however it is asked to stop."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node

from casapose_ros.errors import CasaposeError


def run_node(make_node: Callable[[], Node], args: list[str] | None = None) -> None:
    """Make a node and spin it until Ctrl-C, SIGTERM or a shutdown of its context.

    Bad parameters end the program with status 1 and one line on stderr.

    Args:
        make_node: Makes the node once ROS is initialised.
        args: Command line arguments; those of the process if None.
    """
    ignore_interrupts()
    sys.unraisablehook = _show_unless_shut_down
    rclpy.init(args=args)
    try:
        _spin(make_node)
    except (CasaposeError, ParameterException) as error:
        sys.exit(f"cannot start: {error}")
    except Exception:
        # Told to stop while the node was being made: then nearly every call into ROS fails.
        if rclpy.ok():
            raise
    finally:
        rclpy.try_shutdown()


def ignore_interrupts() -> None:
    """Leave Ctrl-C to the handler that ``rclpy.init`` installs: it shuts the context down.

    Python's own handler would raise KeyboardInterrupt wherever the program stands, at a second
    Ctrl-C in the middle of the clean-up.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _show_unless_shut_down(unraisable: sys.UnraisableHookArgs) -> None:
    """What rclpy has half made when ROS is shut down complains, as an error, when it is deleted."""
    if rclpy.ok():
        sys.__unraisablehook__(unraisable)


def _spin(make_node: Callable[[], Node]) -> None:
    node = make_node()
    try:
        rclpy.spin(node)
    except ExternalShutdownException:
        pass
    finally:
        node.destroy_node()

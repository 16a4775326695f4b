"""The command line: ``casapose COMMAND ...``. It parses and dispatches, nothing else.

Each module of :mod:`casapose_ros.commands` is one subcommand. It has a ``NAME``, a one-line
``HELP``, ``add_arguments(parser)``, and ``run(args)``, which returns the exit status. What takes
long to import is imported inside ``run``, so that ``--help`` answers at once.
"""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import sys
from collections.abc import Sequence

from casapose_ros import __version__, commands
from casapose_ros.errors import CasaposeError

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130


def build_parser() -> argparse.ArgumentParser:
    """The parser of all subcommands; the chosen command's ``run`` comes out as ``args.run``."""
    parser = argparse.ArgumentParser(
        prog="casapose", description="6D poses of known objects from one RGB camera."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for module in pkgutil.iter_modules(commands.__path__):
        if module.name.startswith("_"):  # what several commands have in common
            continue
        command = importlib.import_module(f"{commands.__name__}.{module.name}")
        subparser = subparsers.add_parser(
            command.NAME, help=command.HELP, description=f"{command.HELP}."
        )
        command.add_arguments(subparser)
        subparser.set_defaults(run=command.run)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand.

    Args:
        arguments: Without the program's name; None takes those of the process.

    Returns:
        The command's exit status; 2 where the input is at fault, with the reason on stderr.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    args = build_parser().parse_args(arguments)
    try:
        return args.run(args)
    except CasaposeError as error:
        print(f"casapose {args.command}: {error}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())

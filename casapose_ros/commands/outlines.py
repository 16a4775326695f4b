"""``casapose outlines``: let a trained model refine its poses by the objects' outlines."""

from __future__ import annotations

import argparse
from pathlib import Path

from casapose_ros.errors import ConfigError

NAME = "outlines"
HELP = "give a model the outlines of its objects, by which poses are refined"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="model to change")
    parser.add_argument(
        "--objects", required=True, type=Path, metavar="OBJECTS", help="object set with the meshes"
    )


def run(args: argparse.Namespace) -> int:
    """Draw the outlines and set ``refinement: outline`` in the bundle."""
    from casapose_ros.bundle import OUTLINES_FILE, add_outlines, load_bundle
    from casapose_ros.commands._outlines import drawn_outlines

    bundle = load_bundle(args.bundle)
    outlines = drawn_outlines(bundle.objects, args.objects)
    missing = [obj.name for obj in bundle.objects if obj.name not in outlines]
    if missing:
        raise ConfigError(
            f"{args.objects} has no object {missing[0]!r}, which {args.bundle} knows; name the "
            "object set that the model was trained with"
        )
    add_outlines(args.bundle, list(outlines.values()))
    size = (args.bundle / OUTLINES_FILE).stat().st_size
    print(f"wrote {args.bundle / OUTLINES_FILE} ({size / 1e6:.1f} MB); refinement: outline")
    return 0

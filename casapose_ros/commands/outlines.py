"""``casapose outlines``: let a trained model refine its poses by outlines."""

from __future__ import annotations

import argparse
from pathlib import Path

from casapose_ros.errors import ConfigError

NAME = "outlines"
HELP = "give a model the surfaces of its objects, by whose outlines poses are refined"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="model to change")
    parser.add_argument(
        "--objects", required=True, type=Path, metavar="OBJECTS", help="object set with the meshes"
    )


def run(args: argparse.Namespace) -> int:
    """Sample the surfaces and set ``refinement: outline`` in the bundle."""
    from casapose_ros.bundle import SURFACES_FILE, add_surfaces, load_bundle
    from casapose_ros.commands._surfaces import sampled_surfaces

    bundle = load_bundle(args.bundle)
    surfaces = sampled_surfaces(bundle.objects, args.objects)
    missing = [obj.name for obj in bundle.objects if obj.name not in surfaces]
    if missing:
        raise ConfigError(
            f"{args.objects} has no object {missing[0]!r}, which {args.bundle} knows; name the "
            "object set that the model was trained with"
        )
    add_surfaces(args.bundle, list(surfaces.values()))
    size = (args.bundle / SURFACES_FILE).stat().st_size
    print(f"wrote {args.bundle / SURFACES_FILE} ({size / 1e6:.1f} MB); refinement: outline")
    return 0

"""``casapose objects``: make an object set from meshes, or the demo objects."""

from __future__ import annotations

import argparse
from pathlib import Path

from casapose_ros.errors import ConfigError

NAME = "objects"
HELP = "make an object set from meshes or a BOP models folder, or write the demo objects"
BOP_UNIT = "mm"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "meshes", nargs="?", type=Path, metavar="MESHDIR", help="folder of PLY, OBJ, STL or GLB"
    )
    source.add_argument(
        "--demo", action="store_true", help="write the demo objects and nets.pdf to print them"
    )
    parser.add_argument(
        "--out", required=True, type=Path, metavar="OBJECTS", help="folder to write"
    )
    parser.add_argument(
        "--units", choices=("mm", "cm", "m"), help="unit of the meshes; BOP folders are in mm"
    )
    parser.add_argument(
        "--names",
        nargs="+",
        default=[],
        metavar="FILE=NAME",
        help="object names by file name without suffix (default: the file names)",
    )
    parser.add_argument(
        "--symmetries",
        type=Path,
        metavar="YAML",
        help="symmetries by object name, in the form of BOP's models_info.json (mm)",
    )


def run(args: argparse.Namespace) -> int:
    """Write the object set and print what is in it."""
    from casapose_ros.data.object_sets import build_object_set, read_symmetries

    if args.demo:
        objects = _write_demo(args)
    else:
        symmetries = read_symmetries(args.symmetries) if args.symmetries else {}
        unit = args.units or _bop_unit(args.meshes)
        names = _parse_names(args.names)
        objects = build_object_set(args.meshes, args.out, unit, names, symmetries).objects
    for obj in objects:
        size = " x ".join(f"{1000 * metres:.1f}" for metres in obj.box_max - obj.box_min)
        symmetric = ", symmetric" if obj.symmetries.any else ""
        print(
            f"{obj.class_id:3d}  {obj.name}: {size} mm, "
            f"diameter {1000 * obj.diameter:.1f} mm{symmetric}"
        )
    print(f"wrote {args.out}")
    return 0


def _write_demo(args: argparse.Namespace) -> tuple:
    from casapose_ros.data.demo_objects import demo_object_set
    from casapose_ros.data.nets_pdf import write_nets_pdf

    if args.units or args.names or args.symmetries:
        raise ConfigError("--demo takes no --units, --names or --symmetries")
    objects = demo_object_set(args.out).objects
    write_nets_pdf(args.out / "nets.pdf")
    return objects


def _bop_unit(mesh_dir: Path) -> str:
    if not (mesh_dir / "models_info.json").is_file():
        raise ConfigError(f"say the unit of the meshes in {mesh_dir} with --units mm, cm or m")
    return BOP_UNIT


def _parse_names(pairs: list[str]) -> dict[str, str]:
    names = {}
    for pair in pairs:
        file_name, equals, name = pair.partition("=")
        if not equals or not name:
            raise ConfigError(f"--names: expected FILE=NAME, got {pair!r}")
        names[file_name] = name
    return names

"""``casapose objects``: make an object set from meshes or other scans, or the demo objects."""

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
        help="object names by file name without suffix (default: the file names); with "
        "--align-to, only these files are taken",
    )
    parser.add_argument(
        "--symmetries",
        type=Path,
        metavar="YAML",
        help="symmetries by object name, in the form of BOP's models_info.json (mm)",
    )
    parser.add_argument(
        "--align-to",
        type=Path,
        metavar="OTHER",
        help="the meshes are other scans of this object set's objects of the same names: find "
        "how they lie in its meshes, and take its keypoints and symmetries",
    )


def run(args: argparse.Namespace) -> int:
    """Write the object set and print what is in it."""
    from casapose_ros.data.object_sets import build_object_set, read_symmetries

    if args.demo:
        objects = _write_demo(args)
    elif args.align_to is not None:
        objects = _write_aligned(args)
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

    if args.units or args.names or args.symmetries or args.align_to:
        raise ConfigError("--demo takes no --units, --names, --symmetries or --align-to")
    objects = demo_object_set(args.out).objects
    write_nets_pdf(args.out / "nets.pdf")
    return objects


def _write_aligned(args: argparse.Namespace) -> tuple:
    from casapose_ros.data.meshes import load_object_set
    from casapose_ros.data.object_sets import build_aligned_set

    if args.symmetries:
        raise ConfigError("--align-to takes no --symmetries: they come from the other object set")
    reference = load_object_set(args.align_to)
    unit = args.units or _bop_unit(args.meshes)
    names = _parse_names(args.names)
    aligned, alignments = build_aligned_set(args.meshes, args.out, unit, reference, names)
    for obj, alignment in zip(aligned.objects, alignments, strict=True):
        print(
            f"{obj.name}: surfaces {1000 * alignment.median:.2f} mm apart (median; 95 %: "
            f"{1000 * alignment.percentile_95:.2f} mm), {100 * alignment.common:.0f} % in common"
        )
        if alignment.ties > 1:
            print(
                f"{obj.name}: {alignment.ties} positions fit equally well; took the one that is "
                "turned least. Fine if the object is symmetric; otherwise turn the mesh nearly "
                "into place first"
            )
    return aligned.objects


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

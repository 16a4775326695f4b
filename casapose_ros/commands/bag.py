"""``casapose bag``: ROS 2 bags made of data sets and images, and evaluated, without ROS."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from casapose_ros.commands import _bag_evaluation
from casapose_ros.errors import CasaposeError, ConfigError

if TYPE_CHECKING:
    from casapose_ros.bags.recording import RecordingOptions, Shot
    from casapose_ros.bags.writing import BagWriter
    from casapose_ros.data.bop import BopFrame
    from casapose_ros.types import ObjectModel

NAME = "bag"
HELP = "make ROS 2 bags of data sets and images, and measure a model on bags; no ROS needed"

ROTATION_TOLERANCE = 1e-3
"""Largest entry of R R^T - 1; so much moves a point 10 cm from the origin by 0.05 mm."""
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _add_from_bop(actions)
    _add_from_images(actions)
    _bag_evaluation.add_parser(actions)


def run(args: argparse.Namespace) -> int:
    """Do what the action says."""
    try:
        import rosbags  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            "bags need the rosbags package: pip install 'casapose_ros[evaluate]'"
        ) from (error)
    return args.act(args)


def _add_from_bop(actions: argparse._SubParsersAction) -> None:
    text = "make a bag of a BOP data set: images, calibration, ground truth, tf"
    parser = actions.add_parser("from-bop", help=text, description=f"{text}.")
    parser.add_argument("dataset", type=Path, metavar="BOPDIR", help="folder of the data set")
    _add_output(parser)
    parser.add_argument("--split", default="test", help="part of the data set (%(default)s)")
    parser.add_argument(
        "--scene",
        type=int,
        action="append",
        metavar="N",
        help="only this scene; more than once for several",
    )
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N images")
    names = parser.add_mutually_exclusive_group()
    names.add_argument(
        "--model",
        type=Path,
        metavar="BUNDLE",
        help="bundle that names the objects and gives them keypoints",
    )
    names.add_argument("--objects", type=Path, metavar="SET", help="or the folder of an object set")
    _add_recording(parser)
    parser.set_defaults(act=_from_bop)


def _add_from_images(actions: argparse._SubParsersAction) -> None:
    text = "make a bag of image files: images and calibration"
    parser = actions.add_parser("from-images", help=text, description=f"{text}.")
    parser.add_argument(
        "images", nargs="+", type=Path, metavar="IMAGES", help="files, or folders of files"
    )
    _add_output(parser)
    parser.add_argument(
        "--camera",
        required=True,
        type=Path,
        help="calibration: YAML of ROS camera_calibration, or BOP camera.json",
    )
    _add_recording(parser)
    parser.set_defaults(act=_from_images)


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "out",
        type=Path,
        metavar="OUT",
        help="bag to write: a folder, as of 'ros2 bag record'; OUT.mcap or OUT.db3 is the folder "
        "OUT with the storage of the ending",
    )


def _add_recording(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--storage", choices=("mcap", "sqlite3"), help="default: by OUT's ending, else mcap"
    )
    parser.add_argument(
        "--rate", type=float, default=10.0, metavar="HZ", help="images per second (%(default)s)"
    )
    parser.add_argument(
        "--frame-id",
        default="camera_optical_frame",
        metavar="FRAME",
        help="the camera's optical frame (%(default)s)",
    )
    parser.add_argument(
        "--compressed",
        choices=("jpeg", "png"),
        help="compressed images instead of raw ones; files of that kind go in as they are",
    )


def _from_bop(args: argparse.Namespace) -> int:
    from casapose_ros.bags.recording import bop_shots

    if args.limit is not None and args.limit < 1:
        raise ConfigError(f"--limit must be at least 1, got {args.limit}")
    frames = islice(_frames(args.dataset, args.split, args.scene), args.limit)
    crooked: dict[int, float] = {}
    status = _record(args, bop_shots(_watch(frames, crooked), _known_objects(args)))
    if crooked:
        worst = max(crooked, key=crooked.__getitem__)
        print(
            f"note: the data set's rotations of the objects {sorted(crooked)} are none by up to "
            f"{crooked[worst]:.1g} (object {worst}); a quaternion holds the nearest rotation"
        )
    return status


def _from_images(args: argparse.Namespace) -> int:
    from casapose_ros.bags.recording import Shot
    from casapose_ros.camera_file import load_camera

    camera = load_camera(args.camera)
    return _record(args, (Shot(path, camera) for path in _image_files(args.images)))


def _record(args: argparse.Namespace, shots: Iterator[Shot]) -> int:
    from casapose_ros.bags.recording import RecordingOptions, record
    from casapose_ros.bags.writing import BagWriter

    options = RecordingOptions(args.rate, args.frame_id, args.compressed)
    with BagWriter(args.out, args.storage) as writer:
        count = record(writer, shots, options)
        if not count:
            raise ConfigError("there is not one image to write")
    _say(writer, count, options)
    return 0


def _say(writer: BagWriter, count: int, options: RecordingOptions) -> None:
    (file,) = (p for p in writer.path.iterdir() if p.suffix != ".yaml")
    print(
        f"wrote {writer.path}/: {file.name} and metadata.yaml, {file.stat().st_size / 1e6:.1f} MB"
    )
    print(f"{count} images at {options.rate:g} Hz in {options.frame_id}")
    for topic, messages in writer.counts.items():
        print(f"  {topic}: {messages}")


def _frames(dataset: Path, split: str, scenes: Sequence[int] | None) -> Iterator[BopFrame]:
    from casapose_ros.data.bop import BopDataset, read_scene

    folders = {int(path.name): path for path in BopDataset(dataset, split).scene_paths()}
    for scene in scenes or folders:
        if scene not in folders:
            known = ", ".join(map(str, folders))
            raise ConfigError(f"--scene {scene}: {dataset / split} has the scenes {known}")
        yield from read_scene(folders[scene])


def _watch(frames: Iterator[BopFrame], crooked: dict[int, float]) -> Iterator[BopFrame]:
    """The same frames; notes objects whose matrices R have an R R^T that is not the identity."""
    for frame in frames:
        for true in frame.objects:
            error = float(np.abs(true.R_cam_obj @ true.R_cam_obj.T - np.eye(3)).max())
            if error > ROTATION_TOLERANCE:
                crooked[true.bop_id] = max(error, crooked.get(true.bop_id, 0.0))
        yield frame


def _known_objects(args: argparse.Namespace) -> Sequence[ObjectModel]:
    from casapose_ros.objects import read_objects

    if args.model is not None:
        from casapose_ros.bundle import load_bundle

        return load_bundle(args.model).objects
    if args.objects is not None:
        return read_objects(args.objects / "objects.json")
    return ()


def _image_files(paths: Sequence[Path]) -> Iterator[Path]:
    """The files themselves, and the images in folders by name."""
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        files = sorted(p for p in path.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
        if not files:
            raise CasaposeError(f"{path}: no images ({', '.join(IMAGE_SUFFIXES)}) in this folder")
        yield from files

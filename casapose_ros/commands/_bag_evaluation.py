"""``casapose bag evaluate``: the field's figures for a model on recordings."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from casapose_ros.commands import _bag_live
from casapose_ros.commands._bag_identity import fingerprints, plain_options, short_names
from casapose_ros.commands._measuring import (
    Method,
    RunOptions,
    add_run_arguments,
    model_settings,
    origin_of,
    progress,
    show,
)
from casapose_ros.errors import ConfigError, DatasetError

if TYPE_CHECKING:
    from casapose_ros.bags.choosing import BagOptions
    from casapose_ros.bags.frames import BagSource
    from casapose_ros.evaluation.matching import Reference
    from casapose_ros.evaluation.reporting.report import Report
    from casapose_ros.types import ObjectModel


def add_parser(actions: argparse._SubParsersAction) -> None:
    """Declare the action and its arguments."""
    text = "measure a model on every image of one or more bags and write a report"
    parser = actions.add_parser("evaluate", help=text, description=f"{text}.")
    parser.add_argument(
        "bags", nargs="+", type=Path, metavar="BAG", help="folder of a bag, or one of its files"
    )
    parser.add_argument(
        "--model", required=True, type=Path, metavar="BUNDLE", help="folder of the model bundle"
    )
    parser.add_argument(
        "--objects",
        type=Path,
        metavar="DIR",
        help="the objects' meshes, on which errors are measured: folder of an object set or of a "
        "BOP data set",
    )
    parser.add_argument(
        "--report", type=Path, default=Path("evaluation"), metavar="DIR", help="folder to write"
    )
    _add_topics(parser)
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N images of a bag")
    _bag_live.add_live_arguments(parser)
    add_run_arguments(parser)
    parser.set_defaults(act=_run)


def _add_topics(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what to read; without these, what there is no doubt about")
    group.add_argument(
        "--image-topic",
        action="append",
        default=[],
        metavar="TOPIC",
        help="raw or compressed images; more than once for several cameras",
    )
    group.add_argument(
        "--info-topic",
        action="append",
        default=[],
        metavar="TOPIC",
        help="calibration, once for each --image-topic (camera_info beside the images)",
    )
    group.add_argument(
        "--camera", type=Path, metavar="FILE", help="calibration file in place of any in the bag"
    )
    group.add_argument(
        "--rectified",
        choices=("auto", "true", "false"),
        default="auto",
        help="whether images are rectified; auto goes by the topic's name (%(default)s)",
    )
    group.add_argument(
        "--truth-topic",
        action="append",
        default=[],
        metavar="TOPIC",
        help="true poses (ObjectPoseArray), once for each --image-topic",
    )
    group.add_argument(
        "--truth",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="scene_gt.json of a BOP scene instead, once for each camera of each bag: its image "
        "ids are the images' stamps in nanoseconds, or there are as many as images",
    )


def _run(args: argparse.Namespace) -> int:
    if args.live:
        return _bag_live.run_live(args, _bag_options(args))
    if args.objects is None:
        raise ConfigError(
            "--objects is missing: a bundle knows of its objects the keypoints alone, and errors "
            "are measured on their surfaces; name the object set or the BOP data set they are from"
        )
    method = Method.of_bundle(args.model, **model_settings(args))
    options = _bag_options(args)
    report = evaluate_bags(
        method, args.bags, args.objects, args.report, RunOptions.of(args), options
    )
    show(report, args.report)
    return 0


def evaluate_bags(
    method: Method,
    bags: Sequence[Path],
    objects: Path,
    out: Path,
    options: RunOptions,
    bag_options: BagOptions,
) -> Report:
    """Run a model over bags and write everything that is known about it.

    Args:
        method: The model.
        bags: The bags.
        objects: Folder of an object set, or of a BOP data set.
        out: Folder for the log of frames and the report.
        options: How to run.
        bag_options: How to read the bags.

    Raises:
        DatasetError: A bag cannot be read, has no object in common with the model, or no image
            that can be evaluated.
        OutputError: The folder cannot be written; the frames done so far are kept.
    """
    from casapose_ros.evaluation import bop19
    from casapose_ros.evaluation.record_log import LOG_FILE, RecordLog
    from casapose_ros.evaluation.reporting.assembling import report_on
    from casapose_ros.evaluation.running import run_sources
    from casapose_ros.files import make_folder

    sources = open_sources(bags, method.objects, bag_options)
    references = load_bag_references(objects, method.objects, sources)
    make_folder(out)
    settings = {"bags": plain_options(bag_options), "files": fingerprints(bags, bag_options)}
    paths = [source.name for source in sources]
    # Open until the report is written, which reads it again.
    with RecordLog(out / LOG_FILE, method.header(paths, **settings), options.resume) as log:
        with progress("evaluating", sum(len(source) for source in sources)) as advance:
            problems = run_sources(
                sources, method.load, log, advance, options.jobs, options.cluster
            )
        records = log.records(paths)
        if not records:
            raise DatasetError("; ".join(["no image can be evaluated", *problems]))
        names = short_names(paths)
        data, parts = (names[0], ()) if len(names) == 1 else (f"{len(names)} bags", names)
        size = records[0].network_size
        return report_on(
            records,
            sources,
            references,
            origin_of(method.name, data, parts, method.weights_sha256, size, method.settings),
            options.min_visibility,
            out,
            bop=bop19.evaluate(records, references),
            problems=problems,
        )


def open_sources(
    bags: Sequence[Path], objects: Sequence[ObjectModel], options: BagOptions
) -> list[BagSource]:
    """The bags as sources of frames.

    Raises:
        ConfigError: A bag is named twice, or there is not one ground truth for each camera.
        DatasetError: There is no such bag.
    """
    from casapose_ros.bags.frames import BagSource
    from casapose_ros.bags.opening import find_files
    from casapose_ros.bags.storage import Losses

    files: dict[Path, str] = {}
    for name in map(str, bags):
        # One bag has many spellings: its folder, a file in it, either through a link.
        own = {file.resolve() for file in find_files(name, Losses())}
        for file in own & files.keys():
            raise ConfigError(f"{name} is named more than once: {files[file]} has the same {file}")
        files.update(dict.fromkeys(own, name))
    return [
        BagSource(bag, objects, options.of_bag(number, len(bags)))
        for number, bag in enumerate(bags)
    ]


def load_bag_references(
    path: Path, objects: Sequence[ObjectModel], sources: Sequence[BagSource]
) -> dict[str, Reference]:
    """The objects that a model knows, with the surfaces of those that the bags show.

    Args:
        path: Folder of an object set, or of a BOP data set.
        objects: All objects that the model knows.
        sources: The bags.

    Raises:
        DatasetError: The bags show no object that the model knows, or the folder has other
            objects than the model knows.
        MeshError: A mesh is missing or bad.
    """
    from casapose_ros.evaluation.datasets import load_references

    counts = {name for source in sources for name in source.counts}
    present = [obj for obj in objects if obj.name in counts]
    if not present:
        shown, known = ", ".join(sorted(counts)) or "nothing", ", ".join(o.name for o in objects)
        raise DatasetError(
            f"the ground truth of the bags shows {shown}, the model knows {known}: there is "
            "nothing to evaluate"
        )
    if (path / "objects.json").is_file():
        return _references_of_set(path, objects, {obj.name for obj in present})
    return load_references(path, objects, [obj.bop_id for obj in present])


def _references_of_set(
    path: Path, objects: Sequence[ObjectModel], present: set[str]
) -> dict[str, Reference]:
    from casapose_ros.data.meshes import load_object_set
    from casapose_ros.data.models_info import check_same
    from casapose_ros.evaluation.matching import Reference

    object_set = load_object_set(path)
    by_name = {obj.name: obj for obj in object_set.objects}
    references = {}
    for obj in objects:
        found = by_name.get(obj.name)
        if obj.name not in present:
            references[obj.name] = Reference(obj, obj.keypoints)
        elif found is None:
            raise DatasetError(f"{path}: no {obj.name} in this object set, which the bags show")
        else:
            check_same(path, found, obj, "the trained model")
            references[obj.name] = Reference(obj, object_set.mesh(found).vertices)
    return references


def _bag_options(args: argparse.Namespace) -> BagOptions:
    from casapose_ros.bags.choosing import BagOptions
    from casapose_ros.camera_file import load_camera

    return BagOptions(
        image_topics=tuple(args.image_topic),
        info_topics=tuple(args.info_topic),
        truth_topics=tuple(args.truth_topic),
        truth_files=tuple(args.truth),
        camera=None if args.camera is None else load_camera(args.camera),
        rectified=args.rectified,
        limit=args.limit,
    )

"""``casapose bag evaluate --live``: a recording replayed through the running node."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from casapose_ros.commands._measuring import Method, RunOptions, origin_of, show
from casapose_ros.errors import ConfigError, DatasetError

if TYPE_CHECKING:
    from casapose_ros.bags.choosing import BagOptions, CameraTopics
    from casapose_ros.bags.frames import BagSource
    from casapose_ros.evaluation.delivery import Delivery
    from casapose_ros.evaluation.matching import Reference
    from casapose_ros.evaluation.reporting.report import Report
    from casapose_ros.types import CameraModel

EXIT_INCOMPLETE = 1


def add_live_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    group = parser.add_argument_group("live replay")
    group.add_argument(
        "--live",
        action="store_true",
        help="replay one bag at its own pace through the running node, to see what a robot would "
        "see; needs ROS 2",
    )
    group.add_argument(
        "--speed",
        type=float,
        default=1.0,
        metavar="FACTOR",
        help="how much faster than recorded (%(default)s)",
    )
    group.add_argument(
        "--reliable",
        action="store_true",
        help="let the node ask again for images that the transport lost",
    )
    group.add_argument(
        "--params", type=Path, metavar="FILE", help="parameters of the node, YAML as for ros2 run"
    )


def run_live(args: argparse.Namespace, options: BagOptions) -> int:
    """Replay, measure, report.

    Returns:
        0, or 1 if the replay ended early: then what came until that time is reported.

    Raises:
        CasaposeError: Nothing was replayed, and why.
    """
    from casapose_ros.bags.live import LiveOptions, ReplayDied, replay_live

    _refuse_what_makes_no_sense(args)
    (bag,) = args.bags
    live = LiveOptions(args.model, args.speed, args.reliable, args.params, args.camera, args.limit)
    method = Method.of_bundle(args.model)
    topics, has_truth = _choose(bag, options)
    # Before the replay, which takes as long as the recording.
    truth = _Truth.read(args, options, method) if has_truth else None
    try:
        delivery = replay_live(bag, topics, live, args.report)
    except ReplayDied as error:
        if truth is None:
            raise
        show(_report(args, method, truth, None, [str(error)]), args.report)
        return EXIT_INCOMPLETE
    show_delivery(delivery)
    if truth is not None and delivery.answered:
        show(_report(args, method, truth, delivery, delivery.problems), args.report)
    else:
        why = "no image was answered" if has_truth else "the bag has no ground truth"
        print("\n".join([f"no poses were measured: {why}", *delivery.problems]))
    return 0 if delivery.complete else EXIT_INCOMPLETE


@dataclass(frozen=True)
class _Truth:
    """What the answers are measured against.

    Attributes:
        source: The bag's frames.
        references: By name, every object that the model knows.
        settings: How the bag is read, for the log.
    """

    source: BagSource
    references: dict[str, Reference]
    settings: dict[str, Any]

    @classmethod
    def read(cls, args: argparse.Namespace, options: BagOptions, method: Method) -> _Truth:
        from casapose_ros.bags.frames import BagSource
        from casapose_ros.commands._bag_evaluation import load_bag_references
        from casapose_ros.commands._bag_identity import plain_options

        if args.objects is None:
            raise ConfigError(
                "--objects is missing: the bag has ground truth, and errors are measured on the "
                "objects' surfaces; name the object set or the BOP data set they are from"
            )
        (bag,) = args.bags
        source = BagSource(bag, method.objects, options)
        references = load_bag_references(args.objects, method.objects, [source])
        return cls(source, references, plain_options(options))


def _report(
    args: argparse.Namespace,
    method: Method,
    truth: _Truth,
    delivery: Delivery | None,
    problems: Sequence[str],
) -> Report:
    """Hold what came back against the truth, and write the report.

    Raises:
        DatasetError: No image that was answered has a truth.
    """
    from casapose_ros.evaluation import bop19
    from casapose_ros.evaluation.answers import join_answers, read_answers
    from casapose_ros.evaluation.delivery import ANSWERS_FILE
    from casapose_ros.evaluation.record_log import LOG_FILE, RecordLog
    from casapose_ros.evaluation.reporting.assembling import report_on

    source = truth.source
    live = {"speed": args.speed, "reliable": args.reliable, "params": str(args.params or "")}
    header = method.header([source.name], bags=truth.settings, live=live)
    answers = read_answers(args.report / ANSWERS_FILE)
    # Open until the report is written, which reads it again.
    with RecordLog(args.report / LOG_FILE, header) as log:
        for record in join_answers(answers, source.frames(), _network_view(args.model)):
            log.append(record)
        records = log.records([source.name])
        if not records:
            raise DatasetError("; ".join(["no answered image has ground truth", *source.problems]))
        name, size = Path(source.name).name, records[0].network_size
        return report_on(
            records,
            [source],
            truth.references,
            origin_of(method.name, name, (), method.weights_sha256, size),
            RunOptions.of(args).min_visibility,
            args.report,
            bop=bop19.evaluate(records, truth.references),
            # Both have read the bag and say what it lost.
            problems=list(dict.fromkeys([*source.problems, *problems])),
            delivery=delivery,
        )


def show_delivery(delivery: Delivery) -> None:
    """Print how long a robot would have waited and what it would have missed."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from casapose_ros.evaluation.reporting.tables import delivery_table, drops_table

    console = Console()
    for grid in (delivery_table(delivery), drops_table(delivery)):
        table = Table(title=grid.caption, box=SIMPLE_HEAD, padding=0)
        for number, head in enumerate(grid.heads):
            table.add_column(head.title, justify="right" if number else "left")
        for row in grid.rows:
            table.add_row(*(cell.text for cell in row))
        console.print(table)


def _refuse_what_makes_no_sense(args: argparse.Namespace) -> None:
    if len(args.bags) != 1:
        raise ConfigError(f"--live replays one bag, got {len(args.bags)}")
    unusable = {
        "--jobs": args.jobs is not None,
        "--cluster": args.cluster is not None,
        "--resume": args.resume,
        "--network-size": args.network_size is not None,
        "--max-instances": args.max_instances is not None,
    }
    for name, given in unusable.items():
        if given:
            raise ConfigError(f"{name} means nothing with --live: there is one node, and time")


def _choose(bag: Path, options: BagOptions) -> tuple[CameraTopics, bool]:
    """The camera to replay, and whether the truth is known."""
    from casapose_ros.bags.choosing import choose_topics
    from casapose_ros.bags.reading import open_bag

    if options.cameras != 1:
        raise ConfigError(f"--live replays one camera, got {options.cameras} image topics")
    with open_bag(bag) as reader:
        index = reader.index
    has_truth = bool(
        options.truth_files
        or options.truth_topics
        or any(not truths.models for truths in index.truths.values())
    )
    (camera,) = choose_topics(index, options, truth=has_truth)
    return camera, has_truth


def _network_view(model: Path) -> Callable[[CameraModel], tuple[int, int]]:
    """What the network sees of a camera's image, by the settings of the bundle."""
    from casapose_ros.bundle import load_bundle
    from casapose_ros.framing import Framing, parse_network_size

    bundle = load_bundle(model)
    text = bundle.estimator.network_size
    size = bundle.input_size if text is None else parse_network_size(text)
    return lambda camera: Framing.fit((camera.width, camera.height), size).content_size

"""``casapose ablate``: what each part of the method is worth, on one data set.

Three tables: as in the paper's supplement, the network's decoders (Table 2), each trained alike,
and the ways from the network's fields to keypoints (Table 3), all with one model; and with the same
model the ways from keypoints to poses.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from casapose_ros.commands._measuring import Method, RunOptions, show
from casapose_ros.errors import ConfigError

if TYPE_CHECKING:
    from casapose_ros.evaluation.reporting.ablation import Table
    from casapose_ros.evaluation.reporting.report import Report

NAME = "ablate"
HELP = "measure what the decoders and the ways to keypoints and poses are worth"

DECODERS = {
    "base": "one decoder for masks and vectors",
    "c": "two decoders, class-adaptive normalisation",
    "c_gu": "and guided upsampling",
    "c_gcu3": "and guided convolutions in 3 blocks",
    "c_gcu4": "in 4 blocks",
    "c_gcu5": "in all 5 blocks",
}
KEYPOINTS = {
    "ransac": {"keypoint_method": "ransac"},
    "all": {"component": "all"},
    "second": {"component": "second"},
    "largest": {"component": "largest"},
}
"""Changes of ``EstimatorConfig``; where one is not named it has its default."""
POSES = {
    "iterative": {"pnp": "iterative", "refinement": "none"},
    "weighted": {"pnp": "weighted", "refinement": "none"},
    "outline": {"pnp": "weighted", "refinement": "outline"},
}
"""Changes of ``EstimatorConfig``."""
TABLES = {"decoders": DECODERS, "keypoints": KEYPOINTS, "poses": POSES}
FINAL = "c_gcu5"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "dataset", type=Path, metavar="BOPDIR", help="folder of the data set to measure on"
    )
    parser.add_argument("--split", default="test", help="part of the data set (%(default)s)")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder to write")
    parser.add_argument(
        "--model",
        type=Path,
        metavar="BUNDLE",
        help=f"model for the other tables (default: the {FINAL} that is trained)",
    )
    training = parser.add_argument_group("training, for the table of decoders")
    training.add_argument("--config", type=Path, metavar="YAML", help="settings but the decoder")
    training.add_argument("--objects", type=Path, metavar="OBJECTS", help="object set to learn")
    training.add_argument("--data", type=Path, metavar="BOPDIR", help="data set to learn from")
    training.add_argument("--steps", type=int, metavar="N", help="instead of those in the settings")
    for name, known in TABLES.items():
        parser.add_argument(
            f"--{name}",
            type=lambda text: tuple(filter(None, text.split(","))),
            default=tuple(known),
            metavar="A,B,...",
            help=f"which to compare (default: {','.join(known)})",
        )
    parser.add_argument(
        "--min-visibility",
        type=float,
        default=RunOptions.min_visibility,
        metavar="FRACTION",
        help="objects that show less than this of themselves are not asked for (%(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Train what is not trained yet, measure what is not measured yet, print the tables."""
    from rich.console import Console

    from casapose_ros.evaluation.reporting.ablation import write_tables

    _check(args)
    tables, model = [], args.model
    if args.config is not None and args.decoders:
        tables.append(_compare_decoders(args))
        model = model or args.out / FINAL / "bundle"
    if args.keypoints:
        tables.append(_compare_keypoints(args, model))
    if args.poses:
        tables.append(_compare_poses(args, model))
    for table in tables:
        Console().print(table.rich())
    write_tables(tables, args.out)
    print(f"wrote {args.out / 'tables.md'}")
    return 0


def _check(args: argparse.Namespace) -> None:
    for name, known in TABLES.items():
        for variant in getattr(args, name):
            if variant not in known:
                raise ConfigError(f"--{name}: unknown {variant!r}; known: {', '.join(known)}")
    given = [name for name in ("config", "objects", "data") if getattr(args, name) is not None]
    if given and len(given) < 3:
        raise ConfigError(f"--config, --objects and --data go together, got only {given}")
    trained = args.config is not None and FINAL in args.decoders
    with_model = args.keypoints or args.poses
    if with_model and args.model is None and not trained:
        raise ConfigError(
            "no model for the tables of keypoints and poses: give --model, or train "
            f"{FINAL} with --config, --objects and --data"
        )
    if not given and not with_model:
        raise ConfigError(
            "nothing to do: give --config, --objects and --data, or --keypoints, or --poses"
        )


def _compare_decoders(args: argparse.Namespace) -> Table:
    from casapose_ros.commands._training_data import TrainingData
    from casapose_ros.commands._training_start import start_of
    from casapose_ros.commands.train import train
    from casapose_ros.config import load_yaml
    from casapose_ros.evaluation.reporting.ablation import Table
    from casapose_ros.training.recipes import TrainingFile

    config = load_yaml(TrainingFile, args.config).training()
    config = replace(config, steps=args.steps or config.steps)
    reports = {}
    for variant in args.decoders:
        print(f"== {variant}: {DECODERS[variant]}")
        folder = args.out / variant
        start = start_of(replace(config, variant=variant), args.objects)
        bundle = train(start, TrainingData((args.data,)), folder)
        reports[variant] = _evaluate(args, bundle, folder / "evaluation")
    settings = (
        f"{config.steps} steps of {config.batch_size} crops of {config.crop.size} px, input "
        f"{config.input_size[0]}x{config.input_size[1]}, width {config.width:g}, "
        f"{config.optimizer}, seed {config.seed}"
    )
    return Table("Decoders (supplement, Table 2)", settings, reports, DECODERS)


def _compare_keypoints(args: argparse.Namespace, model: Path) -> Table:
    from casapose_ros.evaluation.reporting.ablation import Table

    reports = {}
    for variant in args.keypoints:
        print(f"== {variant}")
        folder = args.out / "keypoints" / variant
        reports[variant] = _evaluate(args, model, folder, **KEYPOINTS[variant])
    name = next(iter(reports.values())).origin.model
    meanings = {
        "ransac": "RANSAC voting over the largest component",
        "all": "regression over all pixels of the object",
        "second": "regression over the second largest component",
        "largest": "regression over the largest component",
    }
    return Table("Keypoints (supplement, Table 3)", f"model {name}", reports, meanings)


def _compare_poses(args: argparse.Namespace, model: Path) -> Table:
    from casapose_ros.bundle import load_bundle
    from casapose_ros.evaluation.reporting.ablation import Table

    variants = args.poses
    if "outline" in variants and not load_bundle(model).surfaces_sha256:
        lacking = f"{model} has no surfaces; 'casapose outlines' adds them"
        variants = tuple(name for name in variants if name != "outline")
        if not variants:
            raise ConfigError(f"--poses outline: {lacking}")
        print(f"== outline is left out: {lacking}")
    reports = {}
    for variant in variants:
        print(f"== {variant}")
        folder = args.out / "poses" / variant
        reports[variant] = _evaluate(args, model, folder, **POSES[variant])
    name = next(iter(reports.values())).origin.model
    meanings = {
        "iterative": "all keypoints alike",
        "weighted": "keypoints weighted by their covariances",
        "outline": "and refined by the outline",
    }
    return Table("Poses from keypoints", f"model {name}", reports, meanings)


def _evaluate(args: argparse.Namespace, bundle: Path, out: Path, **changes: str) -> Report:
    """Measure one variant; images that were measured before are not run again."""
    from casapose_ros.commands.evaluate import evaluate

    options = RunOptions(args.min_visibility, resume=True)
    defaults = {
        "component": "largest",
        "keypoint_method": "dkr",
        "pnp": "weighted",
        "refinement": "none",
    }
    method = Method.of_bundle(bundle, **(defaults | changes))
    report = evaluate(method, args.dataset, args.split, out, options)
    show(report, out)
    return report

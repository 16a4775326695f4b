"""``casapose outlines``: let a trained model refine its poses by outlines."""

from __future__ import annotations

import argparse
from dataclasses import replace
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
    parser.add_argument(
        "--validation",
        type=Path,
        metavar="BOPDIR",
        help="held-out data set to choose the outline's weight on, and to calibrate the score and "
        "the covariances anew",
    )
    parser.add_argument("--validation-split", default="val", help="its split (%(default)s)")


def run(args: argparse.Namespace) -> int:
    """Sample the surfaces and set ``refinement: outline`` in the bundle."""
    from casapose_ros.bundle import SURFACES_FILE, add_surfaces, load_bundle
    from casapose_ros.commands._surfaces import sampled_surfaces

    bundle = load_bundle(args.bundle)
    surfaces = sampled_surfaces(bundle.objects, args.objects)
    missing = [obj.name for obj in bundle.objects if obj.name not in surfaces]
    if missing:
        raise ConfigError(
            f"{args.objects} has no object {missing[0]!r} with a mesh, which {args.bundle} knows; "
            "name the object set that the model was trained with"
        )
    add_surfaces(args.bundle, list(surfaces.values()))
    if args.validation is not None:
        _recalibrate(args.bundle, args.objects, args.validation, args.validation_split)
    size = (args.bundle / SURFACES_FILE).stat().st_size
    print(f"wrote {args.bundle / SURFACES_FILE} ({size / 1e6:.1f} MB); refinement: outline")
    return 0


def _recalibrate(path: Path, objects: Path, data: Path, split: str) -> None:
    """Measure refined poses, as a training does in the end."""
    from casapose_ros.bundle import load_bundle, recalibrate
    from casapose_ros.commands._measuring import progress
    from casapose_ros.data.bop import BopDataset
    from casapose_ros.estimator import PoseEstimator
    from casapose_ros.evaluation.datasets import load_references, read_frame
    from casapose_ros.score import ScoreCalibration
    from casapose_ros.training.validation import OUTLINE_WEIGHTS, validate, weigh_outlines

    bundle, frames = load_bundle(path), list(BopDataset(data, split))
    present = {truth.bop_id for frame in frames for truth in frame.objects}
    references = load_references(data, bundle.objects, present, objects)
    estimator = PoseEstimator.load(path)
    estimator.calibration = ScoreCalibration()
    with progress("calibrating", len(OUTLINE_WEIGHTS) * len(frames)) as advance:

        def read():
            for frame in frames:
                yield read_frame(frame, bundle.objects)
                advance(1)

        results = weigh_outlines(estimator, lambda each: validate(each, read(), references))
    for weight in OUTLINE_WEIGHTS:
        recall = 100 * results[weight].recall_add_10
        print(f"outline_weight {weight:g}: recall {recall:.1f} % (ADD(-S) below 10 %)")
    weight, result = next(iter(results.items()))
    scale = bundle.estimator.covariance_scale * result.covariance_scale
    changed = replace(bundle.estimator, outline_weight=weight, covariance_scale=scale)
    recalibrate(path, changed, result.calibration)
    print(f"{len(frames)} frames: outline_weight {weight:g}, covariance_scale {scale:.2f}")

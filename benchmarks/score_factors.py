"""What each factor of the score is worth.

    python benchmarks/score_factors.py --model BUNDLE --data BOPDIR --split val --objects OBJECTS

Poses are estimated and judged once. For the whole score, and for it without one factor after the
other, a calibration is fitted as training does; printed is the mean negative logarithm of the
probability that it gives to what happened (lower is better, and what the calibration minimises),
and how often a right pose has a better score than a wrong one (area under the ROC curve).
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
from scipy.stats import mannwhitneyu

from casapose_ros import estimator as estimating
from casapose_ros.bundle import load_bundle
from casapose_ros.data.bop import BopDataset
from casapose_ros.evaluation.datasets import load_references, read_frame
from casapose_ros.evaluation.judgements import Collector, Judgements
from casapose_ros.evaluation.judging import judge, observe
from casapose_ros.evaluation.matching import Outcome
from casapose_ros.evaluation.statistics.calibration import fit_calibration
from casapose_ros.score import raw_score

NEUTRAL = {"mask_probability": 1.0, "error": 0.0, "cover": 1.0, "pixels": 1e12}
"""Values that leave a factor at 1."""


def main() -> None:
    args = _arguments()
    judgements, factors = _judged(args)
    right = judgements.has(Outcome.CORRECT)[judgements.is_estimate]
    print(f"{args.data.name}/{args.split}: {len(right)} estimates, {right.sum()} of them right")
    print("| score | mean -log p | AUC |")
    print("|---|---:|---:|")
    for name in (None, *NEUTRAL):
        neutral = {} if name is None else {name: NEUTRAL[name]}
        scores = np.array([raw_score(**dict(each, **neutral)) for each in factors])
        cost, area = _worth(judgements, scores, right)
        print(f"| {'whole' if name is None else f'without {name}'} | {cost:.4f} | {area:.3f} |")


def _judged(args: argparse.Namespace) -> tuple[Judgements, list[dict[str, float]]]:
    """What became of all frames, and the factors of every estimate's score, in the same order."""
    bundle = load_bundle(args.model)
    frames = list(islice(BopDataset(args.data, args.split), args.limit))
    present = {truth.bop_id for frame in frames for truth in frame.objects}
    references = load_references(args.data, bundle.objects, present, args.objects)
    objects = [reference.model for reference in references.values()]
    seen: dict[float, dict[str, float]] = {}

    def noted(*given: float) -> float:
        raw = raw_score(*given)
        seen[raw] = dict(zip(NEUTRAL, given, strict=True))
        return raw

    estimating.raw_score = noted
    estimator = estimating.PoseEstimator.load(args.model)
    estimator.calibration = float
    collector, factors = Collector(), []
    for bop_frame in frames:
        frame = read_frame(bop_frame, bundle.objects)
        record = observe(frame, estimator.run(frame.image, frame.camera), objects)
        judgement = judge(record, references, args.min_visibility)
        collector.add(record.name, judgement)
        factors += [seen[match.score] for match in judgement.matches if match.is_estimate]
    return collector.result(), factors


def _worth(judgements: Judgements, scores: np.ndarray, right: np.ndarray) -> tuple[float, float]:
    rows = judgements.rows.copy()
    rows["score"][judgements.is_estimate] = scores
    calibration = fit_calibration(replace(judgements, rows=rows))
    p = np.array([calibration(score) for score in scores])
    area = mannwhitneyu(scores[right], scores[~right]).statistic / (right.sum() * (~right).sum())
    return float(-np.log(np.where(right, p, 1 - p)).mean()), float(area)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, type=Path, metavar="BUNDLE")
    parser.add_argument("--data", required=True, type=Path, metavar="BOPDIR")
    parser.add_argument("--split", default="val", help="(%(default)s)")
    parser.add_argument("--objects", type=Path, help="object set with meshes to measure with")
    parser.add_argument("--limit", type=int, help="at most so many frames")
    parser.add_argument("--min-visibility", type=float, default=0.4, help="(%(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    main()

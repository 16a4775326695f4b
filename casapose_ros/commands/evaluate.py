"""``casapose evaluate``: the field's figures for a model on a BOP data set."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from casapose_ros.errors import ConfigError, DatasetError

if TYPE_CHECKING:
    from casapose_ros.data.bop import BopFrame
    from casapose_ros.estimator import PoseEstimator
    from casapose_ros.evaluation.matching import Judgement, Reference
    from casapose_ros.evaluation.report import Report
    from casapose_ros.evaluation.results import FrameResult

NAME = "evaluate"
HELP = "measure a model on a BOP data set and write a report"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("dataset", type=Path, metavar="BOPDIR", help="folder of the data set")
    parser.add_argument(
        "--model", required=True, type=Path, metavar="BUNDLE", help="folder of the model bundle"
    )
    parser.add_argument("--split", default="test", help="part of the data set (%(default)s)")
    parser.add_argument(
        "--min-visibility",
        type=float,
        default=0.4,
        metavar="FRACTION",
        help="objects that show less than this of themselves are not asked for (%(default)s)",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("evaluation"), metavar="DIR", help="folder to write"
    )
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N images")
    parser.add_argument(
        "--network-size",
        metavar="WxH|native",
        help="size at which the network sees the images; native is their own "
        "(default: the bundle's)",
    )


def run(args: argparse.Namespace) -> int:
    """Estimate, measure, write the report, and print its table."""
    from rich.console import Console

    from casapose_ros.estimator import PoseEstimator
    from casapose_ros.evaluation.report import headlines, table

    if not 0 <= args.min_visibility <= 1:
        raise ConfigError(f"--min-visibility must be in 0..1, got {args.min_visibility}")
    if args.limit is not None and args.limit < 1:
        raise ConfigError(f"--limit must be at least 1, got {args.limit}")
    estimator = PoseEstimator.load(args.model)
    if args.network_size is not None:
        config = replace(estimator.config, network_size=args.network_size)
        estimator = estimator.with_config(config)
    report = evaluate(
        estimator, args.dataset, args.split, args.out, args.min_visibility, args.limit
    )
    console = Console()
    console.print(table(report))
    for line in headlines(report):
        console.print(f"- {line}", soft_wrap=True)
    console.print(f"wrote {args.out / 'report.html'}", soft_wrap=True)
    return 0


def evaluate(
    estimator: PoseEstimator,
    dataset: Path,
    split: str,
    out: Path,
    min_visibility: float,
    limit: int | None = None,
) -> Report:
    """Run a model over a data set and write everything that is known about it.

    Args:
        estimator: The model.
        dataset: Folder in BOP form.
        split: Part of the data set.
        out: Folder for ``report.html``, ``report.json``, ``objects.csv``, ``matches.csv``,
            ``poses.json`` and the BOP results file.
        min_visibility: Visible fraction from which a true object is asked for.
        limit: Only the first images; all if None.

    Raises:
        DatasetError: The data set cannot be read, has no object in common with the model, or
            the folder cannot be written.
    """
    from itertools import islice

    from casapose_ros.data.bop import BopDataset
    from casapose_ros.evaluation.datasets import count_objects, load_references

    frames = list(islice(BopDataset(dataset, split), limit))
    counts = count_objects(frames)
    references = load_references(dataset, estimator.objects, counts)
    _make_folder(out)
    answers = _answer(estimator, frames, references, min_visibility)
    report = _report(estimator, answers, counts, dataset.resolve().name, split, min_visibility)
    _write(out, estimator, report, answers, references)
    return report


@dataclass(frozen=True)
class _Answer:
    """What the model said about one frame, without the fields, which would fill the memory."""

    frame: BopFrame
    result: FrameResult
    judgement: Judgement
    entry: dict[str, Any]
    network_size: tuple[int, int]


def _answer(
    estimator: PoseEstimator,
    frames: Sequence[BopFrame],
    references: dict[str, Reference],
    min_visibility: float,
) -> list[_Answer]:
    """Run the model over all frames, with a progress bar."""
    from rich.progress import track

    from casapose_ros.commands.predict import describe
    from casapose_ros.evaluation.datasets import read_frame
    from casapose_ros.evaluation.judging import judge
    from casapose_ros.evaluation.results import FrameResult

    # The first image compiles the network; that time is nobody's.
    estimator.run(frames[0].load_image(), frames[0].camera)
    answers = []
    for bop_frame in track(frames, description="evaluating"):
        frame = read_frame(bop_frame, estimator.objects)
        estimate = estimator.run(frame.image, frame.camera)
        height, width = estimate.fields.labels.shape
        answers.append(
            _Answer(
                frame=bop_frame,
                result=FrameResult(
                    bop_frame.scene_id,
                    bop_frame.image_id,
                    tuple(estimate.objects),
                    estimate.times,
                ),
                judgement=judge(frame, estimate, references, min_visibility),
                entry=describe(bop_frame.image_path, estimate, estimator.objects),
                network_size=(width, height),
            )
        )
    return answers


def _report(
    estimator: PoseEstimator,
    answers: Sequence[_Answer],
    counts: dict[int, int],
    dataset: str,
    split: str,
    min_visibility: float,
) -> Report:
    from datetime import datetime
    from statistics import fmean

    from casapose_ros.evaluation.calibration import reliability
    from casapose_ros.evaluation.report import Report
    from casapose_ros.evaluation.summary import all_matches, summarise

    known = {obj.bop_id for obj in estimator.objects}
    judgements = [answer.judgement for answer in answers]
    matches = all_matches(judgements)
    stages = answers[0].result.times
    return Report(
        model=estimator.name,
        dataset=dataset,
        split=split,
        frames=len(answers),
        network_size=answers[0].network_size,
        min_visibility=min_visibility,
        created=datetime.now().isoformat(timespec="seconds"),
        versions=_versions(),
        ignored={bop_id: count for bop_id, count in counts.items() if bop_id not in known},
        times={stage: fmean(a.result.times[stage] for a in answers) for stage in stages},
        summaries=summarise(judgements, [obj.name for obj in estimator.objects], min_visibility),
        reliability=reliability(matches),
        matches=matches,
    )


def _write(
    out: Path,
    estimator: PoseEstimator,
    report: Report,
    answers: Sequence[_Answer],
    references: dict[str, Reference],
) -> None:
    from casapose_ros.commands.predict import FORMAT_VERSION
    from casapose_ros.evaluation import html
    from casapose_ros.evaluation import report as files
    from casapose_ros.evaluation.results import write_bop_csv

    document = {
        "format": FORMAT_VERSION,
        "model": report.model,
        "images": [answer.entry for answer in answers],
    }
    (out / "poses.json").write_text(json.dumps(document, indent=1, allow_nan=False) + "\n")
    # BOP wants METHOD_DATASET-SPLIT.csv, with no other underscore.
    method, dataset = (text.replace("_", "-") or "model" for text in (report.model, report.dataset))
    bop_ids = {obj.name: obj.bop_id for obj in estimator.objects}
    results = (answer.result for answer in answers)
    write_bop_csv(results, bop_ids, out / f"{method}_{dataset}-{report.split}.csv")
    files.write_json(report, out / "report.json")
    files.write_summary_csv(report.summaries, out / "objects.csv")
    files.write_matches_csv(report.matches, out / "matches.csv")
    worst = _worst(estimator, answers, references, report.min_visibility)
    (out / "report.html").write_text(html.page(report, worst))


def _worst(
    estimator: PoseEstimator,
    answers: Sequence[_Answer],
    references: dict[str, Reference],
    min_visibility: float,
) -> list:
    from casapose_ros.evaluation import pictures
    from casapose_ros.evaluation.datasets import read_frame
    from casapose_ros.evaluation.html import Picture

    drawn = []
    judgements = [answer.judgement for answer in answers]
    for index in pictures.worst_frames(judgements, min_visibility):
        frame = read_frame(answers[index].frame, estimator.objects)
        words = pictures.caption(judgements[index], min_visibility)
        image = pictures.draw_judgement(frame, judgements[index], references)
        drawn.append(Picture(f"{frame.name}: {words}", image))
    return drawn


def _make_folder(path: Path) -> None:
    """Before the long run, not after it."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatasetError(f"{path}: cannot write the report: {error.strerror}") from error


def _versions() -> dict[str, str]:
    import importlib

    import cv2
    import keras

    from casapose_ros import __version__

    backend = keras.backend.backend()
    return {
        "casapose_ros": __version__,
        "keras": keras.__version__,
        backend: importlib.import_module(backend).__version__,
        "opencv": cv2.__version__,
    }

"""Which charts a report has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from casapose_ros.evaluation.reporting import plots
from casapose_ros.evaluation.reporting.report import Report
from casapose_ros.evaluation.reporting.tables import number


@dataclass(frozen=True)
class Chart:
    """A picture of figures.

    Attributes:
        name: Its name in the page and on disk, without spaces.
        title: What it shows.
        words: How to read it; if there is nothing to draw, why.
        png: The picture as a PNG file; None if there is nothing to draw.
    """

    name: str
    title: str
    words: str
    png: bytes | None


def draw_charts(report: Report) -> dict[str, Chart]:
    """All charts of a report by name."""
    return {chart.name: chart for chart in _charts(report)}


def _charts(report: Report) -> Iterator[Chart]:
    judgements, names = report.judgements, report.names
    visibility = report.min_visibility
    no_target = "" if report.total.targets else "no true object is visible enough to be asked for"
    for name, measure in (("recall_add", plots.ADD), ("recall_projection", plots.PROJECTION)):
        yield _chart(
            name,
            f"Recall over threshold: {measure.label}",
            "Share of the targets whose error is below the threshold.",
            no_target,
            lambda measure=measure: plots.recall_curves(judgements, names, visibility, measure),
        )
    yield _chart(
        "errors",
        "Errors of the targets that were found",
        "The last bar, in orange, holds all larger errors. Dashed: thresholds.",
        no_target or ("" if report.total.found else "no target was found"),
        lambda: plots.error_histograms(judgements, visibility),
    )
    yield _precision(report)
    ece = number(report.reliability.error, 3)
    yield _chart(
        "reliability",
        "Share of correct poses over the score",
        f"On the dashed line a score is a probability. Expected calibration error: {ece}.",
        _no_reliability(report),
        lambda: plots.reliability_curve(report.reliability),
    )
    total = report.time_per_image
    yield _chart(
        "latency",
        "Processing time per image",
        "Boxes: quartiles, with whiskers from 5 to 95 %; the axis is logarithmic.",
        "" if np.any(np.isfinite(total)) else "no processing times are known of this run",
        lambda: plots.latency_chart(report.times, total),
    )
    if report.delivery is not None:
        yield _chart(
            "age",
            "Age of the poses in the live replay",
            "How many images have their poses within which time.",
            "" if report.delivery.answered else "no poses arrived",
            lambda: plots.age_chart(report.delivery.ages, report.delivery.latencies),
        )


def _no_reliability(report: Report) -> str:
    if np.any(report.reliability.counts):
        return ""
    if report.total.estimates:
        return "the scores are not all between 0 and 1, so they are no probabilities"
    return "the model gave no estimate"


def _precision(report: Report) -> Chart:
    detection = report.detection
    missing = report.not_measured.get("detection", "") if detection is None else ""
    if detection is not None and not detection.total.curve.recall.size:
        missing = "there are no estimates, or no targets"
    objects = detection.objects if detection is not None else ()
    drawn = [obj for obj in objects if obj.targets and obj.curve.recall.size]
    return _chart(
        "precision",
        "Precision over recall",
        "From the best score down; an estimate counts with ADD(-S) below 10 % of the diameter.",
        missing,
        lambda: plots.precision_curves(
            {obj.name: (obj.curve.recall, obj.curve.precision) for obj in drawn},
            {obj.name: obj.average_precision for obj in drawn},
        ),
    )


def _chart(name: str, title: str, words: str, missing: str, draw: Callable[[], bytes]) -> Chart:
    """A chart, unless something is missing for it."""
    return Chart(name, title, missing or words, None if missing else draw())

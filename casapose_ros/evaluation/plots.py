"""The report's charts, as PNG bytes: matches in, picture out."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from casapose_ros.evaluation.calibration import Reliability
from casapose_ros.evaluation.matching import Match
from casapose_ros.evaluation.summary import TOTAL, target_errors

# Okabe and Ito's palette: told apart with any colour vision and in print.
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#b3a400", "#666666")
HISTOGRAMS = (
    ("add_relative", 100.0, 40.0, "ADD(-S), % of the diameter"),
    ("rotation", 1.0, 30.0, "rotation error, degrees"),
    ("translation", 1000.0, 60.0, "translation error, mm"),
    ("keypoints", 1.0, 20.0, "mean keypoint error, px"),
)
"""Per chart: field of ``PoseErrors``, factor to the unit shown, right end of the axis, label."""


def recall_curves(matches: Sequence[Match], names: Sequence[str], min_visibility: float) -> bytes:
    """Recall over the ADD(-S) threshold, per object and in total."""
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.subplots()
    thresholds = np.linspace(0, 0.5, 251)
    for name, colour in zip((*names, TOTAL), _colours(len(names)), strict=True):
        mine = [m for m in matches if name in (m.name, TOTAL)]
        errors = target_errors(mine, min_visibility, "add_relative")
        if errors.size:
            recall = (errors[None] < thresholds[:, None]).mean(axis=1)
            width = 2.6 if name == TOTAL else 1.4
            axes.plot(100 * thresholds, 100 * recall, color=colour, linewidth=width, label=name)
    axes.axvline(10, color="#999999", linewidth=0.8, linestyle="--")
    axes.set(xlim=(0, 50), ylim=(0, 101), ylabel="recall, %")
    axes.set_xlabel("ADD(-S) threshold, % of the diameter")
    if axes.lines[1:]:
        axes.legend(frameon=False, fontsize=8, loc="lower right")
    return _png(figure)


def error_histograms(matches: Sequence[Match], min_visibility: float) -> bytes:
    """How the errors of all found targets are spread; the last bar holds all larger ones."""
    figure = Figure(figsize=(9.6, 5.4), layout="constrained")
    for axes, chart in zip(figure.subplots(2, 2).flat, HISTOGRAMS, strict=True):
        measure, factor, limit, label = chart
        errors = factor * target_errors(matches, min_visibility, measure)
        found = errors[np.isfinite(errors)]
        bins = np.linspace(0, limit, 41)
        axes.hist(np.minimum(found, bins[-2] + limit / 80), bins=bins, color=COLOURS[0])
        missed = errors.size - found.size
        axes.set(xlim=(0, limit), xlabel=label, ylabel="targets")
        axes.set_title(f"{found.size} found, {missed} missed", fontsize=9, color="#555555")
    return _png(figure)


def reliability_curve(reliability: Reliability) -> bytes:
    """Share of correct poses over the score, with the number of estimates behind each point."""
    figure = Figure(figsize=(5.0, 4.2), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    filled = reliability.counts > 0
    upper.plot([0, 1], [0, 1], color="#999999", linewidth=0.8, linestyle="--")
    upper.plot(
        reliability.mean_score[filled], reliability.accuracy[filled], color=COLOURS[0], marker="o"
    )
    upper.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="share of correct poses")
    widths = np.diff(reliability.edges)
    lower.bar(
        reliability.edges[:-1], reliability.counts, 0.92 * widths, align="edge", color=COLOURS[0]
    )
    lower.set(xlabel="score", ylabel="estimates")
    return _png(figure)


def _colours(objects: int) -> list[str]:
    """One per object, repeated if there are many, and black for the total."""
    return [COLOURS[i % len(COLOURS)] for i in range(objects)] + ["#000000"]


def _png(figure: Figure) -> bytes:
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.2)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    return buffer.getvalue()

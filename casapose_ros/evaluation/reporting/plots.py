"""The report's charts, as PNG bytes: figures in, picture out."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from casapose_ros.evaluation.judgements import Judgements
from casapose_ros.evaluation.statistics.calibration import Reliability
from casapose_ros.evaluation.summary import TOTAL, target_errors

# Okabe and Ito's palette: told apart with any colour vision and in print.
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#b3a400", "#666666")
GREY, PALE = "#777777", "#c4c4c4"
MOST_NAMED = 8
"""With more objects than this a chart names only the worst, the others are grey."""
WORST_NAMED = 5
MOST_POINTS = 4000
"""Of a curve; some times the pixels of a chart's width."""


@dataclass(frozen=True)
class Measure:
    """One of ``PoseErrors`` as an axis.

    Attributes:
        field: Its name there.
        factor: To the unit shown.
        limit: Right end of the axis.
        label: What the axis says.
        thresholds: What counts as right elsewhere in the report, in the unit shown.
    """

    field: str
    factor: float
    limit: float
    label: str
    thresholds: tuple[float, ...] = ()


ADD = Measure("add_relative", 100.0, 50.0, "ADD(-S), % of the diameter", (10.0, 20.0))
PROJECTION = Measure("projection", 1.0, 25.0, "2D projection error, px", (5.0,))
HISTOGRAMS = (
    Measure("add_relative", 100.0, 40.0, "ADD(-S), % of the diameter", (10.0, 20.0)),
    Measure("rotation", 1.0, 30.0, "rotation error, degrees", (5.0,)),
    Measure("translation", 1000.0, 60.0, "translation error, mm", (50.0,)),
    Measure("keypoints", 1.0, 20.0, "mean keypoint error, px"),
)


def recall_curves(
    judgements: Judgements, names: Sequence[str], min_visibility: float, measure: Measure
) -> bytes:
    """Recall over the threshold of one measure, per object and in total."""
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.subplots()
    thresholds, recalls = np.linspace(0, measure.limit, 251), {}
    for name in (*names, TOTAL):
        errors = measure.factor * target_errors(judgements, min_visibility, measure.field, name)
        if errors.size:
            recalls[name] = np.searchsorted(np.sort(errors), thresholds) / errors.size
    quality = {name: float(recall.mean()) for name, recall in recalls.items()}
    for name, style in _line_styles(names, quality):
        axes.plot(thresholds, 100 * recalls[name], **style)
    for threshold in measure.thresholds:
        axes.axvline(threshold, color=GREY, linewidth=0.8, linestyle="--")
    axes.set(xlim=(0, measure.limit), ylim=(0, 101), ylabel="recall, %")
    axes.set_xlabel(f"threshold: {measure.label}")
    _legend(axes, "lower right")
    return _png(figure)


def error_histograms(judgements: Judgements, min_visibility: float) -> bytes:
    """How the errors of all found targets are spread; the last bar holds all larger ones."""
    figure = Figure(figsize=(9.6, 5.8), layout="constrained")
    for axes, measure in zip(figure.subplots(2, 2).flat, HISTOGRAMS, strict=True):
        errors = measure.factor * target_errors(judgements, min_visibility, measure.field)
        found = errors[np.isfinite(errors)]
        bins = np.linspace(0, measure.limit, 41)
        beyond = int(np.count_nonzero(found >= bins[-2]))
        shown = np.minimum(found, 0.5 * (bins[-2] + bins[-1]))
        _, _, bars = axes.hist(shown, bins=bins, color=COLOURS[0])
        bars[-1].set_facecolor(COLOURS[3])
        for threshold in measure.thresholds:
            axes.axvline(threshold, color=GREY, linewidth=0.8, linestyle="--")
        axes.set(xlim=(0, measure.limit), xlabel=measure.label, ylabel="targets")
        middle = f", median {np.median(found):.1f}" if found.size else ""
        title = f"{found.size} targets{middle}, {beyond} in the last bar"
        axes.set_title(title, fontsize=9, color=GREY)
    return _png(figure)


def precision_curves(
    curves: dict[str, tuple[np.ndarray, np.ndarray]], average: dict[str, float]
) -> bytes:
    """Precision over recall.

    Args:
        curves: Per object and for ``TOTAL``, (N,) recall and (N,) precision, 0..1.
        average: Average precision, by the same names.
    """
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.subplots()
    for name, style in _line_styles([name for name in curves if name != TOTAL], average):
        recall, precision = (_thinned(values) for values in curves[name])
        axes.plot(100 * recall, 100 * precision, drawstyle="steps-pre", **style)
    axes.set(xlim=(0, 101), ylim=(0, 101), xlabel="recall, %", ylabel="precision, %")
    _legend(axes, "lower left")
    return _png(figure)


def reliability_curve(reliability: Reliability) -> bytes:
    """Share of correct poses over the score, with the number of estimates behind each point."""
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    filled = reliability.counts > 0
    upper.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle="--")
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


def latency_chart(times: dict[str, np.ndarray], total: np.ndarray) -> bytes:
    """Per stage a box with its quartiles; and how many images are done within which time.

    Args:
        times: (N,) seconds per stage; NaN where an image has none.
        total: (N,) seconds of all stages together.
    """
    figure = Figure(figsize=(9.6, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    shown = {stage: _milliseconds(seconds) for stage, seconds in times.items()}
    shown = {stage: values for stage, values in shown.items() if values.size}
    boxes = left.boxplot(
        list(shown.values()), whis=(5, 95), widths=0.6, patch_artist=True,
        flierprops={"marker": ".", "markersize": 3, "markeredgecolor": GREY},
        medianprops={"color": "black"},
    )  # fmt: skip
    for box in boxes["boxes"]:
        box.set(facecolor=COLOURS[5], edgecolor=COLOURS[0])
    left.set_xticks(range(1, len(shown) + 1), list(shown))
    left.set(ylabel="ms", yscale="log")
    left.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    left.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    left.yaxis.set_minor_formatter(NullFormatter())
    shown_total = _milliseconds(total)
    _distribution(right, shown_total, "", COLOURS[0])
    middle, most = np.percentile(shown_total, [50, 95]).tolist()
    for value in (middle, most):
        right.axvline(value, color=GREY, linewidth=0.8, linestyle="--")
    words = f"half of the images within {middle:.0f} ms, 95 % within {most:.0f} ms"
    right.set_title(words, fontsize=9, color=GREY)
    right.set(xlabel="ms, all stages", ylabel="images done, %")
    return _png(figure)


def age_chart(ages: np.ndarray, latencies: np.ndarray) -> bytes:
    """How many poses of a live replay are there within which time.

    Args:
        ages: (N,) seconds from the stamp of an image to the publication of its poses.
        latencies: (M,) seconds from the publication of an image to the arrival of its poses.
    """
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.subplots()
    _distribution(axes, _milliseconds(ages), "age at publication", COLOURS[0])
    _distribution(axes, _milliseconds(latencies), "image sent to poses received", COLOURS[1])
    axes.set(xlabel="ms", ylabel="answered images, %")
    _legend(axes, "lower right")
    return _png(figure)


def _distribution(axes: Axes, values: np.ndarray, label: str, colour: str) -> None:
    """Share of the values below each value."""
    if values.size:
        # From zero at the smallest, so that a single value shows too.
        shares = np.linspace(0, 100, values.size + 1)
        ordered = np.sort(np.append(values, values.min()))
        axes.step(_thinned(ordered), _thinned(shares), where="post", color=colour, label=label)
    axes.set_ylim(0, 101)


def _thinned(values: np.ndarray) -> np.ndarray:
    """No more points of a curve than can be told apart, its ends among them."""
    if len(values) <= MOST_POINTS:
        return values
    return values[np.linspace(0, len(values) - 1, MOST_POINTS).astype(int)]


def _milliseconds(seconds: np.ndarray) -> np.ndarray:
    return 1000 * seconds[np.isfinite(seconds)]


def _line_styles(
    names: Sequence[str], quality: dict[str, float]
) -> Iterator[tuple[str, dict[str, object]]]:
    """How to draw each curve that there is: objects first, the total over them.

    Args:
        names: The objects in order.
        quality: How good each curve is; without the objects that have none.
    """
    curves = [name for name in names if name in quality]
    named = list(names)
    if len(curves) > MOST_NAMED:
        named = sorted(curves, key=quality.__getitem__)[:WORST_NAMED]
    for index, name in enumerate(sorted(curves, key=named.__contains__)):
        if name not in named:
            label = "the other objects" if index == 0 else "_"
            yield name, {"color": PALE, "linewidth": 1.0, "label": label}
        else:
            # An object keeps its colour in every chart.
            colour = COLOURS[named.index(name) % len(COLOURS)]
            yield name, {"color": colour, "linewidth": 1.5, "label": name}
    if TOTAL in quality and len(curves) != 1:
        yield TOTAL, {"color": "#000000", "linewidth": 2.6, "label": TOTAL}


def _legend(axes: Axes, place: str) -> None:
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=8, loc=place)


def _png(figure: Figure) -> bytes:
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.2)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    return buffer.getvalue()

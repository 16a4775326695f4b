"""A comparison as tables, as JSON and as a page."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from casapose_ros.evaluation.comparison.figures import FIGURES, Change, Comparison
from casapose_ros.evaluation.reporting.html import document, table
from casapose_ros.evaluation.reporting.tables import Cell, Grid, Head, number
from casapose_ros.files import make_folder, replacing

FORMAT_VERSION = 1
RECALL = FIGURES["add"]
SHADE = 0.3
CLEAR = 0.05
"""A corrected p-value below this is tinted, and worth looking at."""
REMARKS = (
    "Difference: after less before, in the figure's unit. Tinted where p (Holm) is below 0.05: "
    "blue is better, orange is worse.",
    "p: how likely so clear a difference would be if there were none; by McNemar's exact test for "
    "recalls, by a permutation test for the shares of wrong and absent ones, else by Wilcoxon's "
    "signed-rank test, all with frames as units. p (Holm): the same corrected for the number of "
    "figures, those of all objects together in the figures per object.",
    "Medians are of the targets that each run found itself; their p is about the targets that both "
    "found.",
)


def total_table(comparison: Comparison) -> Grid:
    """All figures over all objects."""
    changes = (*comparison.total.changes, *comparison.others)
    rows = tuple((Cell(c.figure.title), *_cells(c)) for c in changes if not _unknown(c))
    caption = f"All objects: {comparison.total.targets} targets in {comparison.frames} frames"
    return Grid("total", caption, (Head("figure"), *_heads(comparison)), rows)


def recall_table(comparison: Comparison) -> Grid:
    """The recall at 10 % of the diameter, per object."""
    changes = ((o, next(c for c in o.changes if c.figure is RECALL)) for o in comparison.objects)
    rows = tuple((Cell(o.name), *_cells(change)) for o, change in changes)
    heads = (Head("object"), *_heads(comparison))
    return Grid("recall", f"{RECALL.title} per object", heads, rows, total=True)


def object_table(comparison: Comparison) -> Grid:
    """The differences of all figures, per object."""
    figures = [change.figure for change in comparison.total.changes if not _unknown(change)]
    rows = []
    for changes in comparison.objects:
        by_figure = {change.figure: change for change in changes.changes}
        cells = (_difference(by_figure[figure], with_values=True) for figure in figures)
        rows.append((Cell(changes.name), Cell(str(changes.targets)), *cells))
    heads = (Head("object"), Head("targets"), *(Head(figure.title) for figure in figures))
    caption = "Differences per object"
    return Grid("objects", caption, heads, tuple(rows), total=True)


def headlines(comparison: Comparison) -> list[str]:
    """What was compared, and the frames that changed most."""
    lines = [
        f"before: {comparison.before}",
        f"after: {comparison.after}",
        f"on {'/'.join(comparison.data)}: {comparison.frames} frames that both have",
    ]
    if any(comparison.left_out):
        first, second = comparison.left_out
        lines.append(
            f"left out: {first} frames that only the first run has, {second} that only the second "
            "has; figures of whole reports (AR, mAP, ECE, time) are not compared"
        )
    for word, frames in (("lost", comparison.worse), ("gained", comparison.better)):
        if frames:
            names = ", ".join(f"{name} ({count})" for name, count in frames)
            lines.append(f"frames that {word} most correct poses: {names}")
    return lines


def write_comparison(comparison: Comparison, verdicts: Sequence[str], folder: Path) -> None:
    """Write ``comparison.json`` and ``comparison.html``.

    Args:
        comparison: The figures.
        verdicts: What the gate said, a sentence each.
        folder: Made if it is not there.

    Raises:
        OutputError: A file cannot be written.
    """
    make_folder(folder)
    with replacing(folder / "comparison.json") as part:
        part.write_text(json.dumps(_values(comparison, verdicts), indent=1, allow_nan=False) + "\n")
    with replacing(folder / "comparison.html") as part:
        part.write_text(_page(comparison, verdicts), encoding="utf-8")


def _page(comparison: Comparison, verdicts: Sequence[str]) -> str:
    title = f"{comparison.before} and {comparison.after}"
    parts = [f"<h1>{escape(title)}</h1>", _list(headlines(comparison))]
    if verdicts:
        words = "<strong>Worse than allowed:</strong>"
        parts.append(f'<div class="problems">{words}{_list(verdicts)}</div>')
    parts += [
        "<h2>All objects</h2>",
        table(total_table(comparison)),
        "<h2>Per object</h2>",
        table(object_table(comparison)),
        *(f'<p class="soft">{escape(remark)}</p>' for remark in REMARKS),
    ]
    return document(title, parts)


def _list(lines: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"


def _heads(comparison: Comparison) -> tuple[Head, ...]:
    level = f"{100 * comparison.level:.0f} %"
    return (
        Head("before"),
        Head("after"),
        Head("difference"),
        Head(level, f"{level} confidence interval of the difference"),
        Head("p"),
        Head("p (Holm)", "corrected for the number of figures"),
    )


def _cells(change: Change) -> tuple[Cell, ...]:
    ends = (change.interval.low, change.interval.high)
    low, high = (_shown(change, end, sign=True) for end in ends)
    interval = "" if math.isnan(change.interval.low) else f"{low} to {high}"
    before, after = (Cell(_shown(change, value)) for value in (change.before, change.after))
    chances = (Cell(_probability(value)) for value in (change.p_value, change.corrected))
    return (before, after, _difference(change), Cell(interval), *chances)


def _difference(change: Change, with_values: bool = False) -> Cell:
    note = ""
    if with_values:
        note = f"{_shown(change, change.before)} → {_shown(change, change.after)}"
    return Cell(
        _shown(change, change.difference, sign=True),
        note,
        shade=SHADE if change.corrected < CLEAR and change.worsening else 0.0,
        good=change.worsening < 0,
    )


def _shown(change: Change, value: float, sign: bool = False) -> str:
    """A value in the figure's unit."""
    text = number(change.figure.factor * value, change.figure.digits)
    return f"+{text}" if sign and value > 0 else text


def _probability(value: float) -> str:
    if math.isnan(value):
        return ""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _unknown(change: Change) -> bool:
    """Whether neither run knows the figure."""
    return math.isnan(change.before) and math.isnan(change.after)


def _values(comparison: Comparison, verdicts: Sequence[str]) -> dict[str, Any]:
    """Plain values for JSON; fractions, degrees, metres and px."""
    return {
        "format": FORMAT_VERSION,
        "before": comparison.before,
        "after": comparison.after,
        "data": list(comparison.data),
        "frames": comparison.frames,
        "left_out": list(comparison.left_out),
        "level": comparison.level,
        "regressions": list(verdicts),
        "objects": [
            {
                "name": changes.name,
                "targets": changes.targets,
                "changes": [_change(change) for change in changes.changes],
            }
            for changes in comparison.objects
        ],
        "others": [_change(change) for change in comparison.others],
        "worse": dict(comparison.worse),
        "better": dict(comparison.better),
    }


def _change(change: Change) -> dict[str, Any]:
    numbers = {
        "before": change.before,
        "after": change.after,
        "difference": change.difference,
        "low": change.interval.low,
        "high": change.interval.high,
        "p_value": change.p_value,
        "p_corrected": change.corrected,
    }
    plain = {key: None if math.isnan(value) else value for key, value in numbers.items()}
    return {"figure": change.figure.key, "title": change.figure.title} | plain

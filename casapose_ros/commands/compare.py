"""``casapose compare``: two evaluations side by side, and a gate for continuous integration."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from casapose_ros.errors import ConfigError

if TYPE_CHECKING:
    from rich.table import Table

    from casapose_ros.evaluation.reporting.tables import Grid

NAME = "compare"
HELP = "put two evaluations side by side, and fail if the second is worse than allowed"
EXIT_REGRESSION = 1
SEED = 0
"""Of the bootstrap: the same folders give the same intervals."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("before", type=Path, metavar="A", help="folder of the first evaluation")
    parser.add_argument("after", type=Path, metavar="B", help="folder of the second evaluation")
    parser.add_argument(
        "--max-drop",
        action="append",
        default=[],
        metavar="FIGURE=AMOUNT",
        help="exit with 1 if this figure, over all objects, is worse in B than in A by more than "
        "AMOUNT in its unit (percentage points, degrees, mm, px): add, add20, auc, 2dp, 5cm5deg, "
        "rotation, translation, keypoints, iou, wrong, absent, ar, map, ece, time; may be repeated",
    )
    parser.add_argument(
        "--alpha",
        type=float,
        metavar="P",
        help="only count a drop that is significant at this level, for example 0.05, with Holm's "
        "correction for the number of --max-drop",
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="write comparison.json and comparison.html"
    )


def run(args: argparse.Namespace) -> int:
    """Compare, print, write; 1 if a figure got worse than allowed."""
    import numpy as np
    from rich.console import Console

    from casapose_ros.evaluation.comparison import tables
    from casapose_ros.evaluation.comparison.comparing import compare
    from casapose_ros.evaluation.comparison.regressions import Limit, find_regressions
    from casapose_ros.evaluation.comparison.runs import read_run

    if args.alpha is not None and not 0 < args.alpha < 1:
        raise ConfigError(f"--alpha must be between 0 and 1, got {args.alpha}")
    if args.alpha is not None and not args.max_drop:
        raise ConfigError("--alpha says which drops count: state them with --max-drop")
    limits = [Limit.parse(text) for text in args.max_drop]
    comparison = compare(read_run(args.before), read_run(args.after), np.random.default_rng(SEED))
    regressions = find_regressions(comparison, limits, args.alpha)
    console = Console()
    for line in tables.headlines(comparison):
        console.print(line, soft_wrap=True, markup=False, highlight=False)
    for grid in (tables.total_table(comparison), tables.recall_table(comparison)):
        console.print(_table(grid))
    if args.out is not None:
        tables.write_comparison(comparison, regressions, args.out)
        console.print(f"wrote {args.out / 'comparison.html'}", soft_wrap=True, markup=False)
    for sentence in regressions:
        console.print(f"regression: {sentence}", soft_wrap=True, markup=False, style="bold")
    return EXIT_REGRESSION if regressions else 0


def _table(grid: Grid) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table

    result = Table(title=grid.caption, box=SIMPLE_HEAD)
    for index, head in enumerate(grid.heads):
        result.add_column(head.title, justify="right" if index else "left")
    for row in grid.rows:
        result.add_row(*(escape(cell.text) for cell in row))
    return result

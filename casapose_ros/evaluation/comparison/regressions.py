"""Limits to how much worse a run may be than the one before it, for continuous integration."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from difflib import get_close_matches

from casapose_ros.errors import ConfigError
from casapose_ros.evaluation.comparison.figures import FIGURES, Change, Comparison, Figure
from casapose_ros.evaluation.comparison.significance import holm

ROUNDING = 1e-9
"""A drop of exactly what is allowed is allowed."""


@dataclass(frozen=True)
class Limit:
    """How much worse one figure may get, over all objects.

    Attributes:
        figure: Which.
        allowed: By how much, in the unit shown: percentage points, degrees, mm, px.
    """

    figure: Figure
    allowed: float

    @classmethod
    def parse(cls, text: str) -> Limit:
        """Read ``FIGURE=AMOUNT``, for example ``add=1.0``.

        Raises:
            ConfigError: There is no such figure, or the amount is no number from 0 up.
        """
        key, _, amount = text.partition("=")
        figure = FIGURES.get(key.strip().lower())
        if figure is None:
            near = get_close_matches(key.strip().lower(), FIGURES, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(FIGURES)}"
            raise ConfigError(f"--max-drop {text}: there is no figure {key!r}; {hint}")
        try:
            allowed = float(amount)
        except ValueError:
            allowed = math.nan
        if not (math.isfinite(allowed) and allowed >= 0):
            raise ConfigError(
                f"--max-drop {text}: expected FIGURE=AMOUNT with a number from 0 up, for example "
                f"{figure.key}=1.0"
            )
        return cls(figure, allowed)


def find_regressions(
    comparison: Comparison, limits: Iterable[Limit], alpha: float | None = None
) -> list[str]:
    """Which figures got worse than allowed.

    Args:
        comparison: The two runs.
        limits: What is allowed. A figure that the second run no longer has is a regression.
        alpha: If given, a figure must also have a p-value below it, after Holm's correction for the
            number of limits: what may be chance passes.

    Returns:
        A sentence for each regression; an empty list if there is none.

    Raises:
        ConfigError: The first run does not have a figure, so that nothing can be said about it, or
            there is no test for it.
    """
    changes = {c.figure: c for c in (*comparison.total.changes, *comparison.others)}
    limits = list(limits)
    asked = [figure for figure in {limit.figure: None for limit in limits} if figure in changes]
    corrected = holm([changes[figure].p_value for figure in asked])
    for figure, p_value in zip(asked, corrected, strict=True):
        changes[figure] = replace(changes[figure], corrected=p_value)
    return [
        sentence
        for limit in limits
        if (sentence := _judge(changes.get(limit.figure), limit, alpha)) is not None
    ]


def _judge(change: Change | None, limit: Limit, alpha: float | None) -> str | None:
    figure = limit.figure
    if change is None:
        raise ConfigError(
            f"--max-drop {figure.key}: one of the reports has no {figure.title}, or they are about "
            "different frames"
        )
    if math.isnan(change.before):
        raise ConfigError(f"--max-drop {figure.key}: the first run has no {figure.title}")
    before, after = (
        f"{figure.factor * v:.{figure.digits + 1}f}" for v in (change.before, change.after)
    )
    if math.isnan(change.after):
        return f"{figure.title} was {before}, and the second run has none"
    if alpha is not None and math.isnan(change.p_value):
        raise ConfigError(f"--alpha: there is no test for {figure.title} of these runs")
    if change.worsening <= limit.allowed + ROUNDING:
        return None
    if alpha is not None and change.corrected >= alpha:
        return None
    chance = "" if math.isnan(change.p_value) else f" (p = {change.corrected:.2g})"
    return (
        f"{figure.title} went from {before} to {after}, by {change.worsening:.{figure.digits + 1}f}"
        f" to the worse{chance}; allowed are {limit.allowed:g}"
    )

"""What solvers made of the same targets, with intervals and paired tests; for ``pnp.py``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.stats import chi2

from casapose_ros.evaluation.comparison.significance import exact_test, signed_rank_test

LEVELS = (0.5, 0.9, 0.99)
RESAMPLES = 1000
AUC_LIMIT = 0.1


@dataclass(frozen=True)
class Outcomes:
    """What one solver made of the N targets.

    Attributes:
        frames: (N,) which frame each is in.
        errors: By measure, (N,); infinite where the target was missed.
        deviations: (N,) squared Mahalanobis distance of the true pose, NaN where unknown.
        dof: (N,) its degrees of freedom.
        correct: (N,) bool.
        milliseconds: Median time per object.
    """

    frames: np.ndarray
    errors: dict[str, np.ndarray]
    deviations: np.ndarray
    dof: np.ndarray
    correct: np.ndarray
    milliseconds: float


Figure = Callable[[dict[str, np.ndarray]], float]


def _recall(measure: str, limit: float, errors: dict[str, np.ndarray]) -> float:
    return 100 * float(np.mean(errors[measure] < limit))


def _median(measure: str, factor: float, errors: dict[str, np.ndarray]) -> float:
    found = errors[measure][np.isfinite(errors[measure])]
    return factor * float(np.median(found)) if found.size else float("nan")


def _auc(errors: dict[str, np.ndarray]) -> float:
    return 100 * float(np.mean(np.clip(1 - errors["add"] / AUC_LIMIT, 0, 1)))


RECALLS = {
    "ADD 5 %": ("add_relative", 0.05),
    "ADD 10 %": ("add_relative", 0.1),
    "2DP 5 px": ("projection", 5.0),
    "5cm 5deg": ("five_five", 1.0),
}
MEDIANS = {"rot deg": ("rotation", 1.0), "trans mm": ("translation", 1000.0)}
FIGURES: dict[str, Figure] = {
    **{name: partial(_recall, *how) for name, how in RECALLS.items()},
    "AUC": _auc,
    **{name: partial(_median, *how) for name, how in MEDIANS.items()},
}


def replicates(outcomes: Outcomes, draws: np.ndarray) -> dict[str, np.ndarray]:
    """Every figure for each of the (B, F) draws of frames."""
    members = [np.flatnonzero(outcomes.frames == f) for f in range(draws.shape[1])]
    values: dict[str, list[float]] = {name: [] for name in FIGURES}
    for draw in draws:
        chosen = np.concatenate([members[f] for f in draw])
        errors = {name: column[chosen] for name, column in outcomes.errors.items()}
        for name, figure in FIGURES.items():
            values[name].append(figure(errors))
    return {name: np.array(column) for name, column in values.items()}


def p_value(name: str, first: Outcomes, second: Outcomes, count: int) -> float:
    """Whether two solvers' difference may be chance: McNemar's test or Wilcoxon's, over frames."""

    def per_frame(values: np.ndarray) -> np.ndarray:
        return np.bincount(first.frames, weights=values, minlength=count)

    if name in RECALLS:
        measure, limit = RECALLS[name]
        return exact_test(
            *(per_frame((o.errors[measure] < limit).astype(float)) for o in (first, second))
        )
    measure = MEDIANS[name][0] if name in MEDIANS else "add"
    values = [o.errors[measure] for o in (first, second)]
    if name not in MEDIANS:
        values = [np.clip(1 - v / AUC_LIMIT, 0, 1) for v in values]
    both = np.isfinite(values[0]) & np.isfinite(values[1])
    return signed_rank_test(*(per_frame(np.where(both, v, 0)) for v in values))


def coverage(outcomes: Outcomes) -> str:
    """How many of the correct poses, and of all that were found, have the truth inside."""
    texts = []
    for chosen in (outcomes.correct, np.ones_like(outcomes.correct)):
        chosen = chosen & np.isfinite(outcomes.deviations)
        distances, dof = outcomes.deviations[chosen], outcomes.dof[chosen]
        texts.append(
            " / ".join(f"{100 * np.mean(distances < chi2.ppf(level, dof)):.0f}" for level in LEVELS)
        )
    return f"{texts[0]} | {texts[1]}"


def print_tables(results: dict[str, Outcomes], count: int) -> None:
    """Markdown: the figures, and the differences from the first solver."""
    draws = np.random.default_rng(0).integers(count, size=(RESAMPLES, count))
    spread = {solver: replicates(outcomes, draws) for solver, outcomes in results.items()}

    def interval(values: np.ndarray) -> str:
        return "({:.1f} to {:.1f})".format(*np.nanpercentile(values, (2.5, 97.5)))

    print("| solver | " + " | ".join(FIGURES) + " | inside, correct | inside, all | ms |")
    print("|---|" + "---:|" * (len(FIGURES) + 3))
    for solver, outcomes in results.items():
        cells = [
            f"{figure(outcomes.errors):.1f} {interval(spread[solver][name])}"
            for name, figure in FIGURES.items()
        ]
        print(f"| {solver} | {' | '.join(cells)} | {coverage(outcomes)} ", end="")
        print(f"| {outcomes.milliseconds:.2f} |")
    (base, first), *others = results.items()
    print(f"\n| less {base} | " + " | ".join(FIGURES) + " |")
    print("|---|" + "---:|" * len(FIGURES))
    for solver, outcomes in others:
        cells = []
        for name, figure in FIGURES.items():
            change = figure(outcomes.errors) - figure(first.errors)
            between = interval(spread[solver][name] - spread[base][name])
            cells.append(f"{change:+.1f} {between} p={p_value(name, first, outcomes, count):.2g}")
        print(f"| {solver} | {' | '.join(cells)} |")

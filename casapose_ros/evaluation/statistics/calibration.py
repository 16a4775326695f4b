"""Whether a score of 0.8 means that four of five poses are correct, and how to make it so."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import logit

from casapose_ros.evaluation.judgements import Judgements
from casapose_ros.evaluation.matching import Outcome
from casapose_ros.score import ScoreCalibration

PRIOR = np.array([1.0, 3.0])
"""Standard deviations of the logarithm of the slope and of the offset, around the identity."""


@dataclass(frozen=True)
class Reliability:
    """Scores against how often they are right.

    Attributes:
        edges: (B+1,) bounds of the score bins.
        counts: (B,) estimates per bin.
        mean_score: (B,) mean score per bin; NaN in an empty one.
        accuracy: (B,) fraction of correct poses per bin; NaN in an empty one.
        error: Expected calibration error (Guo et al., ICML 2017, eq. 3), 0..1; NaN without
            estimates.
    """

    edges: np.ndarray
    counts: np.ndarray
    mean_score: np.ndarray
    accuracy: np.ndarray
    error: float


def reliability(judgements: Judgements, bins: int = 10) -> Reliability:
    """Compare the scores of all estimates with how often they are correct.

    Where any score is not within 0..1, as other programs' may be, they are no probabilities: the
    bins stay empty and the error is unknown.
    """
    scores, correct = _scores(judgements)
    if not np.all((scores >= 0) & (scores <= 1)):
        scores, correct = scores[:0], correct[:0]
    edges = np.linspace(0, 1, bins + 1)
    index = np.clip(np.digitize(scores, edges) - 1, 0, bins - 1)
    counts = np.bincount(index, minlength=bins)
    divisor = np.where(counts > 0, counts, np.nan)
    mean_score = np.bincount(index, weights=scores, minlength=bins) / divisor
    accuracy = np.bincount(index, weights=correct, minlength=bins) / divisor
    gap = np.nansum(counts * np.abs(accuracy - mean_score))
    error = gap / len(scores) if len(scores) else float("nan")
    return Reliability(edges, counts, mean_score, accuracy, error)


def fit_calibration(judgements: Judgements) -> ScoreCalibration:
    """The logistic calibration that explains these estimates' outcomes best.

    Maximum a posteriori with a weak prior around the identity: a few estimates, or a model that
    is always right, change a score but little.

    Args:
        judgements: Their scores must be raw, that is from a model without calibration.
    """
    scores, correct = _scores(judgements)
    x = logit(np.clip(scores, 1e-9, 1 - 1e-9))

    def cost(parameters: np.ndarray) -> float:
        z = np.exp(parameters[0]) * x + parameters[1]
        negative_log_likelihood = np.sum(np.logaddexp(0, z) - correct * z)
        return float(negative_log_likelihood + 0.5 * np.sum((parameters / PRIOR) ** 2))

    # The logarithm keeps the slope positive: a better raw score is never a worse probability.
    log_slope, offset = minimize(cost, np.zeros(2)).x
    return ScoreCalibration(slope=float(np.exp(log_slope)), offset=float(offset))


def _scores(judgements: Judgements) -> tuple[np.ndarray, np.ndarray]:
    """(N,) scores of all estimates and (N,) 1.0 where the pose is correct."""
    estimates = judgements.is_estimate
    scores = judgements.rows["score"][estimates]
    return scores, judgements.has(Outcome.CORRECT)[estimates].astype(np.float64)

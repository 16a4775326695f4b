"""Whether the truth lies where an estimate's covariance says: coverage of its ellipsoids.

If errors are Gaussian with the covariance that was said, the truth is inside the 90 % ellipsoid of
nine estimates in ten: a squared Mahalanobis distance below chi^2's 90 % quantile, with 2 degrees of
freedom for a keypoint and 6 for a pose (one less per axis of continuous symmetry).

Looked at are the targets with a *correct* pose, as a wrong one is an outlier that no covariance
describes; and once more all targets that have an estimate, which shows what outliers do to it.
Keypoints that the pixels do not determine have no covariance and do not count.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

from casapose_ros.evaluation.judgements import Judgements
from casapose_ros.evaluation.matching import Outcome

LEVELS = (0.5, 0.9, 0.99)
"""Probabilities of the ellipsoids."""
KEYPOINT_DOF = 2
FITTED_LEVEL = 0.9
"""Probability of the ellipses that :func:`covariance_scale` makes right."""


@dataclass(frozen=True)
class CoverageRow:
    """How often one kind of covariance is right.

    Attributes:
        what: ``keypoints`` or ``poses``.
        of: ``correct`` for the targets with a correct pose, ``all`` for all that have one.
        count: How many truths were looked at.
        unstated: Poses whose covariance is none (NaN, zero, ...) and which are left out.
        inside: (L,) fraction of the truths inside the ellipsoid of each level; NaN without any.
        factor: What the covariances would have to be multiplied by for half of the truths to lie
            inside the 50 % ellipsoids; NaN without any.
    """

    what: str
    of: str
    count: int
    unstated: int
    inside: np.ndarray
    factor: float


@dataclass(frozen=True)
class Coverage:
    """Coverage of all covariances of a run.

    Attributes:
        levels: (L,) probabilities of the ellipsoids.
        rows: Keypoints and poses of the correct poses, then of all.
    """

    levels: tuple[float, ...]
    rows: tuple[CoverageRow, ...]


def coverage(judgements: Judgements, min_visibility: float) -> Coverage:
    """See how often the truth lies inside the ellipsoids of the targets' estimates.

    Args:
        judgements: Of all frames.
        min_visibility: Visible fraction from which a true object is a target.
    """
    found = judgements.is_target(min_visibility) & (judgements.rows["deviation_dof"] > 0)
    correct = found & judgements.has(Outcome.CORRECT)
    rows = []
    for of, which in (("correct", correct), ("all", found)):
        keypoints = judgements.rows["keypoint_deviations"][which]
        unstated = int(np.sum(~np.isfinite(keypoints).any(axis=1)))
        rows.append(_row("keypoints", of, keypoints.ravel(), KEYPOINT_DOF, unstated))
        poses = judgements.rows["deviation"][which]
        dof = judgements.rows["deviation_dof"][which].astype(np.float64)
        rows.append(_row("poses", of, poses, dof, int(np.sum(~np.isfinite(poses)))))
    return Coverage(LEVELS, tuple(rows))


def covariance_scale(judgements: Judgements, min_visibility: float) -> float:
    """What keypoint covariances must be multiplied by for nine of ten truths to lie in the 90 %
    ellipses of correct poses.

    Not five of ten in the 50 % ellipses: errors have longer tails than a Gaussian, and who uses a
    covariance suffers more from one that is too small.

    Args:
        judgements: Of all frames.
        min_visibility: Visible fraction from which a true object is a target.

    Returns:
        1 where there is nothing to measure it on.
    """
    correct = judgements.is_target(min_visibility) & judgements.has(Outcome.CORRECT)
    distances = judgements.rows["keypoint_deviations"][correct]
    distances = distances[np.isfinite(distances)]
    if not distances.any():
        return 1.0
    return float(np.quantile(distances, FITTED_LEVEL) / chi2.ppf(FITTED_LEVEL, KEYPOINT_DOF))


def _row(
    what: str, of: str, distances: np.ndarray, dof: np.ndarray | int, unstated: int
) -> CoverageRow:
    """(N,) squared Mahalanobis distances, NaN where unknown, with their degrees of freedom."""
    known = np.isfinite(distances)
    distances, dof = distances[known], dof[known] if isinstance(dof, np.ndarray) else dof
    inside, factor = np.full(len(LEVELS), np.nan), float("nan")
    if distances.size:
        inside = np.array([np.mean(distances < chi2.ppf(level, dof)) for level in LEVELS])
        factor = float(np.median(distances / chi2.ppf(0.5, dof)))
    return CoverageRow(what, of, distances.size, unstated, inside, factor)

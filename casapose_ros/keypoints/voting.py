"""RANSAC voting for keypoints (PVNet, Peng et al., CVPR 2019, section 3.1) on the same fields.

Pairs of pixels propose where their lines meet, all pixels vote for the proposals they point at, and
the voters of the best proposal are intersected by least squares. The network's confidences are not
used; in return a minority of wrong vectors does no harm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from casapose_ros.errors import ConfigError
from casapose_ros.keypoints.components import Regions
from casapose_ros.keypoints.regression import (
    gather_vectors,
    pixel_centres,
    solve_keypoints,
    unit_vectors,
)
from casapose_ros.types import NUM_KEYPOINTS, Fields, Keypoints

VOTE_CHUNK = 32
"""Proposals that are voted on at once; few, so that the votes stay in the processor's cache."""


@dataclass(frozen=True)
class VotingConfig:
    """Settings of the voting; the defaults are PVNet's.

    Attributes:
        hypotheses: Proposals per round.
        min_cosine: A pixel votes for what lies within this angle of its vector.
        max_rounds: Rounds at most.
        confidence: Stop once a pair of right pixels was drawn with this probability.
        max_pixels: Of more pixels in a region, only so many, drawn at random, take part.
    """

    hypotheses: int = 512
    min_cosine: float = 0.99
    max_rounds: int = 20
    confidence: float = 0.99
    max_pixels: int = 30_000

    def __post_init__(self) -> None:
        if min(self.hypotheses, self.max_rounds) < 1 or self.max_pixels < 2:
            raise ConfigError(
                "voting needs at least 1 hypothesis, 1 round and 2 pixels, got "
                f"{self.hypotheses}, {self.max_rounds} and {self.max_pixels}"
            )
        if not (0 < self.min_cosine < 1 and 0 < self.confidence < 1):
            raise ConfigError(
                "min_cosine and confidence must lie between 0 and 1, got "
                f"{self.min_cosine} and {self.confidence}"
            )


def vote_keypoints(
    fields: Fields,
    regions: Regions,
    rng: np.random.Generator,
    config: VotingConfig = VotingConfig(),
) -> list[Keypoints]:
    """Find all keypoints of all regions by voting.

    Args:
        fields: The network's output.
        regions: The pixels of each object instance in it.
        rng: Source of the draws.
        config: Settings.

    Returns:
        One :class:`Keypoints` per region, in px of the network's resolution.
    """
    centres = pixel_centres(regions)
    vectors = gather_vectors(fields, regions)
    voters = np.zeros((NUM_KEYPOINTS, centres.shape[1]), dtype=bool)
    for pixels in regions.slices():
        members = np.arange(pixels.start, pixels.stop)
        if len(members) > config.max_pixels:
            members = np.sort(rng.choice(members, config.max_pixels, replace=False))
        # Seen from the region itself the coordinates are small enough for float32 votes.
        local = centres[:, members] - centres[:, members].mean(axis=1, keepdims=True)
        for k in range(NUM_KEYPOINTS):
            directions = unit_vectors(vectors[k][:, members])
            voters[k, members] = consensus(local, directions, rng, config)
    # Nor do vectors that are not a number, which no weight would remove.
    vectors = np.where(voters[:, None], vectors, 0)
    return solve_keypoints(fields, regions, vectors, voters)


def consensus(
    centres: np.ndarray, directions: np.ndarray, rng: np.random.Generator, config: VotingConfig
) -> np.ndarray:
    """The pixels that vote for the best of the proposals.

    Args:
        centres: (2, N) px, x then y.
        directions: (2, N) unit vectors; a zero vector never votes.
        rng: Source of the draws.
        config: Settings.

    Returns:
        (N,) bool.
    """
    count = centres.shape[1]
    cone = _cones(centres, directions, config.min_cosine)
    best, best_votes = None, 0
    for rounds in range(1, config.max_rounds + 1):
        proposals = _propose(centres, directions, rng.integers(count, size=(2, config.hypotheses)))
        votes = _count_votes(cone, proposals)
        if votes.max(initial=0) > best_votes:
            best, best_votes = proposals[[votes.argmax()]], votes.max()
        missed = (1 - (best_votes / count) ** 2) ** (rounds * config.hypotheses)
        if missed < 1 - config.confidence:
            break
    return np.zeros(count, dtype=bool) if best is None else _inside(cone, best)[0]


def _cones(centres: np.ndarray, directions: np.ndarray, min_cosine: float) -> np.ndarray:
    """(2, 3, N) float32: the two sides of each pixel's cone, as lines a x + b y + c = 0.

    With d the distance to a point along the vector and e the one across, the point is inside
    the cone where |e| < d tan(angle): two half-planes, so the votes are one matrix product
    without a root or a division.
    """
    (x, y), (nx, ny) = centres, directions
    along = np.stack([nx, ny, -(nx * x + ny * y)]) * np.sqrt(1 / min_cosine**2 - 1)
    across = np.stack([-ny, nx, ny * x - nx * y])
    return np.stack([along + across, along - across]).astype(np.float32)


def _count_votes(cones: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(P,) int: in how many of the N cones each of the (P, 2) points lies."""
    chunks = (points[i : i + VOTE_CHUNK] for i in range(0, len(points), VOTE_CHUNK))
    votes = [np.count_nonzero(_inside(cones, chunk), axis=1) for chunk in chunks]
    return np.concatenate(votes) if votes else np.zeros(0, dtype=int)


def _inside(cones: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(P, N) bool: which of the N cones contain which of the (P, 2) points."""
    homogeneous = np.concatenate([points, np.ones((len(points), 1))], axis=1).astype(np.float32)
    left, right = homogeneous @ cones[0], homogeneous @ cones[1]
    return np.minimum(left, right, out=left) > 0


def _propose(centres: np.ndarray, directions: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Where the lines of (2, P) pairs of pixels meet, (<= P, 2) px; parallel lines do not."""
    (c1, c2), (n1, n2) = centres[:, pairs].swapaxes(0, 1), directions[:, pairs].swapaxes(0, 1)
    sine = n1[0] * n2[1] - n1[1] * n2[0]
    meets = np.abs(sine) > 1e-6
    gap = (c2 - c1)[:, meets]
    along = (gap[0] * n2[1, meets] - gap[1] * n2[0, meets]) / sine[meets]
    return (c1[:, meets] + along * n1[:, meets]).T

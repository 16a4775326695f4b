"""Telling several instances of one object apart by the vectors to their centres (keypoint 0).

The pixels of a class vote for centres, one after another: what voted for a centre takes no part in
the search for the next. Then every pixel belongs to the centre that it points at, and to the nearer
one of those in the same direction, whether the instances touch each other or something in front
cuts one into pieces.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from casapose_ros.keypoints.components import Regions, find_regions
from casapose_ros.keypoints.regression import gather_vectors, pixel_centres, unit_vectors
from casapose_ros.keypoints.voting import VotingConfig, consensus
from casapose_ros.types import Fields

CENTRE = 0
"""The keypoint at the middle of every object."""
VOTERS = 2000
"""Pixels of a class, at least, that vote."""
MIN_COSINE = 0.9
"""A pixel points at a centre if that lies within this angle of its vector (26 degrees)."""
CONCENTRATION = 20.0
"""Of the vectors about the true direction (von Mises): a standard deviation of 13 degrees."""
MIN_VOTERS = 0.3
"""So many of an instance's least number of pixels have to vote for its centre, which asks for more
than to point at it."""
MIN_SHARE = 0.1
"""So many of the pixels around a centre have to vote for it: wrong vectors meet somewhere, too."""
MIN_DISTANCE = 0.5
"""Two centres are farther apart than this part of the median distance of the first one's voters.
Nearer ones are made of its own pixels: right beside a centre, vectors have any direction."""


def find_instances(
    fields: Fields,
    max_instances: int,
    rng: np.random.Generator,
    component: str,
    min_component_pixels: float,
    min_pixels: float,
) -> Regions:
    """Choose the pixels of up to so many instances of each class.

    Args:
        fields: The network's output.
        max_instances: Largest number of instances of one class.
        rng: Source of the voting's draws.
        component: Which connected part of an instance's pixels counts; see :func:`find_regions`.
        min_component_pixels: See :func:`find_regions`.
        min_pixels: Instances whose chosen pixels are fewer are left out.

    Returns:
        The instances, class after class; of each class those with most votes first.
    """
    whole = find_regions(fields.labels, "all", min_pixels=min_pixels)
    centres = pixel_centres(whole)
    directions = unit_vectors(gather_vectors(fields, whole)[CENTRE])
    numbered = np.zeros(fields.labels.shape, np.uint16)
    class_of = [0]
    for pixels, class_id in zip(whole.slices(), whole.class_ids, strict=True):
        owner = separate(centres[:, pixels], directions[:, pixels], max_instances, min_pixels, rng)
        numbers = np.where(owner >= 0, owner + len(class_of), 0)
        numbered[whole.rows[pixels], whole.cols[pixels]] = numbers
        class_of += [int(class_id)] * (owner.max(initial=-1) + 1)
    found = find_regions(numbered, component, min_component_pixels, min_pixels)
    classes = np.array(class_of)[found.class_ids]
    in_class = np.arange(len(classes)) - np.searchsorted(classes, classes)
    return replace(found, class_ids=classes, instance_ids=in_class)


def separate(
    centres: np.ndarray,
    directions: np.ndarray,
    max_instances: int,
    min_pixels: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Which instance each pixel of one class belongs to.

    Args:
        centres: (2, N) px, x then y.
        directions: (2, N) unit vectors from there to the centre of the pixel's instance.
        max_instances: Largest number of instances.
        min_pixels: Fewer pixels than this do not make an instance.
        rng: Source of the draws.

    Returns:
        (N,) int from 0, -1 for pixels that point at none of several instances. A single instance
        has all pixels.
    """
    step = max(centres.shape[1] // VOTERS, 1)
    found, reaches = _vote_centres(
        centres[:, ::step], directions[:, ::step], max_instances, min_pixels / step, rng
    )
    if len(found) < 2:
        return np.zeros(centres.shape[1], dtype=int)
    cosines, distances = _towards(found, centres, directions)
    likelihood = CONCENTRATION * cosines - (distances / reaches[:, None]) ** 2 / 2
    likelihood[~(cosines > MIN_COSINE)] = -np.inf
    return np.where(np.isfinite(likelihood).any(axis=0), likelihood.argmax(axis=0), -1)


def _vote_centres(
    centres: np.ndarray,
    directions: np.ndarray,
    max_instances: int,
    min_pixels: float,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Centres that at least ``min_pixels`` pixels point at, the most popular first.

    Returns:
        (M, 2) px, and (M,) px, the median distance of those that have voted for it.
    """
    found, reaches = np.zeros((0, 2)), np.zeros(0)
    middle = centres.mean(axis=1, keepdims=True)  # seen from there, float32 votes are exact enough
    centres = everyone = centres - middle
    while len(found) < max_instances and centres.shape[1] >= max(min_pixels, 2):
        voters = consensus(centres, directions, rng, VotingConfig())
        if np.count_nonzero(voters) < max(MIN_VOTERS * min_pixels, 2):
            break
        centre = _meeting_point(centres[:, voters], directions[:, voters])[None]
        cosines, distances = _towards(centre, centres, directions)
        reach = np.median(distances[0, voters])
        around = np.count_nonzero(np.linalg.norm(everyone.T - centre, axis=1) <= reach)
        pointing = cosines[0] > MIN_COSINE
        heard = np.count_nonzero(distances[0, voters] <= reach) >= MIN_SHARE * around
        apart = np.linalg.norm(found - centre, axis=1) > MIN_DISTANCE * reaches
        if heard and apart.all() and np.count_nonzero(pointing) >= min_pixels:
            found, reaches = np.vstack([found, centre]), np.append(reaches, max(reach, 1.0))
        left = ~(voters | pointing)
        centres, directions = centres[:, left], directions[:, left]
    return found + middle.T, reaches


def _meeting_point(centres: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """(2,) px: least squares intersection of the lines through (2, N) pixels."""
    nx, ny = directions
    projectors = np.array([[1 - nx * nx, -nx * ny], [-nx * ny, 1 - ny * ny]])
    right = np.einsum("ijn,jn->i", projectors, centres)
    return np.linalg.pinv(projectors.sum(axis=2), hermitian=True) @ right


def _towards(
    found: np.ndarray, centres: np.ndarray, directions: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(M, N) cosine between a pixel's vector and the way to each centre, and the way's length."""
    way = found[:, :, None] - centres
    distances = np.linalg.norm(way, axis=1)
    cosines = np.einsum("mdn,dn->mn", way, directions) / np.maximum(distances, 1e-9)
    return cosines, distances

"""Differentiable keypoint regression (DKR, paper section 3.3) in NumPy float64, with covariances.

Each pixel at c with unit vector n draws a line through the keypoint; the keypoint minimises the
weighted squared distances to the lines of its object's pixels:

    R = sum w (I - n n^T),   q = sum w (I - n n^T) c,   keypoint = pinv(R) q

with w = softplus(confidence). A zero vector says nothing about direction and pulls towards its
pixel. Sums run over foreground pixels only, so the cost does not depend on the number of objects.

The covariance is the sandwich R^-1 M R^-1 with M = sum g g^T and g = w (I - n n^T)(keypoint - c),
each pixel's pull on the solution. Unlike sigma^2 R^-1 it needs no common noise level: pixels that
disagree count with the disagreement they show (White, Econometrica 1980). Neighbours share most of
their receptive field and err together, which M, a sum over independent pixels, does not know;
``CORRELATED_PIXELS`` makes up for it.
"""

from __future__ import annotations

import numpy as np

from casapose_ros.keypoints.components import Regions
from casapose_ros.types import NUM_KEYPOINTS, Fields, Keypoints

CORRELATED_PIXELS = 64.0
"""Pixels that err as one: a cell of the encoder's output, which has stride 8."""

MIN_VARIANCE = 0.05**2
"""px^2; no keypoint is better than this, however well the pixels agree."""

MIN_CONDITION = 1e-3
"""Smallest ratio of R's eigenvalues at which a keypoint counts as determined. The ratio is about
the squared angle in radians under which the lines meet; 1e-3 is a fan of two degrees."""

PINV_CUTOFF = 1e-10

PROBABILITY_SAMPLES = 512
"""Pixels per region, at least, from which the mask probability is taken."""


def regress_keypoints(fields: Fields, regions: Regions) -> list[Keypoints]:
    """Regress all keypoints of all regions by DKR.

    Args:
        fields: The network's output.
        regions: The pixels of each object instance in it.

    Returns:
        One :class:`Keypoints` per region, in px of the network's resolution.
    """
    weights = softplus(regions.gather(fields.confidence))
    return solve_keypoints(fields, regions, gather_vectors(fields, regions), weights)


def solve_keypoints(
    fields: Fields, regions: Regions, vectors: np.ndarray, weights: np.ndarray
) -> list[Keypoints]:
    """Intersect weighted lines and describe what came out.

    Args:
        fields: The network's output, for the mask probability.
        regions: The pixels of each object instance in it, N in all.
        vectors: (9, 2, N) directions, x then y, of any length.
        weights: (9, N) non-negative.

    Returns:
        One :class:`Keypoints` per region, in px of the network's resolution.
    """
    shape = (len(regions), NUM_KEYPOINTS)
    points, covariances = np.zeros((*shape, 2)), np.zeros((*shape, 2, 2))
    valid = np.zeros(shape, dtype=bool)
    centroids, offsets = _centred_pixels(regions)
    with np.errstate(invalid="ignore", over="ignore"):  # NaN in the fields ends as "not valid"
        for k in range(NUM_KEYPOINTS):
            points[:, k], covariances[:, k], valid[:, k] = _intersect(
                regions, offsets, unit_vectors(vectors[k]), weights[k].astype(np.float64)
            )
    points += centroids[:, None]
    boxes = _boxes(regions)
    probabilities = _mask_probabilities(fields.logits, regions)
    return [
        Keypoints(
            class_id=int(regions.class_ids[r]),
            instance_id=int(regions.instance_ids[r]),
            points=points[r],
            covariances=covariances[r],
            valid=valid[r],
            pixels=int(regions.counts[r]),
            mask_probability=float(probabilities[r]),
            box=boxes[r],
        )
        for r in range(len(regions))
    ]


def gather_vectors(fields: Fields, regions: Regions) -> np.ndarray:
    """The regions' vectors; this is where the network's (dy, dx) turns into (x, y).

    Returns:
        (9, 2, N) float32, x then y.
    """
    return regions.gather(fields.vectors)[:, ::-1]


def unit_vectors(vectors: np.ndarray) -> np.ndarray:
    """(2, N) vectors at length one, float64; zero vectors stay zero."""
    vectors = vectors.astype(np.float64)
    length = np.sqrt(vectors[0] ** 2 + vectors[1] ** 2)
    length[length == 0] = 1
    with np.errstate(invalid="ignore"):  # inf / inf: NaN, which ends as "not valid"
        vectors /= length
    return vectors


def softplus(x: np.ndarray) -> np.ndarray:
    """log(1 + exp(x)) without overflow."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def pixel_centres(regions: Regions) -> np.ndarray:
    """(2, N) float64 px, x then y."""
    return np.stack([regions.cols, regions.rows]) + 0.5


def _centred_pixels(regions: Regions) -> tuple[np.ndarray, np.ndarray]:
    """Each region's centroid (R, 2) and the pixels seen from it (2, N), both in px.

    Seen from the centroid, the pseudo-inverse of a singular system gives the point of the common
    line nearest to the object instead of the one nearest to the image's corner.
    """
    centres = pixel_centres(regions)
    centroids = np.stack([regions.sum(c) for c in centres], axis=1) / regions.counts[:, None]
    return centroids, centres - regions.spread(centroids).T


def _intersect(
    regions: Regions, offsets: np.ndarray, directions: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Solve one keypoint of every region.

    Args:
        regions: R regions of N pixels in all.
        offsets: (2, N) px from the region's centroid.
        directions: (2, N) unit or zero vectors.
        weights: (N,) weights.

    Returns:
        (R, 2) px from the centroid, (R, 2, 2) px^2, (R,) bool.
    """
    (x, y), (nx, ny) = offsets, directions
    axx, axy, ayy = weights * (1 - nx * nx), -weights * nx * ny, weights * (1 - ny * ny)
    normal = _symmetric(regions.sum(axx), regions.sum(axy), regions.sum(ayy))
    right = np.stack([regions.sum(axx * x + axy * y), regions.sum(axy * x + ayy * y)], axis=1)
    # A field with NaN or inf in it determines nothing; zeros make it the singular case.
    finite = np.isfinite(normal).all(axis=(1, 2)) & np.isfinite(right).all(axis=1)
    normal[~finite], right[~finite] = 0, 0
    inverse = np.linalg.pinv(normal, rcond=PINV_CUTOFF, hermitian=True)
    points = np.einsum("rij,rj->ri", inverse, right)

    dx, dy = regions.spread(points).T - offsets
    gx, gy = axx * dx + axy * dy, axy * dx + ayy * dy
    pulls = _symmetric(regions.sum(gx * gx), regions.sum(gx * gy), regions.sum(gy * gy))
    covariances = CORRELATED_PIXELS * inverse @ pulls @ inverse + MIN_VARIANCE * np.eye(2)
    eigenvalues = np.linalg.eigvalsh(normal)
    valid = eigenvalues[:, 0] > MIN_CONDITION * eigenvalues[:, 1]
    return points, covariances, valid


def _symmetric(xx: np.ndarray, xy: np.ndarray, yy: np.ndarray) -> np.ndarray:
    return np.stack([np.stack([xx, xy], axis=-1), np.stack([xy, yy], axis=-1)], axis=-2)


def _boxes(regions: Regions) -> list[tuple[float, float, float, float]]:
    if not len(regions):
        return []
    edges = [
        np.minimum.reduceat(regions.cols, regions.starts),
        np.minimum.reduceat(regions.rows, regions.starts),
        np.maximum.reduceat(regions.cols, regions.starts) + 1,
        np.maximum.reduceat(regions.rows, regions.starts) + 1,
    ]
    return [tuple(float(v) for v in box) for box in np.stack(edges, axis=1)]


def _mask_probabilities(logits: np.ndarray, regions: Regions) -> np.ndarray:
    """Mean softmax probability of each region's class over its pixels, (R,).

    The softmax is the one sum over all classes here; a sample of the pixels keeps it small.
    """
    regions = regions.thinned(PROBABILITY_SAMPLES)
    logits = regions.gather(logits)
    own = logits[regions.spread(regions.class_ids), np.arange(len(regions.rows))]
    with np.errstate(over="ignore"):  # exp overflows to inf where the probability is zero
        probabilities = 1 / np.exp(logits - own).sum(axis=0)
    return regions.sum(probabilities) / regions.counts

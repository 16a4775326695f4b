"""What it is worth to weight keypoints by their covariances when a pose is fitted to them.

    python benchmarks/pnp.py --model models/demo --data heldout --split test --cache keypoints.npz

The network runs once per image, and its keypoints are kept in the cache; then every solver gets the
same ones. Prints a table of all solvers with 95 % intervals, and one of their differences from
``iterative`` with paired tests, all over the frames. Objects in which RANSAC finds no pose at all
are missed by every solver. Besides the two that ``pnp`` offers:

- shrunk S: weighted, with a share S of each covariance its own and the rest the object's mean; 1 is
  DKR's own covariance, 0 the same ellipse for all keypoints
- Huber: the default with Huber's loss, whose knee is at 1.5 standard deviations
- inliers: the default over the keypoints within RANSAC's threshold alone
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from pnp_figures import Outcomes, print_tables

from casapose_ros import geometry
from casapose_ros.bundle import load_bundle
from casapose_ros.data.bop import BopDataset, BopFrame
from casapose_ros.estimator import PoseEstimator
from casapose_ros.evaluation.datasets import (
    count_objects,
    load_references,
    read_frame,
    true_objects,
)
from casapose_ros.evaluation.matching import Outcome, match_frame
from casapose_ros.framing import REFERENCE_AREA
from casapose_ros.pnp import PnPSolution, pose_covariance, solve_pnp
from casapose_ros.pnp.refinement import Correspondences, refine_weighted, shrunk
from casapose_ros.pnp.solving import undistort
from casapose_ros.settings import KEYPOINT_METHODS
from casapose_ros.types import CameraModel, Keypoints, ObjectModel, ObjectPose

MIN_VISIBILITY = 0.4
HUBER_KNEE = 1.5
COLUMNS = ("frame", "class_id", "score", "points", "covariances")

Solver = Callable[[np.ndarray, Keypoints, CameraModel, float], PnPSolution | None]


def refined(
    points: np.ndarray,
    keypoints: Keypoints,
    camera: CameraModel,
    max_error: float,
    own_share: float = 0.25,
    knee: float = np.inf,
    inliers: bool = False,
) -> PnPSolution | None:
    """Another weighting, from the iterative pose on."""
    start = solve_pnp(points, keypoints, camera, max_error, weighted=False)
    if start is None:
        return None
    pixels, covariances = undistort(keypoints, camera)
    used = keypoints.valid
    if inliers and np.count_nonzero(start.inliers) >= 4:
        used = start.inliers
    S = shrunk(covariances[used], own_share)
    found = Correspondences(points[used], pixels[used] - geometry.PIXEL_CENTRE, S, camera.K)
    pose = refine_weighted(found, start.R_cam_obj, start.t_cam_obj)
    for _ in range(10 if np.isfinite(knee) else 0):  # reweighted least squares
        residuals = found.residuals(*pose)
        distances = np.sqrt(np.einsum("ni,nij,nj->n", residuals, np.linalg.inv(S), residuals))
        found = replace(found, covariances=S * np.maximum(distances / knee, 1)[:, None, None])
        pose = refine_weighted(found, *pose)
    covariance = pose_covariance(found, *pose, found.residuals(*pose), weighted=True)
    return replace(start, R_cam_obj=pose[0], t_cam_obj=pose[1], covariance=covariance)


SOLVERS: dict[str, Solver] = {
    "iterative": partial(solve_pnp, weighted=False),
    "weighted": partial(solve_pnp, weighted=True),
    "shrunk 1": partial(refined, own_share=1.0),
    "shrunk 0.5": partial(refined, own_share=0.5),
    "shrunk 0.1": partial(refined, own_share=0.1),
    "shrunk 0": partial(refined, own_share=0.0),
    "Huber": partial(refined, knee=HUBER_KNEE),
    "inliers": partial(refined, inliers=True),
}


@dataclass(frozen=True)
class Observation:
    """The keypoints of one object in one frame."""

    frame: int
    score: float
    keypoints: Keypoints


def observe(
    estimator: PoseEstimator, frames: Sequence[BopFrame], cache: Path, key: str
) -> list[Observation]:
    """Keypoints of all frames, from the cache if there is one; it has to have the same key."""
    if not cache.exists():
        rows = []
        for index, bop_frame in enumerate(frames):
            frame = read_frame(bop_frame, estimator.objects)
            for pose in estimator.estimate(frame.image, frame.camera):
                covariances = pose.keypoint_covariances
                rows.append((index, pose.class_id, pose.score, pose.keypoints, covariances))
        if not rows:
            raise SystemExit("the model finds nothing in these images")
        columns = zip(COLUMNS, zip(*rows, strict=True), strict=True)
        np.savez(cache, key=key, **{name: np.array(column) for name, column in columns})
    stored = np.load(cache)
    if str(stored["key"]) != key:
        raise SystemExit(f"{cache} is of {stored['key']}, not of {key}: name another file")
    observations = []
    for frame, class_id, score, points, covariances in zip(
        *(stored[name] for name in COLUMNS), strict=True
    ):
        valid = np.isfinite(points).all(axis=1)
        box = (0.0, 0.0, 1.0, 1.0)
        keypoints = Keypoints(int(class_id), 0, points, covariances, valid, 1, 1.0, box)
        observations.append(Observation(int(frame), float(score), keypoints))
    return observations


def measure(
    solver: Solver,
    observations: Sequence[Observation],
    frames: Sequence[BopFrame],
    objects: Sequence[ObjectModel],
    references: dict,
    max_error: float,
) -> Outcomes:
    """Solve everything and hold it against the truth."""
    poses: list[list[ObjectPose]] = [[] for _ in frames]
    times = []
    for seen in observations:
        obj, camera = objects[seen.keypoints.class_id - 1], frames[seen.frame].camera
        scale = np.sqrt(camera.width * camera.height / REFERENCE_AREA)
        start = time.perf_counter()
        solution = solver(obj.keypoints, seen.keypoints, camera, scale * max_error)
        times.append(time.perf_counter() - start)
        if solution is not None:
            poses[seen.frame].append(_pose(obj, seen, solution))
    rows = []
    for index, (frame, found) in enumerate(zip(frames, poses, strict=True)):
        truths = true_objects(frame, objects)
        matches = match_frame(str(index), found, truths, references, frame.camera)
        mine = [m for m in matches if m.is_target(MIN_VISIBILITY)]
        rows += [(index, m) for m in sorted(mine, key=lambda m: m.truth)]
    matches = [m for _, m in rows]
    measures = ("add", "add_relative", "projection", "rotation", "translation")
    errors = {name: np.array([getattr(m.errors, name) for m in matches]) for name in measures}
    errors["five_five"] = np.maximum(errors["translation"] / 0.05, errors["rotation"] / 5)
    fits = [m.deviation for m in matches]
    return Outcomes(
        np.array([index for index, _ in rows]),
        errors,
        np.array([np.nan if fit is None else fit.pose for fit in fits]),
        np.array([6 if fit is None else fit.pose_dof for fit in fits]),
        np.array([m.outcome is Outcome.CORRECT for m in matches]),
        1000 * float(np.median(times)),
    )


def _pose(obj: ObjectModel, seen: Observation, solution: PnPSolution) -> ObjectPose:
    points, covariances = seen.keypoints.points, seen.keypoints.covariances
    return ObjectPose(
        obj.name,
        obj.class_id,
        0,
        seen.score,
        solution.R_cam_obj,
        solution.t_cam_obj,
        solution.covariance,
        points,
        covariances,
        seen.keypoints.box,
        1,
        solution.reprojection_error,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, type=Path, metavar="BUNDLE")
    parser.add_argument("--data", required=True, type=Path, metavar="BOPDIR")
    parser.add_argument("--split", default="test", help="part of the data set (%(default)s)")
    parser.add_argument("--keypoints", choices=KEYPOINT_METHODS, default="dkr")
    parser.add_argument("--cache", required=True, type=Path, metavar="NPZ", help="keypoints")
    parser.add_argument("--solvers", default=",".join(SOLVERS), metavar="A,B,...")
    args = parser.parse_args()
    bundle = load_bundle(args.model)
    config = replace(bundle.estimator, keypoint_method=args.keypoints, score_threshold=0.0)
    frames = tuple(BopDataset(args.data, args.split))
    key = f"{bundle.weights_sha256[:12]} {args.data.resolve()} {args.split} {args.keypoints}"
    observations = observe(PoseEstimator.load(args.model, config), frames, args.cache, key)
    references = load_references(args.data, bundle.objects, count_objects(frames))
    results = {
        name: measure(
            SOLVERS[name],
            observations,
            frames,
            bundle.objects,
            references,
            config.max_reprojection_error,
        )
        for name in args.solvers.split(",")
    }
    targets = len(next(iter(results.values())).frames)
    print(f"{bundle.name}, {args.keypoints}, {args.data.name}/{args.split}: {len(frames)} images,")
    print(f"{targets} objects visible by {MIN_VISIBILITY:.0%} or more, {len(observations)} poses\n")
    print_tables(results, len(frames))


if __name__ == "__main__":
    main()

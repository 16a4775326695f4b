"""The pose that fits both an object's keypoints and its outline.

What keypoints say is the pose of PnP with its covariance, what the outline says how well it
encloses the object's pixels. The pose that is most likely by both minimises

    (x - x_pnp)^T P^-1 (x - x_pnp) / 2  -  weight * (sum of the evidence inside the outline)

by Levenberg and Marquardt. Where a piece of the outline moves, the sum changes by the evidence
there times the area that the piece sweeps. Evidence is blurred, first much, then less: so a piece
that is near an edge of the mask feels on which side of it it is, and how far away.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from casapose_ros import geometry
from casapose_ros.outlines.evidence import BACKGROUND, Evidence, Pixels
from casapose_ros.outlines.search import find_place, reach
from casapose_ros.outlines.tracing import Outline, trace_outline
from casapose_ros.types import CameraModel, ObjectModel

INDEPENDENT = 0.5
"""Share of the outline's information that counts for the covariance: neighbours err together."""
EDGE_ERROR = 1.0
"""px of the network: what masks are too large or too small all around, which the pose's covariance
has to allow for."""

BLURS = (3.0, 1.5)
"""px."""
PIECES = 160
MAX_STEPS = 6
"""At each blur."""
MAX_TURN = 0.4
"""Radians, of one step."""
FIRST_DAMPING, LEAST_DAMPING = 1e-2, 1e-4
MAX_TRIALS = 4
"""Steps that are tried, each more damped, until one makes it better."""
STOP_BELOW = 1e-3
"""An improvement by less than this share ends the steps."""

PROBE = 1e-6
"""Of a point's distance: how far it is moved to see how its pixel moves."""


@dataclass(frozen=True)
class Pose:
    """A pose with its uncertainty.

    Attributes:
        R_cam_obj: (3, 3) rotation.
        t_cam_obj: (3,) metres.
        covariance: (6, 6), as :func:`casapose_ros.pnp.pose_covariance` has it.
    """

    R_cam_obj: np.ndarray
    t_cam_obj: np.ndarray
    covariance: np.ndarray


@dataclass(frozen=True)
class Fit:
    """A pose that fits an outline.

    Attributes:
        pose: The pose.
        cover: What the outline covers in it, of its area: 1 where all its pixels are the object's,
            less where some are another object's, and least (down to -1) where they are background.
    """

    pose: Pose
    cover: float


def fit_outline(
    pose: Pose,
    surface: np.ndarray,
    obj: ObjectModel,
    labels: np.ndarray,
    camera: CameraModel,
    weight: float,
    own: Pixels | None = None,
) -> Fit | None:
    """Make a pose better by the object's outline.

    Args:
        pose: From keypoints.
        surface: (N, 3) points of the object's surface, in diameters from its centre.
        obj: The object.
        labels: (H, W) uint8 class ids.
        camera: The camera, of the labels' size.
        weight: ``EstimatorConfig.outline_weight``.
        own: Rows and columns of the object's pixels, if others of its class are another
            instance's; None if all are its own.

    Returns:
        The better pose; None if the outline fits nowhere near.
    """
    points = obj.keypoints[0] + obj.diameter * surface
    pixels = _project(points, pose, camera)
    if pixels is None:
        return None
    centre = geometry.transform(pose.R_cam_obj, pose.t_cam_obj, obj.keypoints[:1])
    middle = geometry.project(centre, np.eye(3), np.zeros(3), camera)[0]
    distance = np.linalg.norm(centre)
    half_width = np.sqrt(camera.K[0, 0] * camera.K[1, 1]) * obj.diameter / (2 * distance)
    around = reach(pixels - middle, half_width)
    evidence = Evidence.of(labels, obj.class_id, own, middle, around)
    place = evidence and find_place(pixels - middle, evidence, middle, half_width)
    if place is None:
        return None
    ray = _ray(place.middle, camera)
    if ray is None:
        return None
    moved = distance / place.zoom * ray - pose.R_cam_obj @ obj.keypoints[0]
    problem = _Problem(pose, np.linalg.inv(pose.covariance), points, camera, weight)
    view = problem.see(replace(pose, t_cam_obj=moved))
    if view is None:
        return None
    for blur in BLURS:
        view, information = _climb(problem, view, evidence.blurred(blur), blur)
    covariance = np.linalg.inv(problem.known + INDEPENDENT * (information - problem.known))
    # What is wrong all around seems a change of size, and is none.
    toward = view.pose.t_cam_obj / (half_width * place.zoom) * EDGE_ERROR
    covariance[:3, :3] += np.outer(toward, toward)
    if not np.isfinite(covariance).all():
        return None
    outline = view.outline
    covered = float(evidence.inside(outline.middles, outline.extents[:, 1]))
    return Fit(replace(view.pose, covariance=covariance), covered / outline.area)


@dataclass(frozen=True)
class _View:
    """A pose and what is seen in it.

    Attributes:
        pose: The pose.
        outline: px.
        anchors: (N, 3) metres, camera frame: the points at the outline's pieces.
    """

    pose: Pose
    outline: Outline
    anchors: np.ndarray


@dataclass(frozen=True)
class _Problem:
    """What is known before the outline is looked at.

    Attributes:
        prior: The pose from keypoints.
        known: (6, 6) inverse of its covariance.
        points: (N, 3) metres of the surface, object frame.
        camera: The camera.
        weight: Of the evidence.
    """

    prior: Pose
    known: np.ndarray
    points: np.ndarray
    camera: CameraModel
    weight: float

    def see(self, pose: Pose) -> _View | None:
        """The outline in a pose; None if there is none."""
        pixels = _project(self.points, pose, self.camera)
        outline = None if pixels is None else trace_outline(pixels, PIECES)
        if outline is None:
            return None
        anchors = geometry.transform(pose.R_cam_obj, pose.t_cam_obj, self.points[outline.anchors])
        return _View(pose, outline, anchors)

    def away(self, pose: Pose) -> np.ndarray:
        """(6,) from the prior to a pose, metres and radians about the camera's axes."""
        prior = self.prior
        return geometry.pose_difference(
            prior.R_cam_obj, prior.t_cam_obj, pose.R_cam_obj, pose.t_cam_obj
        )


def _climb(
    problem: _Problem, view: _View, evidence: Evidence, blur: float
) -> tuple[_View, np.ndarray]:
    """Step to a better pose as long as there is one.

    Returns:
        What is seen there, and (6, 6) the information about its pose, as of the last step's start.
    """
    known = problem.known
    # A blurred edge from 1 to BACKGROUND is so steep.
    slope = (1 - BACKGROUND) / (np.sqrt(2 * np.pi) * blur)

    def energy(view: _View) -> float:
        away = problem.away(view.pose)
        outline = view.outline
        return away @ known @ away / 2 - problem.weight * float(
            evidence.inside(outline.middles, outline.extents[:, 1])
        )

    damping, current = FIRST_DAMPING, energy(view)
    for _ in range(MAX_STEPS):
        swept = _swept(view, problem.camera)
        pull = problem.weight * evidence.at(view.outline.middles) @ swept
        pull -= known @ problem.away(view.pose)
        lengths = np.linalg.norm(view.outline.extents, axis=1, keepdims=True)
        information = known + problem.weight * slope * (swept / np.maximum(lengths, 1e-9)).T @ swept
        for _ in range(MAX_TRIALS):
            damped = information + damping * np.diag(np.diag(information))
            trial = problem.see(_moved(view.pose, np.linalg.solve(damped, pull)))
            if trial is not None and (found := energy(trial)) < current:
                break
            damping *= 8
        else:
            return view, information
        gained, view, current = current - found, trial, found
        damping = max(damping / 6, LEAST_DAMPING)
        if gained < STOP_BELOW * abs(current):
            break
    return view, information


def _moved(pose: Pose, step: np.ndarray) -> Pose:
    turn = step[3:] * min(1.0, MAX_TURN / max(np.linalg.norm(step[3:]), 1e-12))
    R = geometry.rotation_from_vector(turn) @ pose.R_cam_obj
    return replace(pose, R_cam_obj=R, t_cam_obj=pose.t_cam_obj + step[:3])


def _swept(view: _View, camera: CameraModel) -> np.ndarray:
    """(N, 6) px^2 that each piece sweeps outwards per metre and radian that the pose moves."""
    anchors = view.anchors
    moves = PROBE * np.linalg.norm(anchors, axis=1)[:, None, None] * np.eye(3)
    probes = np.concatenate([anchors[None], anchors + moves.swapaxes(0, 1)])
    pixels = geometry.project(probes.reshape(-1, 3), np.eye(3), np.zeros(3), camera)
    pixels = pixels.reshape(4, -1, 2)
    per_metre = (pixels[1:] - pixels[0]) / moves[:, 0, 0][:, None]
    along = np.einsum("kni,ni->nk", per_metre, view.outline.outwards)
    return np.hstack([along, np.cross(anchors - view.pose.t_cam_obj, along)])


def _project(points: np.ndarray, pose: Pose, camera: CameraModel) -> np.ndarray | None:
    """(N, 2) px; None if a point is not in front of the camera, or nowhere in its image."""
    points_cam = geometry.transform(pose.R_cam_obj, pose.t_cam_obj, points)
    if not points_cam[:, 2].min() > 0:
        return None
    pixels = geometry.project(points_cam, np.eye(3), np.zeros(3), camera)
    return pixels if np.isfinite(pixels).all() else None


def _ray(pixel: np.ndarray, camera: CameraModel) -> np.ndarray | None:
    """(3,) unit vector towards a pixel; None if the camera sees nothing there."""
    x, y = geometry.undistort_pixels(pixel[None], camera)[0] - geometry.PIXEL_CENTRE
    ray = np.linalg.solve(camera.K, [x, y, 1.0])
    return ray / np.linalg.norm(ray) if np.isfinite(ray).all() else None

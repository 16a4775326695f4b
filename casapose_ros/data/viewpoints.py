"""Cameras about a table: where they stand, what they aim at. World frame: metres, z up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from casapose_ros.data.stage import Instance
from casapose_ros.geometry import look_at, rotation_from_vector
from casapose_ros.types import CameraModel

UP = np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True)
class View:
    """Pose of the world in the camera's optical frame: ``p_cam = R p_world + t``, metres."""

    R_cam_world: np.ndarray
    t_cam_world: np.ndarray


def rotation_z(angle: float) -> np.ndarray:
    """(3, 3) rotation about z by ``angle`` radians."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])


def azimuth_and_elevation(direction: np.ndarray) -> tuple[float, float]:
    """Bearing (0 at -y, positive towards +x) and height above the xy plane, radians."""
    x, y, z = direction
    return float(np.arctan2(x, -y)), float(np.arctan2(z, np.hypot(x, y)))


def viewpoint(azimuth: float, elevation: float, distance: float) -> np.ndarray:
    """(3,) metres: the place seen from the origin under these angles (radians)."""
    flat = np.array([np.sin(azimuth), -np.cos(azimuth), 0.0])
    return distance * (flat * np.cos(elevation) + UP * np.sin(elevation))


def aim(
    camera: CameraModel, eye: np.ndarray, target: np.ndarray, roll: float, pixel: np.ndarray
) -> View:
    """A view from ``eye`` that shows ``target`` at ``pixel``.

    Args:
        camera: Its intrinsics.
        eye: (3,) metres, world.
        target: (3,) metres, world.
        roll: Turn about the optical axis before the target is moved to ``pixel``, radians.
        pixel: (2,) px, x then y, as counted by K.
    """
    # Straight down there is no up in the image; world y takes its place.
    steep = np.linalg.norm(np.cross(target - eye, UP)) < 0.01 * np.linalg.norm(target - eye)
    R, _ = look_at(eye, target, np.array([0.0, 1.0, 0.0]) if steep else UP)
    ray = np.linalg.solve(camera.K, [*pixel, 1.0])
    axis = np.cross([0.0, 0.0, 1.0], ray / np.linalg.norm(ray))
    sine = np.linalg.norm(axis)
    turn = rotation_from_vector(axis * (np.arcsin(sine) / sine if sine > 0 else 1.0))
    R = turn @ rotation_z(roll) @ R
    return View(R, -R @ eye)


def centres_in_image(
    instances: Sequence[Instance], camera: CameraModel, view: View, margin: float
) -> bool:
    """Whether the origins of all instances project at least ``margin`` px inside the image."""
    origins = np.stack([i.t_ref_obj for i in instances])
    rays = (origins @ view.R_cam_world.T + view.t_cam_world) @ camera.K.T
    if rays[:, 2].min() <= 0:
        return False
    pixels = rays[:, :2] / rays[:, 2:]
    size = np.array([camera.width, camera.height])
    return bool(((pixels >= margin) & (pixels <= size - 1 - margin)).all())

"""Matrices from the camera's optical frame, or a lamp's, to OpenGL's clip space."""

from __future__ import annotations

import numpy as np

from casapose_ros.data.stage import Lamp
from casapose_ros.geometry import look_at
from casapose_ros.types import CameraModel

NEAR, FAR = 0.03, 20.0
"""Metres along the optical axis between which things are drawn."""
LAMP_NEAR = 0.02
SHADOW_REACH = 10.0
"""How far behind the casters shadows fall, in radii of their circumscribed sphere."""
SKY_REACH = 4.0
"""Half of how deep the view from the sky is, in the same radii."""


def projection(camera: CameraModel) -> np.ndarray:
    """(4, 4) matrix from the optical frame (metres) to OpenGL's clip space.

    Image rows run down in the result, so what is read back needs no flip. K counts pixel centres
    at integers, clip space counts from the image's corner: hence the half pixel.
    """
    matrix = np.zeros((4, 4))
    matrix[0, :3] = 2 * camera.K[0] / camera.width
    matrix[1, :3] = 2 * camera.K[1] / camera.height
    matrix[0, 2] += 1 / camera.width - 1
    matrix[1, 2] += 1 / camera.height - 1
    matrix[2, 2:] = _depth_row(NEAR, FAR)
    matrix[3, 2] = 1
    return matrix


def widened(matrix: np.ndarray) -> np.ndarray:
    """Clip matrix of a canvas three times as large that has the image in its middle."""
    return np.diag([1 / 3, 1 / 3, 1, 1]) @ matrix


def corner_camera(camera: CameraModel) -> CameraModel:
    """The camera whose pixels' centres are the corners of this one's pixels: one more each way."""
    K = camera.K.copy()
    K[:2, 2] += 0.5
    return CameraModel(K, camera.width + 1, camera.height + 1)


def shadow_projection(lamp: Lamp, up: np.ndarray, spheres: np.ndarray) -> tuple[np.ndarray, float]:
    """The view from a lamp that just holds all casters.

    Args:
        lamp: The lamp.
        up: (3,) unit vector.
        spheres: (n, 4) centre and radius of each caster, metres.

    Returns:
        (4, 4) clip matrix, and the metres that the view spans at the casters.
    """
    centre, radius = _enclosing(spheres)
    distance = max(np.linalg.norm(lamp.position - centre), 1.05 * radius)
    direction = (lamp.position - centre) / np.linalg.norm(lamp.position - centre)
    side = up if abs(direction @ up) < 0.99 else np.roll(up, 1)
    R, t = look_at(centre + direction * distance, centre, side)
    zoom = np.sqrt(distance**2 - radius**2) / radius
    near = max(distance - radius, LAMP_NEAR)
    clip = np.zeros((4, 4))
    clip[0, 0] = clip[1, 1] = zoom
    clip[2, 2:] = _depth_row(near, distance + SHADOW_REACH * radius)
    clip[3, 2] = 1
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = R, t
    return clip @ pose, 2 * distance / zoom


def sky_projection(
    up: np.ndarray, spheres: np.ndarray, margin: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """The parallel view straight down that holds all casters and a margin round them.

    Args:
        up: (3,) unit vector.
        spheres: (n, 4) centre and radius of each caster, metres.
        margin: Metres.

    Returns:
        (4, 4) clip matrix; (4,) coefficients of the metres below the highest caster; and the
        metres that the view spans.
    """
    centre, radius = _enclosing(spheres)
    R, _ = look_at(up, np.zeros(3), np.roll(up, 1))
    height = np.array([*-up, (spheres[:, :3] @ up + spheres[:, 3]).max()])
    reach = radius + margin
    clip = np.zeros((4, 4))
    clip[:2, :3] = R[:2] / reach
    clip[:2, 3] = -R[:2] @ centre / reach
    clip[2] = height / (SKY_REACH * reach) - [0, 0, 0, 1]
    clip[3, 3] = 1
    return clip, height, 2 * reach


def _enclosing(spheres: np.ndarray) -> tuple[np.ndarray, float]:
    """Centre and radius of a sphere round the box round all spheres."""
    low = (spheres[:, :3] - spheres[:, 3:]).min(axis=0)
    high = (spheres[:, :3] + spheres[:, 3:]).max(axis=0)
    return (low + high) / 2, float(np.linalg.norm(high - low) / 2)


def _depth_row(near: float, far: float) -> tuple[float, float]:
    return (far + near) / (far - near), -2 * far * near / (far - near)

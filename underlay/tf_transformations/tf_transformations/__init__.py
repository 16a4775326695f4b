"""Stand-in for ``tf_transformations``: its most used functions, on NumPy and SciPy.

It exists for machines without a ROS installation; where ROS is installed, the real package is used
and this folder is ignored. Quaternions are (x, y, z, w), matrices 4x4 homogeneous, angles radians.
``axes`` is ``s`` (fixed axes) or ``r`` (moving axes) and the order of rotation: ``sxyz``, ``rzyx``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial.transform import Rotation

__all__ = [
    "concatenate_matrices",
    "euler_from_matrix",
    "euler_from_quaternion",
    "euler_matrix",
    "identity_matrix",
    "inverse_matrix",
    "quaternion_about_axis",
    "quaternion_conjugate",
    "quaternion_from_euler",
    "quaternion_from_matrix",
    "quaternion_inverse",
    "quaternion_matrix",
    "quaternion_multiply",
    "translation_from_matrix",
    "translation_matrix",
]

Quaternion = tuple[float, float, float, float]


def identity_matrix() -> np.ndarray:
    """The 4x4 identity."""
    return np.identity(4)


def translation_matrix(direction: Sequence[float]) -> np.ndarray:
    """4x4 matrix that moves by a (3,) vector."""
    matrix = np.identity(4)
    matrix[:3, 3] = direction
    return matrix


def translation_from_matrix(matrix: np.ndarray) -> np.ndarray:
    """(3,) translation of a 4x4 matrix."""
    return np.array(matrix)[:3, 3]


def euler_matrix(ai: float, aj: float, ak: float, axes: str = "sxyz") -> np.ndarray:
    """4x4 rotation by three Euler angles."""
    return _homogeneous(Rotation.from_euler(_order(axes), [ai, aj, ak]))


def euler_from_matrix(matrix: np.ndarray, axes: str = "sxyz") -> tuple[float, float, float]:
    """Three Euler angles of a 3x3 or 4x4 rotation."""
    rotation = Rotation.from_matrix(np.asarray(matrix)[:3, :3])
    return tuple(rotation.as_euler(_order(axes)).tolist())


def euler_from_quaternion(
    quaternion: Sequence[float], axes: str = "sxyz"
) -> tuple[float, float, float]:
    """Three Euler angles of a rotation."""
    return euler_from_matrix(quaternion_matrix(quaternion), axes)


def quaternion_from_euler(ai: float, aj: float, ak: float, axes: str = "sxyz") -> Quaternion:
    """Quaternion of a rotation by three Euler angles."""
    return tuple(Rotation.from_euler(_order(axes), [ai, aj, ak]).as_quat().tolist())


def quaternion_about_axis(angle: float, axis: Sequence[float]) -> Quaternion:
    """Quaternion of a rotation by ``angle`` about a (3,) axis of any length."""
    axis = np.asarray(axis, dtype=np.float64)
    return tuple(Rotation.from_rotvec(angle * axis / np.linalg.norm(axis)).as_quat().tolist())


def quaternion_matrix(quaternion: Sequence[float]) -> np.ndarray:
    """4x4 rotation of a quaternion of any length but zero."""
    return _homogeneous(Rotation.from_quat(quaternion))


def quaternion_from_matrix(matrix: np.ndarray) -> Quaternion:
    """Quaternion, w not negative, of a 4x4 matrix's rotation."""
    return tuple(Rotation.from_matrix(np.asarray(matrix)[:3, :3]).as_quat(canonical=True).tolist())


def quaternion_multiply(quaternion1: Sequence[float], quaternion0: Sequence[float]) -> Quaternion:
    """Hamilton product: the rotation ``quaternion0`` followed by ``quaternion1``."""
    vector1, w1 = np.array(quaternion1[:3]), quaternion1[3]
    vector0, w0 = np.array(quaternion0[:3]), quaternion0[3]
    vector = w1 * vector0 + w0 * vector1 + np.cross(vector1, vector0)
    return (*vector.tolist(), float(w1 * w0 - vector1 @ vector0))


def quaternion_conjugate(quaternion: Sequence[float]) -> np.ndarray:
    """The quaternion with its vector part negated."""
    return np.array(quaternion, dtype=np.float64) * (-1.0, -1.0, -1.0, 1.0)


def quaternion_inverse(quaternion: Sequence[float]) -> np.ndarray:
    """The quaternion that undoes this one."""
    return quaternion_conjugate(quaternion) / np.dot(quaternion, quaternion)


def inverse_matrix(matrix: np.ndarray) -> np.ndarray:
    """Inverse of a square matrix."""
    return np.linalg.inv(matrix)


def concatenate_matrices(*matrices: np.ndarray) -> np.ndarray:
    """Product of 4x4 matrices from left to right; the identity where there is none."""
    product = np.identity(4)
    for matrix in matrices:
        product = product @ matrix
    return product


def _order(axes: str) -> str:
    """SciPy writes moving axes in capitals and fixed axes in small letters."""
    frame, order = axes[0], axes[1:]
    return order.upper() if frame == "r" else order


def _homogeneous(rotation: Rotation) -> np.ndarray:
    matrix = np.identity(4)
    matrix[:3, :3] = rotation.as_matrix()
    return matrix

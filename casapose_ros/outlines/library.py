"""The outlines of an object from all around, and their file.

An outline is kept as short pieces of its line, each with its middle and its extent, in no order:
holes are pieces as well, and what is between them need not be known. A sum over the pieces gives
the area inside, or the sum of an image inside, by Green's theorem.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from casapose_ros.errors import BundleError

DISTANCE = 6.0
"""From the camera to the object's centre, in diameters, at which outlines are drawn: perspective
makes the near side larger, and hardly differs from 4 to 10."""

MIDDLE, EXTENT = slice(0, 2), slice(2, 4)


@dataclass(frozen=True)
class Outlines:
    """What one object looks like from all around.

    Attributes:
        directions: (V, 3) float32 unit vectors, object frame, from the object's centre (keypoint 0)
            to the camera.
        pieces: (V, N, 4) float32: middle x, y and extent dx, dy of each piece in the plane through
            the centre across the view, in diameters, axes as :func:`view_rotation` has them. The
            line has the object on its right where y points down: the sum of x dy is the area.
            Views with fewer pieces end in zeros.
    """

    directions: np.ndarray
    pieces: np.ndarray

    def nearest(self, direction: np.ndarray) -> int:
        """Index of the view nearest to a (3,) direction."""
        return int(np.argmax(self.directions @ direction))


def view_rotation(direction: np.ndarray) -> np.ndarray:
    """Rotation (3, 3) from the object frame into that of a camera which looks at it.

    Args:
        direction: (3,) unit vector from the object to the camera.

    Returns:
        Camera axes as rows: x right, y down, z away from the camera; x is level unless the camera
        looks along the object's z axis.
    """
    z = -np.asarray(direction, dtype=np.float64)
    up = np.array([0.0, 0.0, 1.0]) if abs(z[2]) < 0.95 else np.array([0.0, 1.0, 0.0])
    x = np.cross(z, up)
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z])


def save_outlines(path: str | Path, outlines: Sequence[Outlines]) -> None:
    """Write the outlines of all objects, class ids 1..K in order, as ``.npz`` in float16."""
    arrays = {}
    for class_id, each in enumerate(outlines, start=1):
        arrays[f"directions/{class_id}"] = each.directions.astype(np.float32)
        arrays[f"pieces/{class_id}"] = each.pieces.astype(np.float16)
    with open(path, "wb") as file:
        np.savez_compressed(file, **arrays)


def load_outlines(path: str | Path, count: int) -> tuple[Outlines, ...]:
    """Read the outlines of ``count`` objects; nothing in the file is executed.

    Raises:
        BundleError: The file is no such file, or not of so many objects.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: np.asarray(file[name], dtype=np.float32) for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise BundleError(f"{path}: cannot be read: {error}; copy the bundle again") from error
    wanted = {f"{kind}/{i}" for kind in ("directions", "pieces") for i in range(1, count + 1)}
    if set(arrays) != wanted:
        raise BundleError(
            f"{path}: expected directions and pieces of {count} objects, got {sorted(arrays)}; "
            "write it anew with 'casapose outlines'"
        )
    outlines = tuple(
        Outlines(arrays[f"directions/{i}"], arrays[f"pieces/{i}"]) for i in range(1, count + 1)
    )
    for class_id, each in enumerate(outlines, start=1):
        _check(each, f"{path}: object {class_id}")
    return outlines


def _check(outlines: Outlines, where: str) -> None:
    directions, pieces = outlines.directions, outlines.pieces
    views = len(directions) if directions.ndim else 0
    if not views or directions.shape != (views, 3) or pieces.ndim != 3:
        raise BundleError(f"{where}: shapes {directions.shape} and {pieces.shape} are no outlines")
    if pieces.shape[0] != views or pieces.shape[1] < 3 or pieces.shape[2] != 4:
        raise BundleError(
            f"{where}: {views} views need pieces of shape ({views}, N, 4), got {pieces.shape}"
        )
    unit = np.abs(np.linalg.norm(directions, axis=1) - 1) < 1e-3
    if not (unit.all() and np.isfinite(pieces).all()):
        raise BundleError(f"{where}: a direction is no unit vector, or a number is not finite")

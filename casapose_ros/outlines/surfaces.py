"""Points all over the objects' surfaces, from which outlines are traced, and their file."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from casapose_ros.errors import BundleError

LARGEST = 2.0
"""Diameters; no point of an object lies farther from its centre."""


def save_surfaces(path: str | Path, surfaces: Sequence[np.ndarray]) -> None:
    """Write the surfaces of all objects as ``.npz`` in float16.

    Args:
        path: The file.
        surfaces: (N, 3) points each, in diameters from the object's centre (keypoint 0), in the
            order of the class ids 1..K.
    """
    arrays = {str(i): points.astype(np.float16) for i, points in enumerate(surfaces, start=1)}
    with open(path, "wb") as file:
        np.savez_compressed(file, **arrays)


def load_surfaces(path: str | Path, count: int) -> tuple[np.ndarray, ...]:
    """Read the surfaces of ``count`` objects; nothing in the file is executed.

    Returns:
        (N, 3) float64 points each, in diameters.

    Raises:
        BundleError: The file is no such file, or not of so many objects.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise BundleError(f"{path}: cannot be read: {error}; copy the bundle again") from error
    wanted = [str(i) for i in range(1, count + 1)]
    if sorted(arrays) != sorted(wanted):
        raise BundleError(
            f"{path}: expected the surfaces of {count} objects, got {sorted(arrays)}; write it "
            "anew with 'casapose outlines'"
        )
    for name, points in arrays.items():
        kind, shape = points.dtype.kind, points.shape
        if kind != "f" or len(shape) != 2 or shape[0] < 3 or shape[1] != 3:
            raise BundleError(
                f"{path}: object {name}: expected (N, 3) points, got {points.dtype} {shape}"
            )
        if not (np.abs(points) <= LARGEST).all():  # NaN is not, either
            raise BundleError(
                f"{path}: object {name}: a point is not finite, or more than {LARGEST:g} "
                "diameters from the centre"
            )
    return tuple(arrays[name].astype(np.float64) for name in wanted)

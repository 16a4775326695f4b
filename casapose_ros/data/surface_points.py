"""Points all over an object's mesh, as its outlines are traced from."""

from __future__ import annotations

import numpy as np
import trimesh

from casapose_ros.data.meshes import Mesh
from casapose_ros.types import ObjectModel

SURFACE_POINTS = 8_000
"""Five for each cell in which an outline's drawing shows a compact object."""


def sample_surface(mesh: Mesh, obj: ObjectModel) -> np.ndarray:
    """Spread points over a mesh, always the same.

    Args:
        mesh: The object's mesh.
        obj: Its description; keypoint 0 is the centre.

    Returns:
        (N, 3) float64, in diameters from the centre.
    """
    surface = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    points, _ = trimesh.sample.sample_surface(surface, SURFACE_POINTS, seed=0)
    return (np.asarray(points) - obj.keypoints[0]) / obj.diameter

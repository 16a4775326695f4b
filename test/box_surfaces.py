"""Points on the surfaces of the boxes of ``exact_fields``."""

import numpy as np
import trimesh

from casapose_ros.data.meshes import Mesh
from casapose_ros.data.surface_points import sample_surface
from casapose_ros.types import ObjectModel


def mesh_of(solid: trimesh.Trimesh, centre=(0, 0, 0)) -> Mesh:
    """A solid around a point, metres."""
    vertices = np.asarray(solid.vertices) + centre
    return Mesh(vertices, np.asarray(solid.faces, np.int32), np.asarray(solid.vertex_normals))


def box_surface(obj: ObjectModel) -> np.ndarray:
    """Of a box that fills its bounding box."""
    solid = trimesh.creation.box(obj.box_max - obj.box_min)
    return sample_surface(mesh_of(solid, obj.keypoints[0]), obj)

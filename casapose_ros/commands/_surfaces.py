"""Surfaces of a model's objects, from the meshes of an object set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from casapose_ros.errors import ConfigError

if TYPE_CHECKING:
    from casapose_ros.commands._training_start import TrainingStart
    from casapose_ros.types import ObjectModel


def sampled_surfaces(objects: Sequence[ObjectModel], folder: Path) -> dict[str, np.ndarray]:
    """Sample the surfaces of those objects whose meshes an object set has, by name.

    Args:
        objects: What the model knows.
        folder: The object set.

    Raises:
        ConfigError: An object of the set has the name of another.
        MeshError: A mesh is bad.
    """
    from casapose_ros.data.meshes import load_object_set
    from casapose_ros.data.surface_points import sample_surface
    from casapose_ros.training.extending import SAME_POINT

    object_set = load_object_set(folder)
    given = {obj.name: obj for obj in object_set.objects}
    found = {}
    for obj in objects:
        if obj.name not in given or not object_set.mesh_path(given[obj.name]).is_file():
            continue
        apart = np.linalg.norm(obj.keypoints - given[obj.name].keypoints, axis=1).max()
        if apart > SAME_POINT:
            raise ConfigError(
                f"{folder}: {obj.name} has other keypoints than the model knows, up to "
                f"{1000 * apart:.1f} mm away; name the object set that the model was trained with"
            )
        found[obj.name] = sample_surface(object_set.mesh(given[obj.name]), obj)
    return found


def surfaces_to_learn_with(start: TrainingStart) -> tuple[np.ndarray, ...] | None:
    """The surfaces of a run's objects: of their meshes, else of the model that goes on.

    None if an object has neither, which is said; its poses then stay as the keypoints give them.
    """
    found = sampled_surfaces(start.objects, start.folder)
    known = (start.trained.surfaces if start.trained else None) or ()
    for obj, surface in zip(start.objects, known, strict=False):
        found.setdefault(obj.name, surface)
    lacking = [obj.name for obj in start.objects if obj.name not in found]
    if lacking:
        print(
            f"refinement: none, since there is no surface of {', '.join(lacking)}: neither has "
            f"{start.folder} the mesh nor has the trained model its surface"
        )
        return None
    return tuple(found[obj.name] for obj in start.objects)

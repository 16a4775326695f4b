"""Standing known objects on a table so that a camera sees them within given ranges.

World frame: metres, table plane z = 0, z up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from casapose_ros.data.footprints import Footprint
from casapose_ros.data.scene_config import SceneConfig
from casapose_ros.data.stage import Instance
from casapose_ros.data.viewpoints import azimuth_and_elevation, rotation_z
from casapose_ros.types import ObjectModel

PLACE_ATTEMPTS = 30


@dataclass(frozen=True)
class Body:
    """A known object as the scene sampler sees it.

    Attributes:
        model: The object's description.
        vertices: (V, 3) metres, object frame; those of the convex hull suffice.
        rests: (n, 3, 3) rotations that lay the object on a face; the first is upright.
    """

    model: ObjectModel
    vertices: np.ndarray
    rests: np.ndarray


@dataclass(frozen=True)
class Placement:
    """Known objects standing in the world.

    Attributes:
        bodies: The objects.
        instances: Where each of them stands.
        footprints: What each of them covers of the table.
    """

    bodies: tuple[Body, ...]
    instances: tuple[Instance, ...]
    footprints: tuple[Footprint, ...]

    @property
    def centre(self) -> np.ndarray:
        """(3,) metres: mean of the objects' origins."""
        return np.mean([i.t_ref_obj for i in self.instances], axis=0)


def choose_bodies(
    rng: np.random.Generator, config: SceneConfig, bodies: Sequence[Body], count: int | None = None
) -> list[Body]:
    """Different objects in random order; as many as the configured range says if not given."""
    low, high = (min(n, len(bodies)) for n in config.object_count)
    count = rng.integers(low, high + 1) if count is None else min(count, len(bodies))
    return [bodies[i] for i in rng.permutation(len(bodies))[:count]]


def place_objects(
    rng: np.random.Generator, config: SceneConfig, bodies: Sequence[Body], eye: np.ndarray
) -> Placement | None:
    """Stand objects about the origin so that a camera at ``eye`` sees them within the ranges.

    Returns:
        None if this attempt found no room.
    """
    instances: list[Instance] = []
    footprints: list[Footprint] = []
    for body in bodies:
        for _ in range(PLACE_ATTEMPTS):
            instance, footprint = _stand(rng, config, body, eye, footprints)
            free = not any(footprint.overlaps(f) for f in footprints)
            if free and in_range(instance, config, eye):
                instances.append(instance)
                footprints.append(footprint)
                break
        else:
            return None
    return Placement(tuple(bodies), tuple(instances), tuple(footprints))


def in_range(instance: Instance, config: SceneConfig, eye: np.ndarray) -> bool:
    """Whether a camera at ``eye`` sees the object within the configured ranges.

    The azimuth of an object that lies on another face is left alone: it means nothing there.
    """
    to_eye = eye - instance.t_ref_obj
    azimuth, _ = azimuth_and_elevation(instance.R_ref_obj.T @ to_eye)
    _, elevation = azimuth_and_elevation(to_eye)
    upright = instance.R_ref_obj[2, 2] > 1 - 1e-9
    return bool(
        config.distance_m[0] <= np.linalg.norm(to_eye) <= config.distance_m[1]
        and config.elevation_deg[0] <= np.degrees(elevation) <= config.elevation_deg[1]
        and (not upright or config.azimuth_deg[0] <= np.degrees(azimuth) <= config.azimuth_deg[1])
    )


def beside(
    rng: np.random.Generator,
    radius: float,
    neighbours: Sequence[Footprint],
    spacing: tuple[float, float],
) -> np.ndarray:
    """(2,) metres: a place next to a random neighbour; the origin where there is none yet.

    Args:
        rng: Source of chance.
        radius: Of what is to stand there, metres.
        neighbours: What stands there already.
        spacing: Range of the distance over the sum of the radii.
    """
    if not neighbours:
        return np.zeros(2)
    other = neighbours[rng.integers(len(neighbours))]
    angle = rng.uniform(0, 2 * np.pi)
    gap = (other.radius + radius) * rng.uniform(*spacing)
    return other.centre + gap * np.array([np.cos(angle), np.sin(angle)])


def random_gloss(rng: np.random.Generator, config: SceneConfig) -> dict[str, float]:
    """Arguments of an :class:`Instance` that say how it shines."""
    return {
        "specular": rng.uniform(*config.specular),
        "shininess": rng.uniform(*config.shininess),
    }


def _stand(
    rng: np.random.Generator,
    config: SceneConfig,
    body: Body,
    eye: np.ndarray,
    neighbours: Sequence[Footprint],
) -> tuple[Instance, Footprint]:
    """One try: a resting face, a place beside a neighbour, an azimuth."""
    rest = body.rests[0]
    if len(body.rests) > 1 and rng.random() < config.other_face_probability:
        rest = body.rests[rng.integers(1, len(body.rests))]
    radius = np.linalg.norm(body.vertices @ rest[:2].T, axis=1).max()
    place = beside(rng, radius, neighbours, config.spacing)
    azimuth = np.radians(rng.uniform(*config.azimuth_deg))
    bearing, _ = azimuth_and_elevation(eye - [*place, 0])
    R = rotation_z(bearing - azimuth) @ rest
    vertices = body.vertices @ R.T
    t = np.array([*place, -vertices[:, 2].min()])
    instance = Instance(body.model.name, R, t, **random_gloss(rng, config))
    return instance, Footprint.of(vertices[:, :2] + place)

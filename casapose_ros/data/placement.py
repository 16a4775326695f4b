"""Setting known objects down so that a camera sees them within given ranges.

World frame: metres, floor plane z = 0, z up.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from casapose_ros.data.materials import object_recolouring, stained
from casapose_ros.data.pile import Landing, Pile, Relief, snapped
from casapose_ros.data.scene_config import SceneConfig
from casapose_ros.data.stage import Instance, Material
from casapose_ros.data.viewpoints import azimuth_and_elevation, rotation_z
from casapose_ros.geometry import rotation_from_vector
from casapose_ros.types import ObjectModel

TURNS = 6
"""Orientations that are tried for an object before giving up."""
PLACES = 12
"""Places that are tried with each orientation."""
ROUNDING = 1e-9
"""Metres or degrees by which a value may miss a range."""
ON_FLOOR_M = 0.001
MANNERS = ("standing", "leaning", "stacked", "floating")
"""Ways to be in a scene, in the order in which objects are placed."""


@dataclass(frozen=True)
class Body:
    """A known object as the scene sampler sees it.

    Attributes:
        model: The object's description.
        points: (N, 3) float32 metres, object frame, all over the surface.
        rests: (n, 3, 3) rotations that lay the object on a face; the first is upright.
        radius: Metres from its upright axis to its farthest point.
    """

    model: ObjectModel
    points: np.ndarray
    rests: np.ndarray
    radius: float


@dataclass
class Arrangement:
    """What stands in the world so far.

    Attributes:
        pile: Its height field.
        places: (x, y) metres of everything that others may be put beside.
        radii: Half the diagonal of what each of them covers, metres.
    """

    pile: Pile = field(default_factory=Pile)
    places: list[tuple[float, float]] = field(default_factory=list)
    radii: list[float] = field(default_factory=list)

    def add(self, relief: Relief, place: tuple[float, float], height: float) -> None:
        self.pile.add(relief, place, height)
        self.places.append(place)
        self.radii.append(relief.radius)

    def beside(
        self, rng: np.random.Generator, radius: float, spacing: tuple[float, float]
    ) -> tuple[float, float]:
        """(x, y) metres: a place next to a random neighbour; the origin where there is none yet.

        Args:
            rng: Source of chance.
            radius: Of what is to be put there, metres.
            spacing: Range of the distance over the sum of the radii.
        """
        if not self.places:
            return 0.0, 0.0
        other = rng.integers(len(self.places))
        angle = rng.uniform(0, 2 * math.pi)
        gap = (self.radii[other] + radius) * rng.uniform(*spacing)
        x, y = self.places[other]
        return snapped((x + gap * math.cos(angle), y + gap * math.sin(angle)))


@dataclass(frozen=True)
class Placement:
    """Known objects in the world.

    Attributes:
        bodies: The objects.
        instances: Where each of them is.
        arrangement: The room that they leave to others.
    """

    bodies: tuple[Body, ...]
    instances: tuple[Instance, ...]
    arrangement: Arrangement

    @property
    def centre(self) -> np.ndarray:
        """(3,) metres: mean of the objects' origins."""
        return np.mean([i.t_ref_obj for i in self.instances], axis=0)


def choose_bodies(
    rng: np.random.Generator, config: SceneConfig, bodies: Sequence[Body], count: int | None = None
) -> list[Body]:
    """Objects in random order, each as often as the configured range says.

    Args:
        rng: Source of chance.
        config: Ranges.
        bodies: The objects to choose from.
        count: Number of different objects; drawn from the configured range if None.
    """
    low, high = (min(n, len(bodies)) for n in config.object_count)
    count = rng.integers(low, high + 1) if count is None else min(count, len(bodies))
    chosen = [bodies[i] for i in rng.permutation(len(bodies))[:count]]
    fewest, most = config.instances_per_object
    if most == 1:  # no number drawn: see furnishing
        return chosen
    repeated = [b for b in chosen for _ in range(rng.integers(fewest, most + 1))]
    return [repeated[i] for i in rng.permutation(len(repeated))]


def place_objects(
    rng: np.random.Generator, config: SceneConfig, bodies: Sequence[Body], eye: np.ndarray
) -> Placement | None:
    """Put objects about the origin so that a camera at ``eye`` sees them within the ranges.

    Returns:
        None if this attempt found no room.
    """
    manners = sorted((random_manner(rng, config) for _ in bodies), key=MANNERS.index)
    arrangement, instances = Arrangement(), []
    for body, manner in zip(bodies, manners, strict=True):
        instance = _place(rng, config, body, manner, eye, arrangement)
        if instance is None:
            return None
        instances.append(instance)
    return Placement(tuple(bodies), tuple(instances), arrangement)


def random_manner(rng: np.random.Generator, config: SceneConfig) -> str:
    """Whether the next thing stands, leans, is stacked or floats."""
    chance = rng.random()
    for manner in MANNERS[1:]:
        chance -= getattr(config, f"{manner}_probability")
        if chance < 0:
            return manner
    return "standing"


def settle_down(
    arrangement: Arrangement,
    relief: Relief,
    places: Iterable[tuple[float, float]],
    manner: str,
    lift: float,
    fits: Callable[[np.ndarray], bool],
) -> np.ndarray | None:
    """Put a thing at the first place that suits it.

    Args:
        arrangement: What is there; the thing is added.
        relief: The thing in its orientation.
        places: (x, y) metres each, on the pile's grid; tried one after another.
        manner: One of ``MANNERS``.
        lift: Metres between what is below and a thing that floats.
        fits: Tells whether the origin may be at (3,) metres.

    Returns:
        (3,) metres, its origin; None if no place suits.
    """
    for place in places:
        landing = arrangement.pile.land(relief, place)
        if landing is None or not _suits(landing, manner):
            continue
        height = landing.height + (lift if manner == "floating" else 0.0)
        origin = np.array([*place, height])
        if fits(origin):
            arrangement.add(relief, place, height)
            return origin
    return None


def in_range(instance: Instance, config: SceneConfig, eye: np.ndarray) -> bool:
    """Whether a camera at ``eye`` sees the object within the configured ranges.

    The azimuth of an object that lies on another face is left alone: it means nothing there.
    """
    return _in_range(instance.R_ref_obj, instance.t_ref_obj, config, eye)


def _place(
    rng: np.random.Generator,
    config: SceneConfig,
    body: Body,
    manner: str,
    eye: np.ndarray,
    arrangement: Arrangement,
) -> Instance | None:
    """Try orientations; what finds nothing to lean on or to be stacked on stands instead."""
    if not arrangement.places and manner != "floating":
        manner = "standing"
    for turn in range(TURNS):
        if turn == TURNS - 1 and manner != "floating":
            manner = "standing"
        tilted = _tilt(rng, config, body, manner)
        spacing = (0.0, 0.5) if manner == "stacked" else config.spacing
        places = (arrangement.beside(rng, body.radius, spacing) for _ in range(PLACES))
        first = next(places)
        azimuth = np.radians(rng.uniform(*config.azimuth_deg))
        bearing, _ = azimuth_and_elevation(eye - [*first, 0])
        R = rotation_z(bearing - azimuth) @ tilted
        relief = Relief.of(body.points @ R.T.astype(np.float32))
        lift = rng.uniform(*config.float_height_m)

        def fits(origin: np.ndarray, R: np.ndarray = R) -> bool:
            return _in_range(R, origin, config, eye)

        tried = itertools.chain([first], places)
        origin = settle_down(arrangement, relief, tried, manner, lift, fits)
        if origin is not None:
            return Instance(body.model.name, R, origin, material=_material(rng, config))
    return None


def _tilt(rng: np.random.Generator, config: SceneConfig, body: Body, manner: str) -> np.ndarray:
    """(3, 3) rotation from upright to how the object lies, leans or floats."""
    rest = body.rests[0]
    if len(body.rests) > 1 and rng.random() < config.other_face_probability:
        rest = body.rests[rng.integers(1, len(body.rests))]
    tilts = {"leaning": config.lean_deg, "floating": config.float_tilt_deg}
    if manner not in tilts:
        return rest
    angle, towards = np.radians(rng.uniform(*tilts[manner])), rng.uniform(0, 2 * np.pi)
    axis = np.array([np.cos(towards), np.sin(towards), 0.0])
    return rotation_from_vector(angle * axis) @ rest


def _suits(landing: Landing, manner: str) -> bool:
    on_floor = landing.above < ON_FLOOR_M
    if manner == "standing":
        return on_floor
    if manner == "leaning":
        return not on_floor
    if manner == "stacked":
        return not on_floor and landing.is_stable()
    return True


def _in_range(R: np.ndarray, origin: np.ndarray, config: SceneConfig, eye: np.ndarray) -> bool:
    to_eye = eye - origin
    azimuth, _ = azimuth_and_elevation(R.T @ to_eye)
    _, elevation = azimuth_and_elevation(to_eye)
    upright = R[2, 2] > 1 - 1e-9
    return (
        _within(np.linalg.norm(to_eye), config.distance_m)
        and _within(np.degrees(elevation), config.elevation_deg)
        and (not upright or _within(np.degrees(azimuth), config.azimuth_deg))
    )


def _within(value: float, ends: tuple[float, float]) -> bool:
    return ends[0] - ROUNDING <= value <= ends[1] + ROUNDING


def _material(rng: np.random.Generator, config: SceneConfig) -> Material:
    material = Material(
        recolour=object_recolouring(rng, config.recolour),
        specular=rng.uniform(*config.specular),
        shininess=rng.uniform(*config.shininess),
    )
    return stained(rng, material, config.stains, config.stain_m)

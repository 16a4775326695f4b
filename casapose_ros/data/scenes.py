"""Random scenes of known objects on a table: single views, and one that a camera flies round.

World frame: metres, table plane z = 0, z up. A :class:`Scene` is what one image shows, already in
the camera's optical frame.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from casapose_ros.data.furnishing import furnish
from casapose_ros.data.meshes import Mesh, ObjectSet
from casapose_ros.data.placement import (
    Body,
    Placement,
    choose_bodies,
    in_range,
    place_objects,
)
from casapose_ros.data.props import Props
from casapose_ros.data.resting import resting_rotations, surface_points
from casapose_ros.data.scene_config import SceneConfig
from casapose_ros.data.stage import Stage
from casapose_ros.data.surfaces import with_outward_faces
from casapose_ros.data.viewpoints import View, aim, centres_in_image, viewpoint
from casapose_ros.errors import ConfigError
from casapose_ros.types import CameraModel, ObjectModel

SCENE_ATTEMPTS = 1000
AIM = (0.35, 0.65)
"""Where in the image the middle of the objects appears, as a share of width and height."""
ORBIT_PERIOD_S = 24.0
ORBIT_TIMES = np.linspace(0, ORBIT_PERIOD_S, 96, endpoint=False)
"""Seconds at which a path is checked."""
SWINGS = (0.6, 0.5, 0.4, 0.3, 0.2, 0.1)
"""Share of each range that the moving camera sweeps: as much as the objects leave room for."""


@dataclass(frozen=True)
class Scene:
    """What one image shows.

    Attributes:
        camera: The camera.
        objects: Descriptions of the known objects.
        stage: Everything drawn, in the camera's optical frame; its first instances are
            ``objects``, in their order.
    """

    camera: CameraModel
    objects: tuple[ObjectModel, ...]
    stage: Stage


def load_bodies(object_set: ObjectSet, names: Sequence[str] = ()) -> dict[str, tuple[Body, Mesh]]:
    """The named objects of a set (all of them if no name is given), with their meshes.

    Warns:
        UserWarning: Faces of a mesh look inwards; the message says what is done about it.

    Raises:
        ConfigError: A name is not in the set.
    """
    known = {obj.name: obj for obj in object_set.objects}
    for name in names:
        if name not in known:
            raise ConfigError(f"no object {name!r} in {object_set.path}; it has {', '.join(known)}")
    chosen = {}
    for name in names or known:
        mesh, fault = with_outward_faces(object_set.mesh(known[name]))
        if fault:
            warnings.warn(f"{object_set.mesh_path(known[name])}: {fault}", stacklevel=2)
        radius = float(np.linalg.norm(mesh.vertices[:, :2], axis=1).max())
        body = Body(known[name], surface_points(mesh), resting_rotations(mesh.vertices), radius)
        chosen[name] = body, mesh
    return chosen


def sample_scene(
    rng: np.random.Generator, config: SceneConfig, bodies: Sequence[Body], props: Props
) -> Scene:
    """Draw one scene.

    Raises:
        ConfigError: The ranges leave no room for that many objects.
    """
    camera = config.camera.model()
    chosen = choose_bodies(rng, config, bodies)
    for _ in range(SCENE_ATTEMPTS):
        elevation = np.radians(rng.uniform(*config.elevation_deg))
        eye = viewpoint(0.0, elevation, rng.uniform(*config.distance_m))
        placed = place_objects(rng, config, chosen, eye)
        if placed is None:
            continue
        pixel = np.array([camera.width, camera.height]) * rng.uniform(*AIM, 2)
        roll = np.radians(rng.uniform(*config.roll_deg))
        view = aim(camera, eye, placed.centre, roll, pixel)
        if centres_in_image(placed.instances, camera, view, config.centre_margin_px):
            return _seen(camera, placed, furnish(rng, config, props, placed, eye[None]), view)
    raise _no_room(config)


class MovingScene:
    """One scene that a camera flies round, smoothly and for ever, within the configured ranges.

    It has as many different objects as the configuration allows.

    Args:
        rng: Source of chance; used here only, not by :meth:`at`.
        config: Ranges; every object keeps them at all times.
        bodies: The objects to choose from.
        props: What to furnish the scene with.

    Raises:
        ConfigError: The ranges leave no room for that many objects.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        config: SceneConfig,
        bodies: Sequence[Body],
        props: Props,
    ) -> None:
        self._camera = config.camera.model()
        self._placed, self._orbit = self._place(rng, config, bodies)
        eyes = np.stack([self._orbit.eye(t) for t in ORBIT_TIMES])
        self._world = furnish(rng, config, props, self._placed, eyes)

    def at(self, seconds: float) -> Scene:
        """What the camera sees at a time; repeats after ``ORBIT_PERIOD_S``."""
        view = self._orbit.view(self._camera, seconds)
        return _seen(self._camera, self._placed, self._world, view)

    def _place(
        self, rng: np.random.Generator, config: SceneConfig, bodies: Sequence[Body]
    ) -> tuple[Placement, Orbit]:
        chosen = choose_bodies(rng, config, bodies, config.object_count[1])
        for swing in SWINGS:
            for _ in range(SCENE_ATTEMPTS // len(SWINGS)):
                narrow = _narrowed(config, swing)
                eye = viewpoint(0.0, *_middle(config))
                placed = place_objects(rng, narrow, chosen, eye)
                if placed is None:
                    continue
                orbit = Orbit.sample(rng, config, swing, placed.centre)
                if self._keeps_ranges(config, placed, orbit):
                    return placed, orbit
        raise _no_room(config)

    def _keeps_ranges(self, config: SceneConfig, placed: Placement, orbit: Orbit) -> bool:
        for seconds in ORBIT_TIMES:
            eye, view = orbit.eye(seconds), orbit.view(self._camera, seconds)
            margin = config.centre_margin_px
            if not centres_in_image(placed.instances, self._camera, view, margin):
                return False
            if not all(in_range(i, config, eye) for i in placed.instances):
                return False
        return True


@dataclass(frozen=True)
class Orbit:
    """A camera's periodic path about a target: each coordinate swings as a sine.

    Attributes:
        target: (3,) metres, world; always in the middle of the image.
        middle: (4,) azimuth, elevation (radians), distance (metres), roll (radians).
        amplitude: (4,) how far each of them swings.
        phase: (4,) radians.
    """

    target: np.ndarray
    middle: np.ndarray
    amplitude: np.ndarray
    phase: np.ndarray

    HARMONICS = np.array([1, 2, 3, 1])
    """How often each coordinate swings per period; different, so that the views differ."""

    @classmethod
    def sample(
        cls, rng: np.random.Generator, config: SceneConfig, swing: float, target: np.ndarray
    ) -> Orbit:
        """Sweep the share ``swing`` of each range about its middle."""
        degrees = (config.azimuth_deg, config.elevation_deg, config.roll_deg)
        azimuth, elevation, roll = (np.radians(r[1] - r[0]) / 2 for r in degrees)
        distance = (config.distance_m[1] - config.distance_m[0]) / 2
        middle_roll = np.radians(sum(config.roll_deg) / 2)
        return cls(
            target=target,
            middle=np.array([0.0, *_middle(config), middle_roll]),
            amplitude=swing * np.array([azimuth, elevation, distance, roll]),
            phase=np.array([0.0, *rng.uniform(0, 2 * np.pi, 3)]),
        )

    def eye(self, seconds: float) -> np.ndarray:
        """(3,) metres, world: the camera's place."""
        azimuth, elevation, distance, _ = self._coordinates(seconds)
        return self.target + viewpoint(azimuth, elevation, distance)

    def view(self, camera: CameraModel, seconds: float) -> View:
        roll = self._coordinates(seconds)[3]
        return aim(camera, self.eye(seconds), self.target, roll, camera.K[:2, 2])

    def _coordinates(self, seconds: float) -> np.ndarray:
        turn = 2 * np.pi * seconds / ORBIT_PERIOD_S
        return self.middle + self.amplitude * np.sin(self.HARMONICS * turn + self.phase)


def _seen(camera: CameraModel, placed: Placement, world: Stage, view: View) -> Scene:
    stage = world.moved(view.R_cam_world, view.t_cam_world)
    return Scene(camera, tuple(body.model for body in placed.bodies), stage)


def _middle(config: SceneConfig) -> tuple[float, float]:
    """Elevation (radians) and distance (metres) in the middle of their ranges."""
    return np.radians(sum(config.elevation_deg) / 2), sum(config.distance_m) / 2


def _narrowed(config: SceneConfig, swing: float) -> SceneConfig:
    """The azimuths that stay in range however the camera swings about the objects."""
    low, high = config.azimuth_deg
    keep = swing * (high - low) / 2
    return replace(config, azimuth_deg=(low + keep, high - keep))


def _no_room(config: SceneConfig) -> ConfigError:
    low, high = np.multiply(config.object_count, config.instances_per_object)
    return ConfigError(
        f"no room for {low} to {high} objects at {config.distance_m} m after {SCENE_ATTEMPTS} "
        "attempts: widen the ranges or ask for fewer objects"
    )

"""Random scenes: known objects and distractors standing on a table, lamps, a camera.

World frame: metres, table plane z = 0, z up. A :class:`Scene` is what one image shows, already in
the camera's optical frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from casapose_ros.data import textures
from casapose_ros.data.meshes import Mesh, ObjectSet
from casapose_ros.data.placement import (
    Footprint,
    azimuth_and_elevation,
    resting_rotations,
    rotation_z,
)
from casapose_ros.data.primitives import DISTRACTORS, TABLE
from casapose_ros.data.scene_config import LightConfig, SceneConfig
from casapose_ros.data.stage import Instance, Lamp, Stage
from casapose_ros.errors import ConfigError
from casapose_ros.geometry import look_at, rotation_from_vector
from casapose_ros.types import CameraModel, ObjectModel

SCENE_ATTEMPTS = 300
PLACE_ATTEMPTS = 30
AIM = (0.4, 0.6)
"""Where in the image the middle of the objects appears, as a share of width and height."""
UP = np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True)
class Body:
    """A known object as the scene sampler sees it.

    Attributes:
        model: The object's description.
        vertices: (V, 3) metres, object frame.
        rests: (n, 3, 3) rotations that lay the object on a face; the first is upright.
    """

    model: ObjectModel
    vertices: np.ndarray
    rests: np.ndarray


@dataclass(frozen=True)
class View:
    """Pose of the world in the camera's optical frame: ``p_cam = R p_world + t``, metres."""

    R_cam_world: np.ndarray
    t_cam_world: np.ndarray


@dataclass(frozen=True)
class Placement:
    """Known objects standing in the world.

    Attributes:
        bodies: The objects chosen.
        instances: Where each of them stands.
        footprints: What each of them covers of the table.
    """

    bodies: tuple[Body, ...]
    instances: tuple[Instance, ...]
    footprints: tuple[Footprint, ...]


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

    Raises:
        ConfigError: A name is not in the set.
    """
    known = {obj.name: obj for obj in object_set.objects}
    for name in names:
        if name not in known:
            raise ConfigError(f"no object {name!r} in {object_set.path}; it has {', '.join(known)}")
    chosen = {}
    for name in names or known:
        mesh = object_set.mesh(known[name])
        body = Body(known[name], mesh.vertices, resting_rotations(mesh.vertices))
        chosen[name] = (body, mesh)
    return chosen


def sample_scene(
    rng: np.random.Generator, config: SceneConfig, bodies: Sequence[Body]
) -> Scene:
    """Draw one scene.

    Raises:
        ConfigError: The ranges leave no room for that many objects.
    """
    camera = config.camera.model()
    for _ in range(SCENE_ATTEMPTS):
        elevation = np.radians(rng.uniform(*config.elevation_deg))
        eye = viewpoint(-np.pi / 2, elevation, rng.uniform(*config.distance_m))
        placed = place_objects(rng, config, bodies, [eye])
        if placed is None:
            continue
        target = np.mean([i.t_ref_obj for i in placed.instances], axis=0)
        pixel = np.array([camera.width, camera.height]) * rng.uniform(*AIM, 2)
        view = aim(camera, eye, target, np.radians(rng.uniform(*config.roll_deg)), pixel)
        if centres_in_image(placed.instances, camera, view, config.centre_margin_px):
            world = furnish(rng, config, placed, eye)
            stage = world.moved(view.R_cam_world, view.t_cam_world)
            return Scene(camera, tuple(b.model for b in placed.bodies), stage)
    raise ConfigError(
        f"no place for {config.object_count} objects in {SCENE_ATTEMPTS} attempts: "
        "widen the ranges or ask for fewer objects"
    )


def place_objects(
    rng: np.random.Generator,
    config: SceneConfig,
    bodies: Sequence[Body],
    eyes: Sequence[np.ndarray],
) -> Placement | None:
    """Stand objects about the origin so that cameras at all ``eyes`` see them in the ranges.

    Yaw is drawn relative to the first of the eyes ((3,) metres, world).

    Returns:
        None if there is no room.
    """
    low, high = config.object_count
    count = rng.integers(min(low, len(bodies)), min(high, len(bodies)) + 1)
    chosen = [bodies[i] for i in rng.permutation(len(bodies))[:count]]
    instances: list[Instance] = []
    footprints: list[Footprint] = []
    for body in chosen:
        for _ in range(PLACE_ATTEMPTS):
            instance, footprint = _stand(rng, config, body, eyes[0], footprints)
            free = not any(footprint.overlaps(f) for f in footprints)
            if free and all(_in_range(instance, config, eye) for eye in eyes):
                instances.append(instance)
                footprints.append(footprint)
                break
        else:
            return None
    return Placement(tuple(chosen), tuple(instances), tuple(footprints))


def furnish(
    rng: np.random.Generator,
    config: SceneConfig,
    placed: Placement,
    eye: np.ndarray,
) -> Stage:
    """Add distractors, table, lamps and background to objects that stand in the world.

    Distractors keep away from the camera at ``eye``.
    """
    footprints = list(placed.footprints)
    clutter = []
    low, high = config.distractor_count
    for _ in range(rng.integers(low, high + 1)):
        for _ in range(PLACE_ATTEMPTS):
            instance, footprint = _distractor(rng, config, footprints)
            near = np.linalg.norm(instance.t_ref_obj - eye) < config.distance_m[0] / 2
            if not near and not any(footprint.overlaps(f) for f in footprints):
                clutter.append(instance)
                footprints.append(footprint)
                break
    table = Instance(
        TABLE,
        rotation_z(rng.uniform(0, 2 * np.pi)),
        np.zeros(3),
        np.array([1, 1, 0]) * rng.uniform(*config.table_size_m) + UP,
        textures.random_texture(rng, 512),
        *_gloss(rng, config),
        casts_shadow=False,
    )
    focus = np.mean([i.t_ref_obj for i in placed.instances], axis=0)
    ambient = rng.uniform(*config.light.ambient)
    sky = ambient * _tint(rng, config.light)
    return Stage(
        instances=(*placed.instances, *clutter, table),
        lamps=_lamps(rng, config.light, focus),
        up=UP,
        focus=focus,
        sky=sky,
        ground=sky * rng.uniform(0.4, 0.9),
        background=textures.random_texture(rng),
        shadow_blur=rng.uniform(*config.light.shadow_blur_m),
    )


def viewpoint(bearing: float, elevation: float, distance: float) -> np.ndarray:
    """(3,) metres: a place seen from the origin; bearing from world x towards y, radians."""
    flat = np.array([np.cos(bearing), np.sin(bearing), 0.0])
    return distance * (flat * np.cos(elevation) + UP * np.sin(elevation))


def aim(
    camera: CameraModel, eye: np.ndarray, target: np.ndarray, roll: float, pixel: np.ndarray
) -> View:
    """A view from ``eye`` that shows ``target`` at ``pixel``.

    Args:
        camera: Its intrinsics.
        eye: (3,) metres, world.
        target: (3,) metres, world.
        roll: Turn about the optical axis before the target is moved to ``pixel``, radians.
        pixel: (2,) px, x then y.
    """
    # Straight down there is no up in the image; world y takes its place.
    steep = np.linalg.norm(np.cross(target - eye, UP)) < 0.01 * np.linalg.norm(target - eye)
    R, _ = look_at(eye, target, np.array([0.0, 1.0, 0.0]) if steep else UP)
    ray = np.linalg.solve(camera.K, [*pixel, 1.0])
    axis = np.cross([0.0, 0.0, 1.0], ray / np.linalg.norm(ray))
    sine = np.linalg.norm(axis)
    turn = rotation_from_vector(axis * (np.arcsin(sine) / sine if sine > 0 else 1.0))
    R = turn @ rotation_z(roll) @ R
    return View(R, -R @ eye)


def centres_in_image(
    instances: Sequence[Instance], camera: CameraModel, view: View, margin: float
) -> bool:
    """Whether the origins of all instances project at least ``margin`` px inside the image."""
    origins = np.stack([i.t_ref_obj for i in instances])
    rays = (origins @ view.R_cam_world.T + view.t_cam_world) @ camera.K.T
    pixels = rays[:, :2] / rays[:, 2:]
    size = np.array([camera.width, camera.height])
    inside = (pixels >= margin) & (pixels <= size - 1 - margin)
    return bool((rays[:, 2] > 0).all() and inside.all())


def _stand(
    rng: np.random.Generator,
    config: SceneConfig,
    body: Body,
    eye: np.ndarray,
    neighbours: Sequence[Footprint],
) -> tuple[Instance, Footprint]:
    rest = body.rests[0]
    if len(body.rests) > 1 and rng.random() < config.other_face_probability:
        rest = body.rests[rng.integers(1, len(body.rests))]
    radius = np.linalg.norm(body.vertices @ rest[:2].T, axis=1).max()
    place = _beside(rng, radius, neighbours, config.spacing)
    azimuth = np.radians(rng.uniform(*config.azimuth_deg))
    to_eye = eye[:2] - place
    R = rotation_z(np.arctan2(to_eye[1], to_eye[0]) + np.pi / 2 - azimuth) @ rest
    vertices = body.vertices @ R.T
    t = np.array([*place, -vertices[:, 2].min()])
    specular, shininess = _gloss(rng, config)
    instance = Instance(body.model.name, R, t, specular=specular, shininess=shininess)
    return instance, Footprint.of(vertices[:, :2] + place)


def _beside(
    rng: np.random.Generator,
    radius: float,
    neighbours: Sequence[Footprint],
    spacing: tuple[float, float],
) -> np.ndarray:
    """(2,) metres: a place next to a random neighbour; the origin where there is none yet."""
    if not neighbours:
        return np.zeros(2)
    other = neighbours[rng.integers(len(neighbours))]
    angle = rng.uniform(0, 2 * np.pi)
    gap = (other.radius + radius) * rng.uniform(*spacing)
    return other.centre + gap * np.array([np.cos(angle), np.sin(angle)])


def _in_range(instance: Instance, config: SceneConfig, eye: np.ndarray) -> bool:
    to_eye = eye - instance.t_ref_obj
    azimuth, _ = azimuth_and_elevation(instance.R_ref_obj.T @ to_eye)
    _, elevation = azimuth_and_elevation(to_eye)
    upright = instance.R_ref_obj[2, 2] > 1 - 1e-9
    return bool(
        config.distance_m[0] <= np.linalg.norm(to_eye) <= config.distance_m[1]
        and config.elevation_deg[0] <= np.degrees(elevation) <= config.elevation_deg[1]
        and (not upright or config.azimuth_deg[0] <= np.degrees(azimuth) <= config.azimuth_deg[1])
    )


def _distractor(
    rng: np.random.Generator, config: SceneConfig, neighbours: Sequence[Footprint]
) -> tuple[Instance, Footprint]:
    shape = DISTRACTORS[rng.integers(len(DISTRACTORS))]
    scale = rng.uniform(*config.distractor_size_m, 3)
    place = _beside(rng, np.linalg.norm(scale[:2]) / 2, neighbours, config.spacing)
    R = rotation_z(rng.uniform(0, 2 * np.pi))
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) / 2 * scale[:2]
    instance = Instance(
        shape,
        R,
        np.array([*place, scale[2] / 2]),
        scale,
        textures.random_texture(rng, 128),
        *_gloss(rng, config),
    )
    return instance, Footprint.of(corners @ R[:2, :2].T + place)


def _lamps(rng: np.random.Generator, config: LightConfig, focus: np.ndarray) -> tuple[Lamp, ...]:
    key = _lamp(rng, config, focus, rng.uniform(*config.key))
    low, high = config.fill_count
    fills = [
        _lamp(rng, config, focus, rng.uniform(*config.fill))
        for _ in range(rng.integers(low, high + 1))
    ]
    return key, *fills


def _lamp(
    rng: np.random.Generator, config: LightConfig, focus: np.ndarray, strength: float
) -> Lamp:
    elevation = np.radians(rng.uniform(*config.key_elevation_deg))
    distance = rng.uniform(*config.key_distance_m)
    position = focus + viewpoint(rng.uniform(0, 2 * np.pi), elevation, distance)
    return Lamp(position, strength * _tint(rng, config))


def _tint(rng: np.random.Generator, config: LightConfig) -> np.ndarray:
    return 1 + rng.uniform(-config.tint, config.tint, 3)


def _gloss(rng: np.random.Generator, config: SceneConfig) -> tuple[float, float]:
    return rng.uniform(*config.specular), rng.uniform(*config.shininess)

"""What surrounds the known objects: table, distractors, lamps, background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from casapose_ros.data import textures
from casapose_ros.data.footprints import Footprint
from casapose_ros.data.placement import PLACE_ATTEMPTS, Placement, beside, random_gloss
from casapose_ros.data.primitives import DISTRACTORS, TABLE
from casapose_ros.data.scene_config import LightConfig, SceneConfig
from casapose_ros.data.stage import Instance, Lamp, Stage
from casapose_ros.data.viewpoints import UP, rotation_z, viewpoint

TABLE_PX, DISTRACTOR_PX = 512, 128
"""Edge of the textures."""
KEEP_AWAY = 0.5
"""Distractors stay this share of the least object distance away from the camera."""


def furnish(
    rng: np.random.Generator, config: SceneConfig, placed: Placement, eyes: np.ndarray
) -> Stage:
    """A whole stage (world frame) about objects that stand in the world.

    Args:
        rng: Source of chance.
        config: Ranges.
        placed: The objects; they become the stage's first instances.
        eyes: (n, 3) metres, places of the camera, which distractors keep away from.
    """
    clutter = _distractors(rng, config, placed, eyes)
    ambient = rng.uniform(*config.light.ambient) * _tint(rng, config.light)
    return Stage(
        instances=(*placed.instances, *clutter, _table(rng, config)),
        lamps=_lamps(rng, config.light, placed.centre),
        up=UP,
        focus=placed.centre,
        sky=ambient,
        ground=ambient * rng.uniform(0.4, 0.9),
        background=textures.random_texture(rng),
        shadow_blur=rng.uniform(*config.light.shadow_blur_m),
    )


def _table(rng: np.random.Generator, config: SceneConfig) -> Instance:
    size = rng.uniform(*config.table_size_m)
    return Instance(
        TABLE,
        rotation_z(rng.uniform(0, 2 * np.pi)),
        np.zeros(3),
        scale=np.array([size, size, 1.0]),
        texture=textures.random_texture(rng, TABLE_PX),
        casts_shadow=False,
        **random_gloss(rng, config),
    )


def _distractors(
    rng: np.random.Generator, config: SceneConfig, placed: Placement, eyes: np.ndarray
) -> list[Instance]:
    """As many as there is room for, up to the number drawn."""
    footprints = list(placed.footprints)
    found = []
    low, high = config.distractor_count
    for _ in range(rng.integers(low, high + 1)):
        for _ in range(PLACE_ATTEMPTS):
            instance, footprint = _distractor(rng, config, footprints)
            distance = np.linalg.norm(eyes - instance.t_ref_obj, axis=1).min()
            free = not any(footprint.overlaps(f) for f in footprints)
            if free and distance > KEEP_AWAY * config.distance_m[0]:
                textured = textures.random_texture(rng, DISTRACTOR_PX)
                found.append(replace(instance, texture=textured))
                footprints.append(footprint)
                break
    return found


def _distractor(
    rng: np.random.Generator, config: SceneConfig, neighbours: Sequence[Footprint]
) -> tuple[Instance, Footprint]:
    shape = DISTRACTORS[rng.integers(len(DISTRACTORS))]
    scale = rng.uniform(*config.distractor_size_m, 3)
    place = beside(rng, np.linalg.norm(scale[:2]) / 2, neighbours, config.spacing)
    R = rotation_z(rng.uniform(0, 2 * np.pi))
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) / 2 * scale[:2]
    t = np.array([*place, scale[2] / 2])
    instance = Instance(shape, R, t, scale, **random_gloss(rng, config))
    return instance, Footprint.of(corners @ R[:2, :2].T + place)


def _lamps(rng: np.random.Generator, config: LightConfig, focus: np.ndarray) -> tuple[Lamp, ...]:
    low, high = config.fill_count
    strengths = [rng.uniform(*config.key)]
    strengths += [rng.uniform(*config.fill) for _ in range(rng.integers(low, high + 1))]
    return tuple(_lamp(rng, config, focus, strength) for strength in strengths)


def _lamp(
    rng: np.random.Generator, config: LightConfig, focus: np.ndarray, strength: float
) -> Lamp:
    elevation = np.radians(rng.uniform(*config.elevation_deg))
    distance = rng.uniform(*config.distance_m)
    position = focus + viewpoint(rng.uniform(0, 2 * np.pi), elevation, distance)
    return Lamp(position, strength * _tint(rng, config))


def _tint(rng: np.random.Generator, config: LightConfig) -> np.ndarray:
    return 1 + rng.uniform(-config.tint, config.tint, 3)

"""What surrounds the known objects: table, papers, distractors, lamps, background."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from casapose_ros.data.materials import PHOTO_RECOLOUR, any_material, stained
from casapose_ros.data.pile import Relief, snapped
from casapose_ros.data.placement import (
    PLACES,
    Arrangement,
    Placement,
    random_manner,
    settle_down,
)
from casapose_ros.data.props import Props
from casapose_ros.data.scene_config import LightConfig, SceneConfig
from casapose_ros.data.stage import Instance, Lamp, Material, Sheet, Stage
from casapose_ros.data.viewpoints import UP, rotation_z, viewpoint
from casapose_ros.geometry import rotation_from_vector

KEEP_AWAY = 0.5
"""Distractors stay this share of the least object distance away from the camera."""


def furnish(
    rng: np.random.Generator,
    config: SceneConfig,
    props: Props,
    placed: Placement,
    eyes: np.ndarray,
) -> Stage:
    """A whole stage (world frame) about objects that stand in the world.

    Args:
        rng: Source of chance.
        config: Ranges.
        props: What there is to furnish with.
        placed: The objects; they become the stage's first instances.
        eyes: (n, 3) metres, places of the camera, which distractors keep away from.
    """
    clutter = _distractors(rng, config, props, placed.arrangement, eyes)
    ambient = rng.uniform(*config.light.ambient) * _tint(rng, config.light)
    return Stage(
        instances=(*placed.instances, *clutter),
        floor=_floor(rng, config, props),
        lamps=_lamps(rng, config.light, placed.centre),
        up=UP,
        focus=placed.centre,
        sky=ambient,
        ground=ambient * rng.uniform(0.3, 0.8),
        background=_furniture(rng, config, props, (0.5, 1.5)),
        shadow_blur=rng.uniform(*config.light.shadow_blur_m),
    )


def _furniture(
    rng: np.random.Generator, config: SceneConfig, props: Props, repetitions: tuple[float, float]
) -> Material:
    shine = config.furniture_specular, config.furniture_shininess
    # Scenarios without such things draw no number for them: their frames stay what they were.
    if config.lookalike_probability and rng.random() < config.lookalike_probability:
        return any_material(rng, props.object_textures, *shine, repetitions, config.recolour)
    if config.photo_probability and rng.random() < config.photo_probability:
        return any_material(rng, props.photos, *shine, repetitions, PHOTO_RECOLOUR)
    return any_material(rng, props.textures, *shine, repetitions)


def _floor(rng: np.random.Generator, config: SceneConfig, props: Props) -> tuple[Sheet, ...]:
    """The table top, then papers on it."""
    size = rng.uniform(*config.table_size_m, 2)
    material = _furniture(rng, config, props, (1.0, 1.0))
    material = replace(material, uv_scale=size / rng.uniform(*config.pattern_m))
    turn = rotation_z(rng.uniform(0, 2 * np.pi))
    sheets = [Sheet(turn, np.zeros(3), size, material)]
    low, high = config.sheet_count
    for _ in range(rng.integers(low, high + 1)):
        edges = rng.uniform(*config.sheet_size_m, 2)
        place = turn @ [*(rng.uniform(-0.5, 0.5, 2) * np.maximum(size - edges, 0).clip(max=1)), 0]
        material = _furniture(rng, config, props, (0.3, 1.0))
        sheets.append(Sheet(rotation_z(rng.uniform(0, 2 * np.pi)), place, edges, material))
    return tuple(sheets)


def _distractors(
    rng: np.random.Generator,
    config: SceneConfig,
    props: Props,
    arrangement: Arrangement,
    eyes: np.ndarray,
) -> list[Instance]:
    """As many as there is room for, up to the number drawn."""
    low, high = config.distractor_count
    tried = (
        _distractor(rng, config, props, arrangement, eyes)
        for _ in range(rng.integers(low, high + 1))
    )
    return [instance for instance in tried if instance is not None]


def _distractor(
    rng: np.random.Generator,
    config: SceneConfig,
    props: Props,
    arrangement: Arrangement,
    eyes: np.ndarray,
) -> Instance | None:
    shape = list(props.shapes)[rng.integers(len(props.shapes))]
    scale = rng.uniform(*config.distractor_size_m, 3)
    manner = random_manner(rng, config)
    R = rotation_z(rng.uniform(0, 2 * np.pi))
    tilts = {"leaning": config.lean_deg, "floating": config.float_tilt_deg}
    if manner in tilts:
        angle = np.radians(rng.uniform(*tilts[manner]))
        R = R @ rotation_from_vector([angle, 0, 0])
    relief = Relief.of((props.points[shape] * scale.astype(np.float32)) @ R.T.astype(np.float32))
    if rng.random() < config.scattered_probability:
        places = (_scattered(rng, config) for _ in range(PLACES))
    else:
        places = (arrangement.beside(rng, relief.radius, config.spacing) for _ in range(PLACES))

    def fits(origin: np.ndarray) -> bool:
        distance = np.linalg.norm(eyes - origin, axis=1).min()
        return distance > KEEP_AWAY * config.distance_m[0]

    lift = rng.uniform(*config.float_height_m)
    origin = settle_down(arrangement, relief, places, manner, lift, fits)
    if origin is None:
        return None
    material = _furniture(rng, config, props, (0.25, 1.5))
    material = stained(rng, material, config.stains, config.stain_m)
    return Instance(shape, R, origin, scale, material)


def _scattered(rng: np.random.Generator, config: SceneConfig) -> tuple[float, float]:
    angle, distance = rng.uniform(0, 2 * math.pi), rng.uniform(*config.scatter_m)
    return snapped((distance * math.cos(angle), distance * math.sin(angle)))


def _lamps(rng: np.random.Generator, config: LightConfig, focus: np.ndarray) -> tuple[Lamp, ...]:
    low, high = config.fill_count
    strengths = [rng.uniform(*config.key)]
    strengths += [rng.uniform(*config.fill) for _ in range(rng.integers(low, high + 1))]
    strengths.sort(reverse=True)  # the first ones cast shadows
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

"""Random colours and shine of surfaces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from casapose_ros.data.ranges import check_ranges
from casapose_ros.data.stage import Material
from casapose_ros.geometry import rotation_from_vector

LUMINANCE = np.array([0.3, 0.59, 0.11])
GREY_AXIS = np.ones(3) / np.sqrt(3)


@dataclass(frozen=True)
class RecolourConfig:
    """How far the colours of known objects may be from those of their meshes.

    Attributes:
        gain: Factor on all channels.
        tint: Largest deviation of a channel's factor from the others'.
        hue_deg: Turn of the colour circle.
        saturation: Factor on the distance from grey.
    """

    gain: tuple[float, float] = (1.0, 1.0)
    tint: float = 0.0
    hue_deg: tuple[float, float] = (0.0, 0.0)
    saturation: tuple[float, float] = (1.0, 1.0)

    def __post_init__(self) -> None:
        check_ranges(self)


PHOTO_RECOLOUR = RecolourConfig((0.5, 1.3), 0.2, (-20.0, 20.0), (0.4, 1.3))
"""Photos keep colours that things have."""


def recolouring(hue_deg: float, saturation: float, gain: np.ndarray) -> np.ndarray:
    """(3, 3) matrix on RGB: turn the hue, scale the saturation, scale the channels."""
    turn = rotation_from_vector(np.radians(hue_deg) * GREY_AXIS)
    grey = np.tile(LUMINANCE, (3, 1))
    return np.diag(gain) @ (saturation * np.eye(3) + (1 - saturation) * grey) @ turn


def object_recolouring(rng: np.random.Generator, config: RecolourConfig) -> np.ndarray:
    """(3, 3) matrix for a known object."""
    gain = rng.uniform(*config.gain) * (1 + rng.uniform(-config.tint, config.tint, 3))
    return recolouring(rng.uniform(*config.hue_deg), rng.uniform(*config.saturation), gain)


def _any_recolouring(rng: np.random.Generator) -> np.ndarray:
    return recolouring(
        rng.uniform(-180, 180), 1.2 * rng.random() ** 1.5, rng.uniform(0.4, 1.2, 3) ** 0.5
    )


def any_material(
    rng: np.random.Generator,
    textures: Sequence[np.ndarray],
    specular: tuple[float, float],
    shininess: tuple[float, float],
    repetitions: tuple[float, float] = (0.25, 1.5),
    recolour: RecolourConfig | None = None,
) -> Material:
    """Any of the textures in any colours (or near its own), at any place and size."""
    return Material(
        texture=textures[rng.integers(len(textures))],
        recolour=_any_recolouring(rng) if recolour is None else object_recolouring(rng, recolour),
        uv_scale=np.full(2, rng.uniform(*repetitions)),
        uv_offset=rng.uniform(0, 1, 2),
        specular=rng.uniform(*specular),
        shininess=rng.uniform(*shininess),
    )


def stained(
    rng: np.random.Generator,
    material: Material,
    strength: tuple[float, float],
    size_m: tuple[float, float],
) -> Material:
    """The material with stains; as it is, and without a number drawn, if their strength is 0."""
    if not strength[1]:
        return material
    return replace(
        material,
        stains=rng.uniform(*strength),
        stain_size=rng.uniform(*size_m),
        stain_offset=rng.uniform(0, 1, 3),
    )

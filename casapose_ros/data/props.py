"""A store of textures and shapes from which scenes are furnished.

They are made once: a texture takes longer to paint and to upload than a frame to draw. Random
colours, places and sizes keep the scenes different.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from casapose_ros.data.meshes import Mesh
from casapose_ros.data.oddments import random_shape
from casapose_ros.data.primitives import primitive_meshes
from casapose_ros.data.resting import surface_points
from casapose_ros.data.textures import random_texture

TEXTURES, TEXTURE_PX = 64, 512
SHAPES = 48
USUAL_SIZE_M = 0.12
"""Edge of the cube that a shape fills in a scene, as far as the density of points goes."""


@dataclass(frozen=True)
class Props:
    """What can stand in any scene.

    Attributes:
        textures: (h, w, 3) uint8 RGB each.
        shapes: Solids that fill a unit cube about the origin, by name.
        points: (N, 3) float32 points on the surface of each shape.
    """

    textures: tuple[np.ndarray, ...]
    shapes: dict[str, Mesh]
    points: dict[str, np.ndarray]


def make_props(seed: int, textures: int = TEXTURES, texture_px: int = TEXTURE_PX) -> Props:
    """Paint and build; the same seed gives the same props."""
    for_textures, for_shapes = np.random.default_rng([seed, 0x9A17]).spawn(2)
    painted = tuple(random_texture(for_textures, texture_px) for _ in range(textures))
    shapes = primitive_meshes()
    # The tilde keeps them apart from known objects, whose names cannot have one.
    shapes |= {f"~oddment{i}": random_shape(for_shapes) for i in range(SHAPES)}
    return Props(
        painted, shapes, {name: surface_points(m, USUAL_SIZE_M) for name, m in shapes.items()}
    )

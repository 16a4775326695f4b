"""A store of textures and shapes from which scenes are furnished.

They are made once: a texture takes longer to paint and to upload than a frame to draw. Random
colours, places and sizes keep the scenes different.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from casapose_ros.data.colours import surface_colours
from casapose_ros.data.meshes import Mesh
from casapose_ros.data.oddments import random_shape
from casapose_ros.data.primitives import primitive_meshes
from casapose_ros.data.resting import surface_points
from casapose_ros.data.textures import random_texture, two_toned

TEXTURES, TEXTURE_PX = 64, 512
SHAPES = 48
OBJECT_TEXTURES = 48
"""In the known objects' colours, as many for each of them; at least one."""
OBJECT_COLOURS = 256
"""Places of an object whose colours are looked at."""
USUAL_SIZE_M = 0.12
"""Edge of the cube that a shape fills in a scene, as far as the density of points goes."""


@dataclass(frozen=True)
class Props:
    """What can stand in any scene.

    Attributes:
        textures: (h, w, 3) uint8 RGB each.
        shapes: Solids that fill a unit cube about the origin, by name.
        points: (N, 3) float32 points on the surface of each shape.
        object_textures: As ``textures``, in the colours of known objects.
    """

    textures: tuple[np.ndarray, ...]
    shapes: dict[str, Mesh]
    points: dict[str, np.ndarray]
    object_textures: tuple[np.ndarray, ...] = ()

    def in_colours_of(self, objects: Sequence[Mesh], seed: int) -> Props:
        """The same props with textures in the objects' colours, which the seed chooses."""
        rng = np.random.default_rng([seed, 0xC010])
        colours = [surface_colours(rng, mesh, OBJECT_COLOURS)[1] for mesh in objects]
        painted = [
            two_toned(self.textures[rng.integers(len(self.textures))], *rng.choice(seen, 2))
            for _ in range(max(OBJECT_TEXTURES // len(colours), 1))
            for seen in colours
        ]
        return replace(self, object_textures=tuple(painted))


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

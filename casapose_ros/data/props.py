"""A store of textures and shapes from which scenes are furnished.

They are made once: a texture takes longer to paint and to upload than a frame to draw. Random
colours, places and sizes keep the scenes different.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from casapose_ros.data.colours import surface_colours
from casapose_ros.data.meshes import Mesh
from casapose_ros.data.oddments import random_shape
from casapose_ros.data.photos import find_photos, photo_crops
from casapose_ros.data.primitives import primitive_meshes
from casapose_ros.data.resting import surface_points
from casapose_ros.data.scene_config import SceneConfig
from casapose_ros.data.textures import random_texture, two_toned
from casapose_ros.errors import ConfigError

TEXTURES, TEXTURE_PX = 64, 512
SHAPES = 48
OBJECT_TEXTURES = 48
"""In the known objects' colours, as many for each of them; at least one."""
OBJECT_COLOURS = 256
"""Places of an object whose colours are looked at."""
PHOTO_CROPS = 160
"""With ``TEXTURES``, less than the renderer keeps in its memory."""
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
        photos: As ``textures``, parts of photographs.
    """

    textures: tuple[np.ndarray, ...]
    shapes: dict[str, Mesh]
    points: dict[str, np.ndarray]
    object_textures: tuple[np.ndarray, ...] = ()
    photos: tuple[np.ndarray, ...] = ()

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

    def with_photos(self, folder: Path, seed: int) -> Props:
        """The same props with parts of photographs, which the seed chooses.

        Raises:
            ConfigError: The folder has no photos, or one cannot be read.
        """
        rng = np.random.default_rng([seed, 0xF070])
        return replace(self, photos=tuple(photo_crops(rng, folder, PHOTO_CROPS, TEXTURE_PX)))


def check_photos(config: SceneConfig, photos: Path | None) -> None:
    """Whether there are photos where a scenario asks for them.

    Raises:
        ConfigError: There are none.
    """
    if not config.photo_probability:
        return
    if photos is not None:
        find_photos(photos)
    else:
        raise ConfigError(
            f"photo_probability is {config.photo_probability:g}, but there are no photos: name a "
            "folder of them (--photos of casapose render and casapose train), or set it to 0"
        )


def props_for(
    config: SceneConfig, objects: Sequence[Mesh], seed: int, photos: Path | None = None
) -> Props:
    """All that a scenario asks for.

    Args:
        config: The scenario.
        objects: Meshes of its objects.
        seed: The same seed gives the same props.
        photos: Folder of photographs; not read by a scenario that shows none.

    Raises:
        ConfigError: The scenario asks for photos, and there are none, or one cannot be read.
    """
    check_photos(config, photos)
    props = make_props(seed)
    if config.lookalike_probability:
        props = props.in_colours_of(objects, seed)
    return props.with_photos(photos, seed) if config.photo_probability else props


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

"""What the renderer draws: instances of meshes, a floor, lamps, in one frame of reference.

A stage is sampled in world coordinates (floor plane z = 0, z up) and moved into the camera's
optical frame before it is drawn; see :meth:`Stage.moved`. Metres throughout.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

MAX_INSTANCES = 255
"""A label is a byte, and 0 is none of them."""


@dataclass(frozen=True)
class Material:
    """How a surface is coloured and shines.

    Attributes:
        texture: (h, w, 3) uint8 RGB that replaces the mesh's own, or None. The same array gives
            the same texture: it is uploaded once.
        recolour: (3, 3) matrix from the texture's RGB (or the mesh's own colours) to the one seen.
        uv_scale: Repetitions of the texture over its natural extent, (u, v).
        uv_offset: (2,) where it starts.
        specular: Strength of highlights and reflections, 0 (matte) to about 1.
        shininess: Exponent of the highlight.
        stains: How far stains change the colour, 0 (clean) to 1; on meshes, not on sheets.
        stain_size: Metres after which the pattern of stains repeats.
        stain_offset: (3,) where it starts, in repetitions.
    """

    texture: np.ndarray | None = None
    recolour: np.ndarray = field(default_factory=lambda: np.eye(3))
    uv_scale: np.ndarray = field(default_factory=lambda: np.ones(2))
    uv_offset: np.ndarray = field(default_factory=lambda: np.zeros(2))
    specular: float = 0.1
    shininess: float = 20.0
    stains: float = 0.0
    stain_size: float = 0.1
    stain_offset: np.ndarray = field(default_factory=lambda: np.zeros(3))


@dataclass(frozen=True)
class Instance:
    """One mesh standing somewhere.

    Attributes:
        mesh: Name of the mesh in the renderer.
        R_ref_obj: (3, 3) rotation of the object in the stage's frame.
        t_ref_obj: (3,) translation, metres.
        scale: (3,) factors along the mesh's own axes; known objects keep ones.
        material: Colour and shine.
    """

    mesh: str
    R_ref_obj: np.ndarray
    t_ref_obj: np.ndarray
    scale: np.ndarray = field(default_factory=lambda: np.ones(3))
    material: Material = field(default_factory=Material)


@dataclass(frozen=True)
class Sheet:
    """A flat rectangle on the floor plane: the table top itself, or paper lying on it.

    Attributes:
        R_ref_sheet: (3, 3) rotation; the sheet's z axis is the floor's normal.
        t_ref_sheet: (3,) metres, its middle.
        size: (2,) metres along its x and y.
        material: Colour and shine; the texture is mirrored from one repetition to the next.
    """

    R_ref_sheet: np.ndarray
    t_ref_sheet: np.ndarray
    size: np.ndarray
    material: Material = field(default_factory=Material)


@dataclass(frozen=True)
class Lamp:
    """A point light; one far away acts as a directional light.

    Attributes:
        position: (3,) metres in the stage's frame.
        colour: (3,) linear RGB irradiance that it gives at the stage's focus.
    """

    position: np.ndarray
    colour: np.ndarray


@dataclass(frozen=True)
class Stage:
    """Everything that is drawn.

    Attributes:
        instances: Up to 255; known objects first by convention.
        floor: Sheets in one plane, each over those before it. The floor is behind all instances:
            the camera is above it, and nothing is below.
        lamps: Up to four; the first two cast shadows.
        up: (3,) unit vector away from the ground.
        focus: (3,) metres, the point whose brightness ``Lamp.colour`` states.
        sky: (3,) linear RGB ambient light from above; what stands about shades it.
        ground: (3,) linear RGB ambient light from below.
        background: What fills the image behind everything, unlit; its texture is stretched.
        shadow_blur: Half-width of the shadows' edge in metres.
    """

    instances: tuple[Instance, ...]
    floor: tuple[Sheet, ...]
    lamps: tuple[Lamp, ...]
    up: np.ndarray
    focus: np.ndarray
    sky: np.ndarray
    ground: np.ndarray
    background: Material
    shadow_blur: float = 0.004

    def moved(self, R: np.ndarray, t: np.ndarray) -> Stage:
        """The same stage after p -> R p + t, for example into the camera's frame."""
        return replace(
            self,
            instances=tuple(
                replace(i, R_ref_obj=R @ i.R_ref_obj, t_ref_obj=R @ i.t_ref_obj + t)
                for i in self.instances
            ),
            floor=tuple(
                replace(s, R_ref_sheet=R @ s.R_ref_sheet, t_ref_sheet=R @ s.t_ref_sheet + t)
                for s in self.floor
            ),
            lamps=tuple(replace(lamp, position=R @ lamp.position + t) for lamp in self.lamps),
            up=R @ self.up,
            focus=R @ self.focus + t,
        )

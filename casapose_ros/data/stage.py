"""What the renderer draws: instances of meshes, lamps and a background, in one frame of reference.

A stage is sampled in world coordinates (table plane z = 0, z up) and moved into the camera's
optical frame before it is drawn; see :meth:`Stage.moved`. Metres throughout.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np


@dataclass(frozen=True)
class Instance:
    """One mesh standing somewhere.

    Attributes:
        mesh: Name of the mesh in the renderer.
        R_ref_obj: (3, 3) rotation of the object in the stage's frame.
        t_ref_obj: (3,) translation, metres.
        scale: (3,) factors along the mesh's own axes; known objects keep ones.
        texture: (h, w, 3) uint8 RGB that replaces the mesh's own, or None.
        specular: Strength of the highlight, 0 (matte) to about 1.
        shininess: Exponent of the highlight.
        casts_shadow: False for the table, which only receives.
    """

    mesh: str
    R_ref_obj: np.ndarray
    t_ref_obj: np.ndarray
    scale: np.ndarray = field(default_factory=lambda: np.ones(3))
    texture: np.ndarray | None = None
    specular: float = 0.1
    shininess: float = 20.0
    casts_shadow: bool = True


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
        lamps: Up to four; the first one casts shadows.
        up: (3,) unit vector away from the ground.
        focus: (3,) metres, the point whose brightness ``Lamp.colour`` states.
        sky: (3,) linear RGB ambient light from above.
        ground: (3,) linear RGB ambient light from below.
        background: (h, w, 3) uint8 RGB stretched over the image behind everything.
        shadow_blur: Half-width of the shadows' edge in metres.
    """

    instances: tuple[Instance, ...]
    lamps: tuple[Lamp, ...]
    up: np.ndarray
    focus: np.ndarray
    sky: np.ndarray
    ground: np.ndarray
    background: np.ndarray
    shadow_blur: float = 0.004

    def moved(self, R: np.ndarray, t: np.ndarray) -> Stage:
        """The same stage after p -> R p + t, for example into the camera's frame."""

        def place(instance: Instance) -> Instance:
            return replace(
                instance,
                R_ref_obj=R @ instance.R_ref_obj,
                t_ref_obj=R @ instance.t_ref_obj + t,
            )

        return replace(
            self,
            instances=tuple(place(i) for i in self.instances),
            lamps=tuple(replace(lamp, position=R @ lamp.position + t) for lamp in self.lamps),
            up=R @ self.up,
            focus=R @ self.focus + t,
        )

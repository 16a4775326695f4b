"""What keeps light away: maps of the scene as its lamps and the sky see it, blurred."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import moderngl
import numpy as np

from casapose_ros.data import shaders
from casapose_ros.data.clip_space import shadow_projection, sky_projection
from casapose_ros.data.stage import Stage
from casapose_ros.data.uploading import as_bytes

LAMP_SIZES = (384, 256)
"""Edges in px of the maps of the lamps that cast shadows; the first one is the brightest."""
SKY_SIZE = 128
SKY_BLUR_M = 0.05
"""Half-width of the sky's shadows: it is a very large lamp."""
UNITS = (1, 2, 3)
"""Texture units of the two lamps' maps and the sky's; the surface's own texture is at 0."""
FAR = 1e3
"""Depth where the map sees nothing."""


@dataclass(frozen=True)
class Seen:
    """The matrices that find a point's place in the maps, for the shaders' uniforms."""

    to_shadow: tuple[np.ndarray, ...]
    to_sky: np.ndarray
    height: np.ndarray


class ShadowMaps:
    """The maps of one stage; they are drawn anew for each.

    Args:
        context: Where.
        draw: Draws a stage's instances and its floor with the named pass ("shadow" or "sky"),
            as finely as so many metres per px deserve.

    Attributes:
        programs: The two passes' programs by name.
    """

    def __init__(
        self, context: moderngl.Context, draw: Callable[[Stage, str, float], None]
    ) -> None:
        self._context, self._draw = context, draw
        self.programs = {
            "shadow": context.program(shaders.DEPTH_VERTEX, shaders.SHADOW_FRAGMENT),
            "sky": context.program(shaders.SKY_VERTEX, shaders.SHADOW_FRAGMENT),
        }
        self._maps = [_Map(context, size) for size in (*LAMP_SIZES, SKY_SIZE)]

    def update(self, stage: Stage, spheres: np.ndarray) -> Seen:
        """Draw the maps.

        Args:
            stage: In the camera's frame.
            spheres: (n, 4) centre and radius round each instance, metres.
        """
        *lamp_maps, sky_map = self._maps
        if not len(spheres):
            for each in self._maps:
                each.clear()
            return Seen((np.eye(4),) * shaders.SHADOWS, np.eye(4), np.zeros(4))
        matrices = []
        for i, each in enumerate(lamp_maps):
            matrix = np.eye(4)
            if i < len(stage.lamps):
                matrix, span = shadow_projection(stage.lamps[i], stage.up, spheres)
                self.programs["shadow"]["to_clip"].write(as_bytes(matrix.T))
                each.fill(lambda texel: self._draw(stage, "shadow", texel), span, stage.shadow_blur)
            else:
                each.clear()
            matrices.append(matrix)
        to_sky, height, span = sky_projection(stage.up, spheres, SKY_BLUR_M)
        self.programs["sky"]["to_clip"].write(as_bytes(to_sky.T))
        self.programs["sky"]["height"].write(as_bytes(height))
        sky_map.fill(lambda texel: self._draw(stage, "sky", texel), span, SKY_BLUR_M)
        return Seen(tuple(matrices), to_sky, height)

    def use(self) -> None:
        """Bind the maps to their texture units."""
        for unit, each in zip(UNITS, self._maps, strict=True):
            each.texture.use(unit)


class _Map:
    """Mean and mean square of depths, as a texture that can be drawn to."""

    def __init__(self, context: moderngl.Context, size: int) -> None:
        self._context, self._size = context, size
        self.texture = context.texture((size, size), 2, dtype="f4")
        self.texture.filter = (moderngl.LINEAR, moderngl.LINEAR)
        self.texture.repeat_x = self.texture.repeat_y = False
        depth = context.depth_renderbuffer((size, size))
        self._target = context.framebuffer([self.texture], depth)

    def clear(self) -> None:
        self._target.clear(FAR, FAR**2)

    def fill(self, draw: Callable[[float], None], span: float, blur: float) -> None:
        """Draw, given a texel's metres, and blur by so many metres to either side."""
        self._target.use()
        self.clear()
        self._context.enable_only(moderngl.DEPTH_TEST)
        draw(span / self._size)
        shape = (self._size, self._size, 2)
        moments = np.frombuffer(self._target.read(components=2, dtype="f4"), np.float32)
        reach = 1 + 2 * round(blur / span * self._size)
        self.texture.write(cv2.blur(moments.reshape(shape), (reach, reach)))

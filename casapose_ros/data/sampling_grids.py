"""One image of the instances: what shows at each sample first, then how it is lit.

A triangle of a scan is smaller than the blocks in which pixels are shaded, so lighting each
triangle would cost an order of magnitude more than lighting each pixel once.
"""

from __future__ import annotations

from collections.abc import Callable

import moderngl
import numpy as np

from casapose_ros.types import CameraModel

UNITS = {"colours": 5, "shapes": 6, "depths": 7}
"""Texture units of what the first step leaves for the second."""


class SamplingGrid:
    """Samples the instances at the pixels' centres of one image size.

    Args:
        context: Where.
        size: (width, height) px.
        lighting: Array of ``shaders.WHOLE_IMAGE_VERTEX`` with the lighting program.
    """

    def __init__(
        self, context: moderngl.Context, size: tuple[int, int], lighting: moderngl.VertexArray
    ) -> None:
        self._context, self._lighting = context, lighting
        formats = {"colours": (4, "f1"), "shapes": (4, "f2"), "depths": (1, "f4")}
        self._layers = {
            name: context.texture(size, components, dtype=dtype)
            for name, (components, dtype) in formats.items()
        }
        depth = context.depth_renderbuffer(size)
        self._geometry = context.framebuffer(list(self._layers.values()), depth)
        self._lit = context.framebuffer([context.renderbuffer(size, 4)], depth)
        self._lit.depth_mask = False
        for name, unit in UNITS.items():
            lighting.program[name] = unit

    def draw(self, camera: CameraModel, draw_geometry: Callable[[], None]) -> None:
        """Let the instances be drawn, then light them. The lights must be set."""
        context, K = self._context, camera.K
        self._geometry.use()
        self._geometry.clear()
        context.enable_only(moderngl.DEPTH_TEST)
        draw_geometry()
        self._lit.use()
        self._lit.clear(viewport=(0, 0, *self._lit.size))
        context.enable_only(moderngl.DEPTH_TEST)
        context.depth_func = ">"
        for name, unit in UNITS.items():
            self._layers[name].use(unit)
        self._lighting.program["camera"] = (K[0, 0], K[1, 1], K[0, 2], K[1, 2])
        self._lighting.render(vertices=3)
        context.depth_func = "<"

    def image(self) -> np.ndarray:
        """(H, W, 4) uint8 RGB, and 255 where there is an instance."""
        return self._read(self._lit, 0)

    def labels(self) -> np.ndarray:
        """(H, W) uint8 labels of what was drawn, 0 elsewhere."""
        return self._read(self._geometry, 0)[..., 3]

    def _read(self, target: moderngl.Framebuffer, attachment: int) -> np.ndarray:
        data = target.read(components=4, attachment=attachment, alignment=1)
        return np.frombuffer(data, np.uint8).reshape(target.height, target.width, 4)

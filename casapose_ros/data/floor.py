"""Drawing what is behind all instances: the background and the sheets on the floor."""

from __future__ import annotations

import moderngl
import numpy as np

from casapose_ros.data import floor_shaders as shaders
from casapose_ros.data.clip_space import projection
from casapose_ros.data.lights import bind_maps
from casapose_ros.data.shadows import ShadowMaps
from casapose_ros.data.stage import Material, Sheet, Stage
from casapose_ros.data.uploading import TextureCache, as_bytes
from casapose_ros.types import CameraModel

REACH_M = 40.0
"""Edge of the square that stands for the endless floor where only its light or shadow counts."""
MARGIN = 1.05
"""Sheets are drawn larger by this factor, so that their edges can fade out."""
INNER = 0.97
"""Share of the table's edges within which it certainly hides the background."""
LIGHT_UNIT = 4
LIGHT_SCALE = 0.4
"""Size of the image of the floor's light: shadows are soft."""
SQUARE = np.array([(-0.5, -0.5, 0), (0.5, -0.5, 0), (-0.5, 0.5, 0), (0.5, 0.5, 0)], np.float32)


class Floor:
    """Draws background and floor into an image of its own.

    Args:
        context: Where.
        size: (width, height) px.
        textures: For the materials.
        programs: Programs of the other passes that the floor is in, by name.
    """

    def __init__(
        self,
        context: moderngl.Context,
        size: tuple[int, int],
        textures: TextureCache,
        programs: dict[str, moderngl.Program],
    ) -> None:
        self._context, self._textures = context, textures
        background = context.program(shaders.BACKGROUND_VERTEX, shaders.BACKGROUND_FRAGMENT)
        self._background = context.vertex_array(background, [])
        programs = programs | {
            "light": context.program(shaders.SHEET_VERTEX, shaders.FLOOR_LIGHT_FRAGMENT),
            "sheet": context.program(shaders.SHEET_VERTEX, shaders.SHEET_FRAGMENT),
        }
        square = context.buffer(SQUARE.tobytes())
        self._square = {
            name: context.vertex_array(program, [(square, "3f", "in_position")])
            for name, program in programs.items()
        }
        self.light_program = programs["light"]
        bind_maps(self.light_program)
        programs["sheet"]["floor_light"] = LIGHT_UNIT
        programs["sheet"]["margin"] = MARGIN
        programs["sheet"]["image_size"] = tuple(map(float, size))
        self._target = context.framebuffer(
            [context.renderbuffer(size, 4)], context.depth_renderbuffer(size)
        )
        smaller = tuple(max(1, round(LIGHT_SCALE * n)) for n in size)
        self._light = context.texture(smaller, 4, dtype="f2")
        self._light.repeat_x = self._light.repeat_y = False
        self._light_target = context.framebuffer([self._light])

    def draw(self, stage: Stage, camera: CameraModel, maps: ShadowMaps) -> np.ndarray:
        """(H, W, 4) uint8 RGB of background and floor; the stage's lights must be set."""
        to_clip = projection(camera)
        if stage.floor:
            self._draw_light(stage, to_clip, maps)
        self._target.use()
        self._target.clear()
        self._context.enable_only(moderngl.DEPTH_TEST)
        if stage.floor:  # keep the background away from what the table hides
            table = stage.floor[0]
            self._render("depth", table, (*(INNER * table.size), 1.0), to_clip)
        self._set_material(self._background.program, stage.background)
        self._background.render(vertices=3)
        self._context.enable_only(moderngl.BLEND)
        self._light.use(LIGHT_UNIT)
        for sheet in stage.floor:
            array = self._square["sheet"]
            self._set_material(array.program, sheet.material)
            array.program["specular"] = sheet.material.specular
            self._render("sheet", sheet, (*(MARGIN * sheet.size), 1.0), to_clip)
        data = self._target.read(components=4, alignment=1)
        return np.frombuffer(data, np.uint8).reshape(self._target.height, self._target.width, 4)

    def draw_endless(self, name: str, stage: Stage) -> None:
        """Draw the floor plane with the named program, into whatever target is in use."""
        if stage.floor:
            self._render(name, stage.floor[0], (REACH_M, REACH_M, 1.0))

    def draw_table(self, name: str, stage: Stage) -> None:
        """Draw the largest part of the floor, its first sheet, with the named program."""
        self._render(name, stage.floor[0], (*stage.floor[0].size, 1.0))

    def _draw_light(self, stage: Stage, to_clip: np.ndarray, maps: ShadowMaps) -> None:
        self._light_target.use()
        self._light_target.clear()  # of the last frame's light, where this one has no floor
        self._context.enable_only(moderngl.NOTHING)
        maps.use()
        self.light_program["shininess"] = stage.floor[0].material.shininess
        self._render("light", stage.floor[0], (REACH_M, REACH_M, 1.0), to_clip)

    def _render(
        self, name: str, sheet: Sheet, scale: tuple, to_clip: np.ndarray | None = None
    ) -> None:
        array = self._square[name]
        array.program["rotation"].write(as_bytes(sheet.R_ref_sheet.T))
        array.program["translation"].write(as_bytes(sheet.t_ref_sheet))
        array.program["scale"] = scale
        if to_clip is not None:
            array.program["to_clip"].write(as_bytes(to_clip.T))
        array.render(moderngl.TRIANGLE_STRIP)

    def _set_material(self, program: moderngl.Program, material: Material) -> None:
        self._textures.get(material.texture).use(0)
        program["recolour"].write(as_bytes(material.recolour.T))
        program["uv_scale"].write(as_bytes(material.uv_scale))
        program["uv_offset"].write(as_bytes(material.uv_offset))

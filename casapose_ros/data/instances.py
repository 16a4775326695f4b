"""Drawing instances one by one: their meshes, materials and programs."""

from __future__ import annotations

from collections.abc import Mapping

import moderngl
import numpy as np

from casapose_ros.data import shaders
from casapose_ros.data.clip_space import NEAR
from casapose_ros.data.meshes import Mesh
from casapose_ros.data.stage import Instance, Stage
from casapose_ros.data.stains import stain_pattern
from casapose_ros.data.uploading import TextureCache, as_bytes, upload_body, upload_colours
from casapose_ros.errors import RenderError
from casapose_ros.types import CameraModel

CELL_PX = 6.0
"""Cells of a coarser mesh may look as large as this; 19 of 20 points then move by < 0.3 px."""
PAINTS = ("vertex", "image", "volume")
"""What can colour a mesh: its vertices, a texture, or a volume of colours."""
STAIN_UNIT = 8
BOX_CORNERS = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=float)


class InstanceDrawer:
    """Draws instances with any of its programs into the target in use.

    Args:
        context: Where.
        textures: For the materials.
        meshes: Meshes by the name that ``Instance.mesh`` uses.
        shadow_programs: Programs of the passes "shadow" and "sky".

    Attributes:
        programs: By the name of the pass: "label", "depth", the shadows' and those of ``PAINTS``.
    """

    def __init__(
        self,
        context: moderngl.Context,
        textures: TextureCache,
        meshes: Mapping[str, Mesh],
        shadow_programs: Mapping[str, moderngl.Program],
    ) -> None:
        self._context, self._textures = context, textures
        stages = shaders.GEOMETRY_VERTEX, shaders.GEOMETRY_FRAGMENT
        self.programs: dict[str, moderngl.Program] = {
            paint: context.program(*(shaders.defining(paint.upper(), s) for s in stages))
            for paint in PAINTS
        }
        self.programs |= {
            "label": context.program(shaders.DEPTH_VERTEX, shaders.LABEL_FRAGMENT),
            "depth": context.program(shaders.DEPTH_VERTEX, shaders.DEPTH_FRAGMENT),
            **shadow_programs,
        }
        self._stains = upload_colours(context, stain_pattern())
        for paint in PAINTS:
            self.programs[paint]["stain_pattern"] = STAIN_UNIT
        self._bodies = {
            name: upload_body(context, self.programs, mesh) for name, mesh in meshes.items()
        }

    def check(self, instance: Instance) -> None:
        """Refuse an instance of an unknown mesh.

        Raises:
            RenderError: Names it.
        """
        if instance.mesh not in self._bodies:
            known = ", ".join(sorted(self._bodies))
            raise RenderError(f"no mesh {instance.mesh!r}; known: {known}")

    def set_view(self, to_clip: np.ndarray, *passes: str) -> None:
        """Give the named passes a (4, 4) matrix from the optical frame to clip space."""
        data = as_bytes(to_clip.T)
        for name in passes:
            self.programs[name]["to_clip"].write(data)

    def draw(self, instance: Instance, name: str, resolution: float) -> None:
        """Draw with the named program, no finer than ``resolution`` metres deserve."""
        program = self.programs[name]
        program["rotation"].write(as_bytes(np.asarray(instance.R_ref_obj).T))
        program["translation"].write(as_bytes(instance.t_ref_obj))
        program["scale"].write(as_bytes(instance.scale))
        _, mesh = self._bodies[instance.mesh].level(resolution)
        # The far side of a closed surface is never seen: drawing it would cost half the time.
        culled = mesh.closed and name not in ("shadow", "sky")
        (self._context.enable if culled else self._context.disable)(moderngl.CULL_FACE)
        mesh.passes[name].render()

    def draw_surface(self, instance: Instance, label: int, resolution: float) -> None:
        """Draw what lighting needs to know, with the program of what colours the instance."""
        name = self._set_paint(instance, resolution)
        self.programs[name]["label"] = label / 255.0
        self.draw(instance, name, resolution)

    def resolution(self, instance: Instance, camera: CameraModel) -> float:
        """Metres that a coarse mesh's cells may have at the instance's nearest point."""
        centre, radius = self._sphere(instance)
        pixel = max(float(np.linalg.norm(centre)) - radius, NEAR) / camera.K[0, 0]
        return CELL_PX * pixel if pixel >= self._bodies[instance.mesh].grain else 0.0

    def spheres(self, stage: Stage) -> np.ndarray:
        """(n, 4) centre and radius about each instance's bounding box, metres."""
        spheres = [np.append(*self._sphere(i)) for i in stage.instances]
        return np.array(spheres).reshape(-1, 4)

    def _sphere(self, instance: Instance) -> tuple[np.ndarray, float]:
        low, high = self._bodies[instance.mesh].box
        centre = instance.R_ref_obj @ ((low + high) / 2 * instance.scale)
        return centre + instance.t_ref_obj, float(np.linalg.norm((high - low) / 2 * instance.scale))

    def box_corners(self, instance: Instance) -> np.ndarray:
        """(8, 3) metres: the corners of the instance's bounding box."""
        low, high = self._bodies[instance.mesh].box
        corners = (low + BOX_CORNERS * (high - low)) * instance.scale
        return corners @ np.asarray(instance.R_ref_obj).T + instance.t_ref_obj

    def _set_paint(self, instance: Instance, resolution: float) -> str:
        """Set the instance's material; returns the name of the program that shows it."""
        body, material = self._bodies[instance.mesh], instance.material
        cell, _ = body.level(resolution)
        texture = body.texture if material.texture is None else self._textures.get(material.texture)
        paint = "vertex" if texture is None else "image"
        if cell > 0 and material.texture is None and body.volume is not None:
            paint, texture = "volume", body.volume_texture
        program = self.programs[paint]
        if paint == "volume":
            program["volume_low"].write(as_bytes(body.volume.low))
            program["volume_size"].write(as_bytes(body.volume.size))
        elif paint == "image":
            program["uv_scale"].write(as_bytes(material.uv_scale))
            program["uv_offset"].write(as_bytes(material.uv_offset))
        if texture is not None:
            texture.use(0)
        program["recolour"].write(as_bytes(material.recolour.T))
        program["shine"] = material.specular, material.shininess
        program["stain_strength"] = material.stains
        program["stain_place"] = (*material.stain_offset, 1 / material.stain_size)
        self._stains.use(STAIN_UNIT)
        return paint

"""Drawing a stage with OpenGL and no window: software (Mesa llvmpipe) or a GPU through EGL.

Everything is sampled at the pixels' centres: labels are exact, and masks are never blended. For
smooth outlines the instances' labels alone are sampled at the pixels' corners too; see
``antialiasing``. The floor needs no more samples: its texture is filtered, its light smooth, its
edge computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import moderngl
import numpy as np

from casapose_ros.data import shaders
from casapose_ros.data.antialiasing import composed
from casapose_ros.data.clip_space import NEAR, corner_camera, projection, widened
from casapose_ros.data.floor import Floor
from casapose_ros.data.instances import PAINTS, InstanceDrawer
from casapose_ros.data.lights import bind_maps, set_lights
from casapose_ros.data.meshes import Mesh
from casapose_ros.data.opengl import create_context
from casapose_ros.data.sampling_grids import SamplingGrid
from casapose_ros.data.shadows import ShadowMaps
from casapose_ros.data.stage import MAX_INSTANCES, Instance, Stage
from casapose_ros.data.uploading import TextureCache
from casapose_ros.errors import RenderError
from casapose_ros.types import CameraModel

CELL_TEXELS = 5.0
"""How large cells of a coarser mesh may be in shadow maps, which are blurred anyway."""
NO_BOX = (-1, -1, -1, -1)
"""BOP's box of something that has no pixels."""


@dataclass(frozen=True)
class Drawing:
    """What one view of a stage looks like.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        labels: (H, W) uint8, 1 + index of the instance seen at the pixel's centre, 0 elsewhere.
    """

    image: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Silhouette:
    """All pixels of one object with nothing in front of it, inside the image or not.

    Attributes:
        pixels: Number of pixels (within three images' width and height, as BOP counts them).
        box: (x, y, width, height) px, relative to the image's corner; all -1 if there are none.
    """

    pixels: int
    box: tuple[int, int, int, int]


class Renderer:
    """Draws stages into images of one size; usable as a context manager.

    Args:
        width: Image width in px.
        height: Image height in px.
        meshes: Meshes by the name that ``Instance.mesh`` uses.

    Raises:
        RenderError: There is no OpenGL on this machine; the message says what to install.
    """

    def __init__(self, width: int, height: int, meshes: Mapping[str, Mesh]) -> None:
        self.width, self.height = width, height
        self._context = create_context()
        self._context.front_face = "cw"  # seen in an image whose rows run down
        textures = TextureCache(self._context)
        self._maps = ShadowMaps(self._context, self._draw_casters)
        self._drawer = InstanceDrawer(self._context, textures, meshes, self._maps.programs)
        shared = {name: self._drawer.programs[name] for name in ("shadow", "sky", "depth")}
        self._floor = Floor(self._context, (width, height), textures, shared)
        self._create_targets()

    def __enter__(self) -> Renderer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the graphics memory back; the renderer cannot be used afterwards."""
        self._context.release()

    def draw(self, stage: Stage, camera: CameraModel) -> Drawing:
        """Draw a stage given in the camera's optical frame.

        Raises:
            RenderError: The camera is distorted or has another size, there are too many
                instances or lamps, or a mesh is unknown.
        """
        self._check(stage, camera)
        with self._context:  # another renderer may have drawn last
            seen = self._maps.update(stage, self._drawer.spheres(stage))
            set_lights(self._lit_programs, stage, seen)
            behind = self._floor.draw(stage, camera, self._maps)
            lit, labels = self._draw_centres(stage, camera)
            corner_labels = self._draw_corners(stage, camera)
            return Drawing(composed(behind, lit, labels, corner_labels), labels)

    def depth(self, stage: Stage, camera: CameraModel) -> np.ndarray:
        """(H, W) float32 metres along the optical axis at the pixels' centres, 0 where nothing is.

        Raises:
            RenderError: As :meth:`draw`.
        """
        self._check(stage, camera)
        with self._context:
            self._depth.use()
            self._depth.clear()
            self._context.enable_only(moderngl.DEPTH_TEST)
            self._drawer.set_view(projection(camera), "depth")
            for instance in stage.instances:
                self._drawer.draw(instance, "depth", self._drawer.resolution(instance, camera))
            if stage.floor:
                self._floor.draw_table("depth", stage)
            data = self._depth.read(components=1, alignment=1, dtype="f4")
        return np.frombuffer(data, np.float32).reshape(self.height, self.width)

    def silhouette(self, instance: Instance, camera: CameraModel) -> Silhouette:
        """Count the pixels of one instance (camera's frame) as if nothing stood in front."""
        self._check_camera(camera)
        x, y, width, height = self._pixel_box(instance, camera)
        if width <= 0 or height <= 0:
            return Silhouette(0, NO_BOX)
        viewport = (x + self.width, y + self.height, width, height)
        with self._context:
            self._canvas.use()
            self._canvas.clear(viewport=viewport)
            self._context.enable_only(moderngl.NOTHING)
            self._drawer.set_view(widened(projection(camera)), "label")
            self._drawer.programs["label"]["label"] = 1.0
            self._drawer.draw(instance, "label", self._drawer.resolution(instance, camera))
            mask = _bytes(self._canvas, viewport) > 0
        if not mask.any():
            return Silhouette(0, NO_BOX)
        left, top, w, h = mask_box(mask)
        return Silhouette(int(np.count_nonzero(mask)), (x + left, y + top, w, h))

    def _create_targets(self) -> None:
        context, size = self._context, (self.width, self.height)
        buffer, depth = context.renderbuffer, context.depth_renderbuffer
        lit = context.program(shaders.WHOLE_IMAGE_VERTEX, shaders.LIT_FRAGMENT)
        bind_maps(lit)
        self._lit_programs = [lit, self._floor.light_program]
        lighting = context.vertex_array(lit, [])
        self._centres = SamplingGrid(context, size, lighting)
        larger = (self.width + 1, self.height + 1)
        self._corners = context.framebuffer([buffer(larger, 1)], depth(larger))
        self._depth = context.framebuffer([buffer(size, 1, dtype="f4")], depth(size))
        self._canvas = context.framebuffer([buffer((3 * self.width, 3 * self.height), 1)])

    def _check_camera(self, camera: CameraModel) -> None:
        if camera.is_distorted:
            raise RenderError("only pinhole cameras can be drawn: rectify the camera first")
        if (camera.width, camera.height) != (self.width, self.height):
            raise RenderError(
                f"the renderer draws {self.width}x{self.height} px, "
                f"but the camera has {camera.width}x{camera.height}"
            )

    def _check(self, stage: Stage, camera: CameraModel) -> None:
        self._check_camera(camera)
        if len(stage.instances) > MAX_INSTANCES or len(stage.lamps) > shaders.MAX_LAMPS:
            raise RenderError(
                f"at most {MAX_INSTANCES} instances and {shaders.MAX_LAMPS} lamps can be drawn, "
                f"got {len(stage.instances)} and {len(stage.lamps)}"
            )
        for instance in stage.instances:
            self._drawer.check(instance)

    def _draw_centres(self, stage: Stage, camera: CameraModel) -> tuple[np.ndarray, np.ndarray]:
        """(H, W, 4) RGB of the lit instances, and (H, W) their labels."""
        drawer = self._drawer
        drawer.set_view(projection(camera), *PAINTS)

        def draw() -> None:
            for index in _from_near(stage):
                instance = stage.instances[index]
                drawer.draw_surface(instance, index + 1, drawer.resolution(instance, camera))

        self._maps.use()
        self._centres.draw(camera, draw)
        return self._centres.image(), self._centres.labels()

    def _draw_corners(self, stage: Stage, camera: CameraModel) -> np.ndarray:
        """(H + 1, W + 1) labels."""
        drawer = self._drawer
        self._corners.use()
        self._corners.clear()
        self._context.enable_only(moderngl.DEPTH_TEST)
        drawer.set_view(projection(corner_camera(camera)), "label")
        for index in _from_near(stage):
            instance = stage.instances[index]
            drawer.programs["label"]["label"] = (index + 1) / 255.0
            drawer.draw(instance, "label", drawer.resolution(instance, camera))
        return _bytes(self._corners)

    def _draw_casters(self, stage: Stage, name: str, texel: float) -> None:
        for instance in stage.instances:
            self._drawer.draw(instance, name, CELL_TEXELS * texel)
        self._floor.draw_endless(name, stage)

    def _pixel_box(self, instance: Instance, camera: CameraModel) -> tuple[int, int, int, int]:
        """(x, y, width, height) px around the projected bounding box, cut at the canvas."""
        points = self._drawer.box_corners(instance)
        low = np.array([-self.width, -self.height])
        high = np.array([2 * self.width, 2 * self.height])
        if points[:, 2].min() > NEAR:
            pixels = points @ camera.K.T
            pixels = pixels[:, :2] / pixels[:, 2:]
            low = np.clip(np.floor(pixels.min(axis=0)).astype(int), low, high)
            high = np.clip(np.ceil(pixels.max(axis=0)).astype(int) + 2, low, high)
        return int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1])


def _from_near(stage: Stage) -> np.ndarray:
    """Order of the instances that hides most of them before they are drawn."""
    return np.argsort([np.linalg.norm(i.t_ref_obj) for i in stage.instances])


def mask_box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """(x, y, width, height) px of the True pixels of (H, W); all -1 if there are none."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    if not len(columns):
        return NO_BOX
    x, y = int(columns[0]), int(rows[0])
    return x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1


def _bytes(
    target: moderngl.Framebuffer, viewport: tuple[int, int, int, int] | None = None
) -> np.ndarray:
    """(h, w) uint8 of a target of one component, or of (x, y, w, h) px of it."""
    width, height = target.size if viewport is None else viewport[2:]
    data = target.read(viewport=viewport, components=1, alignment=1)
    return np.frombuffer(data, np.uint8).reshape(height, width)

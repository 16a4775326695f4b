"""Drawing a stage with OpenGL and no window: software (Mesa llvmpipe) or a GPU through EGL.

Three passes. Labels and depth are drawn at the image's own resolution and sampled exactly at the
pixel centres, so masks are never blended; the colour is multisampled; silhouettes give the pixels
an object would have with nothing in front, also beyond the image's border.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import moderngl
import numpy as np

from casapose_ros.data import shaders
from casapose_ros.data.clip_space import NEAR, projection, shadow_projection, widened
from casapose_ros.data.meshes import Mesh
from casapose_ros.data.opengl import create_context
from casapose_ros.data.stage import Instance, Stage
from casapose_ros.data.uploading import as_bytes, upload_mesh, upload_texture
from casapose_ros.errors import RenderError
from casapose_ros.types import CameraModel

SHADOW_SIZE = 512
MAX_INSTANCES = 255
NO_BOX = (-1, -1, -1, -1)
"""BOP's box of something that has no pixels."""
BOX_CORNERS = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=float)


@dataclass(frozen=True)
class Drawing:
    """What one view of a stage looks like.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        labels: (H, W) uint8, 1 + index of the instance seen at the pixel's centre, 0 background.
        depth: (H, W) float32 metres along the optical axis, 0 where there is background.
    """

    image: np.ndarray
    labels: np.ndarray
    depth: np.ndarray


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
        program = self._context.program
        self._colour = program(shaders.COLOUR_VERTEX, shaders.COLOUR_FRAGMENT)
        self._label = program(shaders.DEPTH_VERTEX, shaders.LABEL_FRAGMENT)
        self._shadow = program(shaders.DEPTH_VERTEX, shaders.SHADOW_FRAGMENT)
        background = program(shaders.BACKGROUND_VERTEX, shaders.BACKGROUND_FRAGMENT)
        self._background = self._context.vertex_array(background, [])
        self._colour["surface"], self._colour["shadow_map"] = 0, 1
        self._create_targets()
        programs = {"colour": self._colour, "label": self._label, "shadow": self._shadow}
        self._meshes = {
            name: upload_mesh(self._context, programs, mesh) for name, mesh in meshes.items()
        }

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
        to_clip = projection(camera)
        with self._context:  # another renderer may have drawn last
            labels, depth = self._draw_labels(stage, to_clip)
            return Drawing(self._draw_colour(stage, to_clip), labels, depth)

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
            self._label["label"] = 1.0
            self._label["to_clip"].write(as_bytes(widened(projection(camera)).T))
            self._place(self._label, instance)
            self._meshes[instance.mesh].passes["label"].render()
            data = self._canvas.read(viewport=viewport, components=1, alignment=1)
        mask = np.frombuffer(data, np.uint8).reshape(height, width) > 0
        if not mask.any():
            return Silhouette(0, NO_BOX)
        left, top, w, h = mask_box(mask)
        return Silhouette(int(mask.sum()), (x + left, y + top, w, h))

    def _create_targets(self) -> None:
        context, size = self._context, (self.width, self.height)
        samples = min(4, context.max_samples)
        self._multisampled = context.framebuffer(
            [context.renderbuffer(size, 4, samples=samples)],
            context.depth_renderbuffer(size, samples=samples),
        )
        self._resolved = context.framebuffer([context.renderbuffer(size, 4)])
        self._labels = context.framebuffer(
            [context.renderbuffer(size, 1), context.renderbuffer(size, 1, dtype="f4")],
            context.depth_renderbuffer(size),
        )
        self._canvas = context.framebuffer(
            [context.renderbuffer((3 * self.width, 3 * self.height), 1)]
        )
        shadow_size = (SHADOW_SIZE, SHADOW_SIZE)
        self._shadow_map = context.texture(shadow_size, 2, dtype="f4")
        self._shadow_map.filter = (moderngl.LINEAR, moderngl.LINEAR)
        self._shadow_target = context.framebuffer(
            [self._shadow_map], context.depth_renderbuffer(shadow_size)
        )

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
            if instance.mesh not in self._meshes:
                raise RenderError(
                    f"no mesh {instance.mesh!r}; known: {', '.join(sorted(self._meshes))}"
                )

    def _draw_labels(self, stage: Stage, to_clip: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self._labels.use()
        self._labels.clear()
        self._context.enable_only(moderngl.DEPTH_TEST)
        self._label["to_clip"].write(as_bytes(to_clip.T))
        for index, instance in enumerate(stage.instances):
            self._label["label"] = (index + 1) / 255.0
            self._place(self._label, instance)
            self._meshes[instance.mesh].passes["label"].render()
        shape = (self.height, self.width)
        labels = self._labels.read(components=1, alignment=1)
        depth = self._labels.read(components=1, attachment=1, dtype="f4")
        return (
            np.frombuffer(labels, np.uint8).reshape(shape),
            np.frombuffer(depth, np.float32).reshape(shape),
        )

    def _draw_colour(self, stage: Stage, to_clip: np.ndarray) -> np.ndarray:
        self._draw_shadows(stage)
        self._multisampled.use()
        self._multisampled.clear()
        self._context.enable_only(moderngl.NOTHING)
        background = upload_texture(self._context, stage.background)
        background.use(0)
        self._background.render(vertices=3)
        background.release()
        self._context.enable_only(moderngl.DEPTH_TEST)
        self._shadow_map.use(1)
        self._set_lights(stage)
        self._colour["to_clip"].write(as_bytes(to_clip.T))
        casters = 0
        for instance in stage.instances:
            self._draw_instance(instance, casters if instance.casts_shadow else -1)
            casters += instance.casts_shadow
        self._context.copy_framebuffer(self._resolved, self._multisampled)
        data = self._resolved.read(components=3, alignment=1)
        return np.frombuffer(data, np.uint8).reshape(self.height, self.width, 3)

    def _draw_instance(self, instance: Instance, own_occluder: int) -> None:
        mesh = self._meshes[instance.mesh]
        texture = mesh.texture
        if instance.texture is not None:
            texture = upload_texture(self._context, instance.texture)
        if texture is not None:
            texture.use(0)
        self._colour["textured"] = texture is not None
        self._colour["specular"] = instance.specular
        self._colour["shininess"] = instance.shininess
        self._colour["own_occluder"] = own_occluder
        self._place(self._colour, instance)
        # The far side of a closed surface is never seen: shading it would cost half the time.
        toggle = self._context.enable if mesh.closed else self._context.disable
        toggle(moderngl.CULL_FACE)
        mesh.passes["colour"].render()
        if instance.texture is not None:
            texture.release()

    def _set_lights(self, stage: Stage) -> None:
        program = self._colour
        for name in ("up", "focus", "sky", "ground"):
            program[name].write(as_bytes(getattr(stage, name)))
        program["num_lamps"] = len(stage.lamps)
        positions, colours = (np.zeros((shaders.MAX_LAMPS, 3)) for _ in range(2))
        for i, lamp in enumerate(stage.lamps):
            positions[i], colours[i] = lamp.position, lamp.colour
        program["lamp_position"].write(as_bytes(positions))
        program["lamp_colour"].write(as_bytes(colours))
        spheres = [self._sphere(i) for i in stage.instances if i.casts_shadow]
        spheres = spheres[: shaders.MAX_OCCLUDERS]
        program["num_occluders"] = len(spheres)
        padding = [np.zeros(4)] * (shaders.MAX_OCCLUDERS - len(spheres))
        program["occluders"].write(as_bytes(np.stack(spheres + padding)))

    def _draw_shadows(self, stage: Stage) -> None:
        """Fill the shadow map of the first lamp and blur it by the shadows' softness."""
        casters = [self._sphere(i, True) for i in stage.instances if i.casts_shadow]
        if not casters or not stage.lamps:
            self._shadow_map.write(as_bytes(np.full((SHADOW_SIZE, SHADOW_SIZE, 2), 1e6)))
            self._colour["to_shadow"].write(as_bytes(np.eye(4)))
            return
        to_shadow, width = shadow_projection(stage.lamps[0], stage.up, np.stack(casters))
        self._shadow_target.use()
        self._shadow_target.clear(1e3, 1e6)
        self._context.enable_only(moderngl.DEPTH_TEST)
        self._shadow["to_clip"].write(as_bytes(to_shadow.T))
        for instance in stage.instances:
            self._place(self._shadow, instance)
            self._meshes[instance.mesh].passes["shadow"].render()
        reach = 1 + 2 * round(stage.shadow_blur / width * SHADOW_SIZE)
        moments = np.frombuffer(self._shadow_map.read(), np.float32)
        moments = moments.reshape(SHADOW_SIZE, SHADOW_SIZE, 2)
        self._shadow_map.write(cv2.blur(moments, (reach, reach)))
        self._colour["to_shadow"].write(as_bytes(to_shadow.T))

    def _sphere(self, instance: Instance, circumscribed: bool = False) -> np.ndarray:
        """(4,) centre and radius, metres: about the bounding box, or about its mean extent."""
        mesh = self._meshes[instance.mesh]
        centre = instance.R_ref_obj @ ((mesh.low + mesh.high) / 2 * instance.scale)
        half = (mesh.high - mesh.low) / 2 * instance.scale
        radius = np.linalg.norm(half) if circumscribed else half.mean()
        return np.append(centre + instance.t_ref_obj, radius)

    def _place(self, program: moderngl.Program, instance: Instance) -> None:
        program["rotation"].write(as_bytes(np.asarray(instance.R_ref_obj).T))
        program["translation"].write(as_bytes(instance.t_ref_obj))
        program["scale"].write(as_bytes(instance.scale))

    def _pixel_box(self, instance: Instance, camera: CameraModel) -> tuple[int, int, int, int]:
        """(x, y, width, height) px around the projected bounding box, cut at the canvas."""
        mesh = self._meshes[instance.mesh]
        corners = (mesh.low + BOX_CORNERS * (mesh.high - mesh.low)) * instance.scale
        points = corners @ np.asarray(instance.R_ref_obj).T + instance.t_ref_obj
        low = np.array([-self.width, -self.height])
        high = np.array([2 * self.width, 2 * self.height])
        if points[:, 2].min() > NEAR:
            pixels = points @ camera.K.T
            pixels = pixels[:, :2] / pixels[:, 2:]
            low = np.clip(np.floor(pixels.min(axis=0)).astype(int), low, high)
            high = np.clip(np.ceil(pixels.max(axis=0)).astype(int) + 2, low, high)
        return int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1])


def mask_box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """(x, y, width, height) px of the True pixels of (H, W); all -1 if there are none."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    if not len(columns):
        return NO_BOX
    x, y = int(columns[0]), int(rows[0])
    return x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1

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
from casapose_ros.data.meshes import Mesh
from casapose_ros.data.stage import Instance, Lamp, Stage
from casapose_ros.errors import RenderError
from casapose_ros.geometry import look_at
from casapose_ros.types import CameraModel

NEAR, FAR = 0.03, 20.0
SHADOW_SIZE = 512
MAX_INSTANCES = 255
NO_BOX = (-1, -1, -1, -1)
"""BOP's box of something that has no pixels."""
BOX_CORNERS = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=float)
EGL_HELP = (
    "OpenGL through EGL is not available ({reason}); "
    "without a GPU: sudo apt-get install -y libegl1 libgl1 libgl1-mesa-dri libgles2 libglx-mesa0"
)


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


@dataclass(frozen=True)
class _Uploaded:
    """A mesh in the graphics memory, one vertex array per pass."""

    colour: moderngl.VertexArray
    depth: moderngl.VertexArray
    label: moderngl.VertexArray
    shadow: moderngl.VertexArray
    texture: moderngl.Texture | None
    low: np.ndarray
    high: np.ndarray


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
        self._context = _create_context()
        program = self._context.program
        self._colour = program(shaders.COLOUR_VERTEX, shaders.COLOUR_FRAGMENT)
        self._label = program(shaders.LABEL_VERTEX, shaders.LABEL_FRAGMENT)
        self._depth = program(shaders.DEPTH_VERTEX, shaders.DEPTH_FRAGMENT)
        self._shadow = program(shaders.SHADOW_VERTEX, shaders.SHADOW_FRAGMENT)
        background = program(shaders.BACKGROUND_VERTEX, shaders.BACKGROUND_FRAGMENT)
        self._background = self._context.vertex_array(background, [])
        self._colour["surface"], self._colour["shadow_map"] = 0, 1
        self._create_targets()
        self._meshes = {name: self._upload(mesh) for name, mesh in meshes.items()}

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
        labels, depth = self._draw_labels(stage, to_clip)
        return Drawing(self._draw_colour(stage, to_clip), labels, depth)

    def silhouette(self, instance: Instance, camera: CameraModel) -> Silhouette:
        """Count the pixels of one instance (camera's frame) as if nothing stood in front."""
        box = self._pixel_box(instance, camera)
        x, y, width, height = box
        if width <= 0 or height <= 0:
            return Silhouette(0, NO_BOX)
        viewport = (x + self.width, y + self.height, width, height)
        self._canvas.use()
        self._canvas.clear(viewport=viewport)
        self._context.disable(moderngl.DEPTH_TEST)
        self._label["label"] = 1.0
        self._label["to_clip"].write(_bytes(_widened(projection(camera)).T))
        self._place(self._label, instance)
        self._meshes[instance.mesh].label.render()
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

    def _upload(self, mesh: Mesh) -> _Uploaded:
        n = len(mesh.vertices)
        uv = np.zeros((n, 2)) if mesh.uv is None else mesh.uv
        colours = np.full((n, 3), 0.7) if mesh.colours is None else mesh.colours / 255.0
        columns = (mesh.vertices, mesh.normals, uv, colours)
        vertices = self._context.buffer(_bytes(np.concatenate(columns, axis=1)))
        faces = self._context.buffer(np.ascontiguousarray(mesh.faces, np.int32).tobytes())
        layout = (vertices, "3f 3f 2f 3f", "in_position", "in_normal", "in_uv", "in_colour")
        position = (vertices, "3f 32x", "in_position")
        return _Uploaded(
            self._context.vertex_array(self._colour, [layout], faces),
            self._context.vertex_array(self._depth, [position], faces),
            self._context.vertex_array(self._label, [position], faces),
            self._context.vertex_array(self._shadow, [position], faces),
            None if mesh.texture is None else self._texture(mesh.texture, repeat=True),
            mesh.vertices.min(axis=0),
            mesh.vertices.max(axis=0),
        )

    def _texture(self, image: np.ndarray, repeat: bool = False) -> moderngl.Texture:
        height, width = image.shape[:2]
        texture = self._context.texture(
            (width, height), 3, np.ascontiguousarray(image).tobytes(), alignment=1
        )
        texture.repeat_x = texture.repeat_y = repeat
        texture.build_mipmaps()
        texture.filter = (moderngl.LINEAR_MIPMAP_LINEAR, moderngl.LINEAR)
        return texture

    def _check(self, stage: Stage, camera: CameraModel) -> None:
        if camera.is_distorted:
            raise RenderError("only pinhole cameras can be drawn: rectify the camera first")
        if (camera.width, camera.height) != (self.width, self.height):
            raise RenderError(
                f"the renderer draws {self.width}x{self.height} px, "
                f"but the camera has {camera.width}x{camera.height}"
            )
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
        self._label["to_clip"].write(_bytes(to_clip.T))
        for index, instance in enumerate(stage.instances):
            self._label["label"] = (index + 1) / 255.0
            self._place(self._label, instance)
            self._meshes[instance.mesh].label.render()
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
        self._context.disable(moderngl.DEPTH_TEST)
        background = self._texture(stage.background)
        background.use(0)
        self._background.render(vertices=3)
        background.release()
        self._context.enable_only(moderngl.DEPTH_TEST)
        self._shadow_map.use(1)
        self._set_lights(stage)
        self._depth["to_clip"].write(_bytes(to_clip.T))
        self._colour["to_clip"].write(_bytes(to_clip.T))
        # Depth first, so that the costly shading runs once per pixel.
        for instance in stage.instances:
            self._place(self._depth, instance)
            self._meshes[instance.mesh].depth.render()
        self._context.depth_func = "<="
        casters = 0
        for instance in stage.instances:
            self._draw_instance(instance, casters if instance.casts_shadow else -1)
            casters += instance.casts_shadow
        self._context.depth_func = "<"
        self._context.copy_framebuffer(self._resolved, self._multisampled)
        data = self._resolved.read(components=3, alignment=1)
        return np.frombuffer(data, np.uint8).reshape(self.height, self.width, 3)

    def _draw_instance(self, instance: Instance, own_occluder: int) -> None:
        mesh = self._meshes[instance.mesh]
        own_texture = None if instance.texture is None else self._texture(instance.texture)
        texture = own_texture or mesh.texture
        if texture is not None:
            texture.use(0)
        self._colour["textured"] = texture is not None
        self._colour["specular"] = instance.specular
        self._colour["shininess"] = instance.shininess
        self._colour["own_occluder"] = own_occluder
        self._place(self._colour, instance)
        mesh.colour.render()
        if own_texture is not None:
            own_texture.release()

    def _set_lights(self, stage: Stage) -> None:
        program = self._colour
        for name in ("up", "focus", "sky", "ground"):
            program[name].write(_bytes(getattr(stage, name)))
        program["num_lamps"] = len(stage.lamps)
        positions, colours = (np.zeros((shaders.MAX_LAMPS, 3)) for _ in range(2))
        for i, lamp in enumerate(stage.lamps):
            positions[i], colours[i] = lamp.position, lamp.colour
        program["lamp_position"].write(_bytes(positions))
        program["lamp_colour"].write(_bytes(colours))
        spheres = [self._sphere(i) for i in stage.instances if i.casts_shadow]
        spheres = spheres[: shaders.MAX_OCCLUDERS]
        program["num_occluders"] = len(spheres)
        padding = [np.zeros(4)] * (shaders.MAX_OCCLUDERS - len(spheres))
        program["occluders"].write(_bytes(np.stack(spheres + padding)))

    def _draw_shadows(self, stage: Stage) -> None:
        """Fill the shadow map of the first lamp and blur it by the shadows' softness."""
        casters = [self._sphere(i, True) for i in stage.instances if i.casts_shadow]
        if not casters or not stage.lamps:
            self._shadow_map.write(_bytes(np.full((SHADOW_SIZE, SHADOW_SIZE, 2), 1e6)))
            self._colour["to_shadow"].write(_bytes(np.eye(4)))
            return
        to_shadow, width = _shadow_projection(stage.lamps[0], stage.up, np.stack(casters))
        self._shadow_target.use()
        self._shadow_target.clear(1e3, 1e6)
        self._context.enable_only(moderngl.DEPTH_TEST)
        self._shadow["to_clip"].write(_bytes(to_shadow.T))
        for instance in stage.instances:
            self._place(self._shadow, instance)
            self._meshes[instance.mesh].shadow.render()
        reach = 1 + 2 * round(stage.shadow_blur / width * SHADOW_SIZE)
        moments = np.frombuffer(self._shadow_map.read(), np.float32)
        moments = moments.reshape(SHADOW_SIZE, SHADOW_SIZE, 2)
        self._shadow_map.write(cv2.blur(moments, (reach, reach)))
        self._colour["to_shadow"].write(_bytes(to_shadow.T))

    def _sphere(self, instance: Instance, circumscribed: bool = False) -> np.ndarray:
        """(4,) centre and radius, metres: about the bounding box, or about its mean extent."""
        mesh = self._meshes[instance.mesh]
        centre = instance.R_ref_obj @ ((mesh.low + mesh.high) / 2 * instance.scale)
        half = (mesh.high - mesh.low) / 2 * instance.scale
        radius = np.linalg.norm(half) if circumscribed else half.mean()
        return np.append(centre + instance.t_ref_obj, radius)

    def _place(self, program: moderngl.Program, instance: Instance) -> None:
        program["rotation"].write(_bytes(np.asarray(instance.R_ref_obj).T))
        program["translation"].write(_bytes(instance.t_ref_obj))
        program["scale"].write(_bytes(instance.scale))

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


def projection(camera: CameraModel) -> np.ndarray:
    """(4, 4) matrix from the optical frame (metres) to OpenGL's clip space.

    Image rows run down in the result, so what is read back needs no flip. K counts pixel centres
    at integers, clip space counts from the image's corner: hence the half pixel.
    """
    matrix = np.zeros((4, 4))
    matrix[0, :3] = 2 * camera.K[0] / camera.width
    matrix[1, :3] = 2 * camera.K[1] / camera.height
    matrix[0, 2] += 1 / camera.width - 1
    matrix[1, 2] += 1 / camera.height - 1
    matrix[2, 2:] = _depth_row(NEAR, FAR)
    matrix[3, 2] = 1
    return matrix


def mask_box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """(x, y, width, height) px of the True pixels of (H, W); all -1 if there are none."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    if not len(columns):
        return NO_BOX
    x, y = int(columns[0]), int(rows[0])
    return x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1


def _create_context() -> moderngl.Context:
    try:
        return moderngl.create_context(standalone=True, backend="egl")
    except Exception as error:  # glcontext raises bare Exception, and ImportError without libEGL
        raise RenderError(EGL_HELP.format(reason=error)) from error


def _widened(matrix: np.ndarray) -> np.ndarray:
    """Clip matrix of a canvas three times as large that has the image in its middle."""
    return np.diag([1 / 3, 1 / 3, 1, 1]) @ matrix


def _depth_row(near: float, far: float) -> tuple[float, float]:
    return (far + near) / (far - near), -2 * far * near / (far - near)


def _shadow_projection(
    lamp: Lamp, up: np.ndarray, spheres: np.ndarray
) -> tuple[np.ndarray, float]:
    """(4, 4) clip matrix of a view from the lamp, and the metres it spans at the casters."""
    low = (spheres[:, :3] - spheres[:, 3:]).min(axis=0)
    high = (spheres[:, :3] + spheres[:, 3:]).max(axis=0)
    centre, radius = (low + high) / 2, np.linalg.norm(high - low) / 2
    distance = max(np.linalg.norm(lamp.position - centre), 1.05 * radius)
    direction = (lamp.position - centre) / np.linalg.norm(lamp.position - centre)
    side = up if abs(direction @ up) < 0.99 else np.roll(up, 1)
    R, t = look_at(centre + direction * distance, centre, side)
    zoom = np.sqrt(distance**2 - radius**2) / radius
    near = max(distance - radius, 0.02)
    clip = np.zeros((4, 4))
    clip[0, 0] = clip[1, 1] = zoom
    clip[2, 2:] = _depth_row(near, distance + radius)
    clip[3, 2] = 1
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = R, t
    return clip @ pose, 2 * distance / zoom


def _bytes(values: np.ndarray) -> bytes:
    return np.ascontiguousarray(values, np.float32).tobytes()

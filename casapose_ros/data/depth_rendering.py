"""Depth images of one object at a time, many of them: what the error measure VSD compares."""

from __future__ import annotations

from collections.abc import Mapping

import moderngl
import numpy as np

from casapose_ros.data import shaders
from casapose_ros.data.clip_space import projection
from casapose_ros.data.meshes import Mesh
from casapose_ros.data.opengl import create_context
from casapose_ros.data.uploading import as_bytes, upload_mesh
from casapose_ros.errors import RenderError
from casapose_ros.types import CameraModel

DEPTH_FRAGMENT = """
#version 330
in float depth;
out float out_depth;
void main() { out_depth = depth; }
"""


class DepthRenderer:
    """Draws the depth of single objects; usable as a context manager.

    One context with all meshes in it, and one canvas per image size, serve any number of calls.
    Pixels are sampled exactly at their centres, as the labels of ``rendering.Renderer`` are.

    Args:
        meshes: Meshes by the object's name.

    Raises:
        RenderError: There is no OpenGL on this machine; the message says what to install.
    """

    def __init__(self, meshes: Mapping[str, Mesh]) -> None:
        self._context = create_context()
        self._program = self._context.program(shaders.DEPTH_VERTEX, DEPTH_FRAGMENT)
        self._program["scale"].write(as_bytes(np.ones(3)))
        self._meshes = {
            name: upload_mesh(self._context, {"depth": self._program}, mesh)
            for name, mesh in meshes.items()
        }
        self._canvases: dict[tuple[int, int], moderngl.Framebuffer] = {}

    def __enter__(self) -> DepthRenderer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the graphics memory back; the renderer cannot be used afterwards."""
        self._context.release()

    def render(
        self, name: str, R_cam_obj: np.ndarray, t_cam_obj: np.ndarray, camera: CameraModel
    ) -> np.ndarray:
        """Draw one object with nothing else around.

        Args:
            name: The object's name.
            R_cam_obj: (3, 3) rotation.
            t_cam_obj: (3,) metres.
            camera: A pinhole camera.

        Returns:
            (H, W) float32 metres along the optical axis, 0 where the object is not.

        Raises:
            RenderError: The camera is distorted, or there is no mesh of this name.
        """
        if camera.is_distorted:
            raise RenderError("only pinhole cameras can be drawn: rectify the camera first")
        if name not in self._meshes:
            raise RenderError(f"no mesh {name!r}; known: {', '.join(sorted(self._meshes))}")
        with self._context:  # another renderer may have drawn last
            canvas = self._canvas(camera.width, camera.height)
            canvas.use()
            canvas.clear()
            self._context.enable_only(moderngl.DEPTH_TEST)
            self._program["to_clip"].write(as_bytes(projection(camera).T))
            self._program["rotation"].write(as_bytes(np.asarray(R_cam_obj).T))
            self._program["translation"].write(as_bytes(t_cam_obj))
            self._meshes[name].passes["depth"].render()
            depth = canvas.read(components=1, alignment=1, dtype="f4")
        return np.frombuffer(depth, np.float32).reshape(camera.height, camera.width)

    def _canvas(self, width: int, height: int) -> moderngl.Framebuffer:
        size = (width, height)
        if size not in self._canvases:
            self._canvases[size] = self._context.framebuffer(
                [self._context.renderbuffer(size, 1, dtype="f4")],
                self._context.depth_renderbuffer(size),
            )
        return self._canvases[size]

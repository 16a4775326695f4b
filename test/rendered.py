"""What the tests of rendered data share: a check for OpenGL, small objects, a fast scenario."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest
import trimesh

from casapose_ros.data.meshes import Mesh, ObjectSet
from casapose_ros.data.object_sets import describe_object, write_object_set
from casapose_ros.data.props import Props, make_props
from casapose_ros.data.rendering import Renderer
from casapose_ros.data.scene_config import CameraConfig, SceneConfig
from casapose_ros.errors import RenderError

SMALL_CAMERA = CameraConfig(width=160, height=120, fx=150, fy=150, cx=79.5, cy=59.5)
SMALL_SCENES = SceneConfig(
    object_count=(2, 2),
    azimuth_deg=(-80, 80),
    elevation_deg=(20, 65),
    distance_m=(0.3, 0.55),
    centre_margin_px=5,
    camera=SMALL_CAMERA,
)


def require_gl() -> None:
    """Skip the test where no OpenGL context can be made."""
    try:
        Renderer(8, 8, {}).close()
    except RenderError as error:
        pytest.skip(f"no OpenGL: {error}")


def box_mesh(size=(0.1, 0.1, 0.1), colour=(200, 100, 50), offset=(0, 0, 0)) -> Mesh:
    """A box of one vertex colour, with flat faces; metres."""
    box = trimesh.creation.box(size)
    vertices = box.vertices[box.faces].reshape(-1, 3) + np.asarray(offset)
    normals = np.repeat(box.face_normals, 3, axis=0)
    faces = np.arange(len(vertices), dtype=np.int32).reshape(-1, 3)
    return Mesh(vertices, faces, normals, colours=np.tile(np.uint8(colour), (len(vertices), 1)))


def small_object_set(path: Path) -> ObjectSet:
    """Three boxes on disk."""
    sizes = {"red": (0.1, 0.1, 0.1), "green": (0.14, 0.09, 0.06), "blue": (0.06, 0.12, 0.1)}
    meshes = [box_mesh(s, c) for s, c in zip(sizes.values(), 200 * np.eye(3), strict=True)]
    objects = [
        describe_object(mesh.vertices, name, i, i)
        for i, (name, mesh) in enumerate(zip(sizes, meshes, strict=True), start=1)
    ]
    return write_object_set(path, objects, meshes)


@functools.lru_cache(maxsize=1)
def small_props() -> Props:
    """Few and small textures: quick to paint."""
    return make_props(0, textures=6, texture_px=32)

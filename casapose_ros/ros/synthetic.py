"""A camera that flies round a table of known objects: pictures with their exact truth."""

from __future__ import annotations

import tempfile
from collections import Counter

import numpy as np

from casapose_ros.config import load_yaml
from casapose_ros.data.bop import GroundTruth
from casapose_ros.data.demo_objects import demo_object_set
from casapose_ros.data.frames import render_frame
from casapose_ros.data.meshes import Mesh, load_object_set
from casapose_ros.data.props import props_for
from casapose_ros.data.rendering import Renderer
from casapose_ros.data.scene_config import SceneConfig
from casapose_ros.data.scenes import Body, MovingScene, load_bodies
from casapose_ros.geometry import project
from casapose_ros.ros.sources import Picture
from casapose_ros.types import CameraModel, ObjectModel, ObjectPose

SCENE_SECONDS = 6.0
"""After so long the camera finds itself in another scene."""


class SyntheticSource:
    """Renders moving scenes, one step of 1 / rate seconds per picture, without an end.

    The renderer belongs to the thread that makes this object: read it there.

    Args:
        objects_path: Folder of an object set; empty for the demo objects.
        scene_file: Scenario, a YAML file of :class:`SceneConfig`; empty for its defaults.
        rate: Pictures per second of the scene's time.
        seed: Same seed, same pictures.

    Raises:
        ConfigError: The scenario is wrong or asks for photos, or for objects that are not in
            the set.
        DatasetError: The object set cannot be read.
        RenderError: There is no OpenGL.
    """

    def __init__(self, objects_path: str, scene_file: str, rate: float, seed: int) -> None:
        self._config = load_yaml(SceneConfig, scene_file) if scene_file else SceneConfig()
        bodies = _load(objects_path, self._config.objects)
        self._bodies = [body for body, _ in bodies.values()]
        self._rng = np.random.default_rng(seed)
        self._props = props_for(self._config, [mesh for _, mesh in bodies.values()], seed)
        self._period = 1 / rate
        self._scene, self._seconds = self._new_scene(), 0.0
        self.camera = self._config.camera.model()
        meshes = self._props.shapes | {name: mesh for name, (_, mesh) in bodies.items()}
        self._renderer = Renderer(self.camera.width, self.camera.height, meshes)

    def read(self) -> Picture:
        """Draw the next picture."""
        if self._seconds >= SCENE_SECONDS:
            self._scene, self._seconds = self._new_scene(), 0.0
        scene = self._scene.at(self._seconds)
        self._seconds += self._period
        frame = render_frame(self._renderer, scene, self._config.effects, self._rng)
        counts: Counter[str] = Counter()
        truth = []
        for true, model in zip(frame.truths, scene.objects, strict=True):
            truth.append(_as_pose(true, model, counts[model.name], self.camera))
            counts[model.name] += 1
        return Picture(frame.image, tuple(truth))

    def close(self) -> None:
        """Let go of the renderer."""
        self._renderer.close()

    def _new_scene(self) -> MovingScene:
        return MovingScene(self._rng, self._config, self._bodies, self._props)


def _load(objects_path: str, names: tuple[str, ...]) -> dict[str, tuple[Body, Mesh]]:
    if objects_path:
        return load_bodies(load_object_set(objects_path), names)
    with tempfile.TemporaryDirectory() as folder:
        return load_bodies(demo_object_set(folder), names)


def _as_pose(
    true: GroundTruth, model: ObjectModel, instance: int, camera: CameraModel
) -> ObjectPose:
    """The truth in the form of an answer; its score is the visible fraction."""
    left, top, width, height = true.bbox_visib if true.px_count_visib else (0, 0, 0, 0)
    return ObjectPose(
        name=model.name,
        class_id=model.class_id,
        instance_id=instance,
        score=true.visib_fract,
        R_cam_obj=true.R_cam_obj,
        t_cam_obj=true.t_cam_obj,
        covariance=np.zeros((6, 6)),
        keypoints=project(model.keypoints, true.R_cam_obj, true.t_cam_obj, camera),
        keypoint_covariances=np.zeros((len(model.keypoints), 2, 2)),
        box=(left, top, left + width, top + height),
        visible_pixels=true.px_count_visib,
        reprojection_error=0.0,
    )

"""Stand-ins for the network: exact poses, taken from a list instead of from an image."""

import threading
import time
from dataclasses import dataclass, field, replace

import numpy as np

from casapose_ros.estimator import PoseEstimator
from casapose_ros.geometry import project, rotation_from_vector
from casapose_ros.ros.model import LoadedModel
from casapose_ros.types import CameraModel, Estimate, Fields, ObjectModel, ObjectPose

WIDTH, HEIGHT = 64, 48
CAMERA = CameraModel(np.array([[60.0, 0, 32], [0, 60.0, 24], [0, 0, 1]]), WIDTH, HEIGHT)


def make_model(name, class_id, origin=(0.0, 0.0, 0.0)):
    """A box of 40 x 60 x 100 mm; ``origin`` is the place of its centre in its own frame."""
    centre, half = np.array(origin), np.array([0.02, 0.03, 0.05])
    signs = np.stack(np.meshgrid([-1, 1], [-1, 1], [-1, 1], indexing="ij"), -1).reshape(8, 3)
    keypoints = np.vstack([centre, centre + signs * half])
    diameter = 2 * float(np.linalg.norm(half))
    return ObjectModel(name, class_id, class_id, keypoints, diameter, centre - half, centre + half)


CUP = make_model("cup", 1)
DRILL = make_model("drill", 2, origin=(0.01, 0.02, -0.03))
MODELS = {m.name: m for m in (CUP, DRILL)}


def make_pose(model, rotation=(0.1, -0.4, 0.7), t=(0.05, -0.02, 0.6), score=0.9, instance=0):
    """A found object whose numbers are all different from each other."""
    R, t = rotation_from_vector(np.array(rotation)), np.array(t)
    return ObjectPose(
        name=model.name,
        class_id=model.class_id,
        instance_id=instance,
        score=score,
        R_cam_obj=R,
        t_cam_obj=t,
        covariance=np.arange(36).reshape(6, 6) * 1e-6,
        keypoints=project(model.keypoints, R, t, CAMERA),
        keypoint_covariances=np.arange(36).reshape(9, 2, 2) * 0.1,
        box=(1.0, 2.0, 30.0, 40.5),
        visible_pixels=321,
        reprojection_error=0.25,
    )


def make_fields(width=WIDTH // 2, height=HEIGHT // 2, labels=2):
    """Fields that show ``labels`` objects side by side, at half of the image's resolution."""
    label_map = (np.arange(width) * (labels + 1) // width).astype(np.uint8)
    label_map = np.broadcast_to(label_map, (height, width)).copy()
    logits = (label_map[..., None] == np.arange(3)).astype(np.float32) * 5
    vectors = np.ones((height, width, 9, 2), dtype=np.float32)
    confidence = np.zeros((height, width, 9), dtype=np.float32)
    return Fields(logits, vectors, confidence, label_map)


@dataclass
class Script:
    """What the fake estimator finds, how long it takes and what it saw."""

    objects: list = field(default_factory=lambda: [make_pose(CUP), make_pose(DRILL, score=0.5)])
    seconds: float = 0.0
    error: Exception | None = None
    images: list = field(default_factory=list)
    cameras: list = field(default_factory=list)
    configs: list = field(default_factory=list)
    running: threading.Event = field(default_factory=threading.Event)


class FakeEstimator(PoseEstimator):
    """The real facade around a :class:`Script` instead of a network."""

    def __init__(self, script, config=None):
        super().__init__(None, (CUP, DRILL), (WIDTH, HEIGHT), config, name="fake model")
        self.script = script

    def with_config(self, config):
        # The real one refuses unknown objects; so must this one.
        super().with_config(config)
        return FakeEstimator(self.script, config)

    def run(self, image, camera):
        script = self.script
        script.images.append(image)
        script.cameras.append(camera)
        script.configs.append(self.config)
        script.running.set()
        time.sleep(script.seconds)
        if script.error is not None:
            raise script.error
        names, threshold = self.config.objects, self.config.score_threshold
        found = [
            replace(o)
            for o in script.objects
            if o.score >= threshold and (not names or o.name in names)
        ]
        times = {"preprocess": 0.001, "network": 0.002, "keypoints": 0.003, "pnp": 0.004}
        return Estimate(found, make_fields(), times)


def load_fake(script):
    """A ``load`` argument for the node."""
    return lambda path, device: LoadedModel(FakeEstimator(script), "fake device")

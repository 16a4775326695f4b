"""Scenes whose fields are exact: what a perfect network would say about boxes in known poses."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from casapose_ros import geometry
from casapose_ros.types import CameraModel, Fields, ObjectModel

CAMERA = CameraModel(np.array([[572.4, 0, 325.3], [0, 573.6, 242.0], [0, 0, 1]]), 640, 480)


def box_object(class_id: int = 1, size=(0.12, 0.08, 0.06), name: str | None = None) -> ObjectModel:
    """A box whose keypoints are its centre and corners; its origin lies off-centre."""
    half = np.asarray(size) / 2
    corners = np.array(np.meshgrid(*[(-1, 1)] * 3)).reshape(3, -1).T * half
    offset = np.array([0.01, -0.02, 0.015])
    return ObjectModel(
        name=name or f"box{class_id}",
        class_id=class_id,
        bop_id=10 + class_id,
        keypoints=np.vstack([np.zeros(3), corners]) + offset,
        diameter=float(np.linalg.norm(size)),
        box_min=offset - half,
        box_max=offset + half,
    )


def random_pose(rng: np.random.Generator, near: float = 0.4, far: float = 1.0, spread: float = 0.2):
    """Any rotation; a distance in metres and a place off the axis, as a tangent."""
    R = cv2.Rodrigues(_random_direction(rng) * rng.uniform(0, np.pi))[0]
    depth = rng.uniform(near, far)
    return R, depth * np.array([*rng.uniform(-spread, spread, 2), 1.0])


def silhouette(obj: ObjectModel, R: np.ndarray, t: np.ndarray, camera: CameraModel) -> np.ndarray:
    """(H, W) bool, the pixels whose centre the box covers."""
    pixels = geometry.project(obj.keypoints[1:], R, t, camera)
    hull = cv2.convexHull(pixels.astype(np.float32)).reshape(-1, 2)
    x, y = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    inside = np.ones(x.shape, dtype=bool)
    for (x0, y0), (x1, y1) in zip(hull, np.roll(hull, -1, axis=0), strict=True):
        inside &= (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0) >= 0
    return inside


@dataclass
class Scene:
    """Fields in the making: place objects one over the other, then spoil what you like."""

    camera: CameraModel
    num_objects: int = 1
    fields: Fields = field(init=False)

    def __post_init__(self) -> None:
        shape = (self.camera.height, self.camera.width)
        self.fields = Fields(
            logits=np.zeros((*shape, self.num_objects + 1), dtype=np.float32),
            vectors=np.zeros((*shape, 9, 2), dtype=np.float32),
            confidence=np.zeros((*shape, 9), dtype=np.float32),
            labels=np.zeros(shape, dtype=np.uint8),
        )
        self.fields.logits[..., 0] = 10

    def place(self, obj: ObjectModel, R: np.ndarray, t: np.ndarray, mask=None) -> np.ndarray:
        """Draw an object, its silhouette or the given mask; returns its keypoints (9, 2) px."""
        mask = silhouette(obj, R, t, self.camera) if mask is None else mask
        keypoints = geometry.project(obj.keypoints, R, t, self.camera)
        self.point_at(mask, obj.class_id, keypoints)
        return keypoints

    def point_at(self, mask: np.ndarray, class_id: int, keypoints: np.ndarray) -> None:
        """Give the mask's pixels a class and unit vectors to (9, 2) keypoints, px, (x, y)."""
        rows, cols = np.nonzero(mask)
        centres = np.stack([cols, rows], axis=1) + 0.5
        vectors = keypoints - centres[:, None]
        vectors /= np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
        self.fields.vectors[rows, cols] = vectors[..., ::-1]
        self.fields.labels[rows, cols] = class_id
        self.fields.logits[rows, cols] = 10 * np.eye(self.num_objects + 1)[class_id]

    def predict(self, image: np.ndarray) -> Fields:
        """Stands in for the network; whatever lies outside the scene is the first object's."""
        height, width = image.shape[:2]
        more = ((0, height - self.camera.height), (0, width - self.camera.width))
        return Fields(
            logits=np.pad(self.fields.logits, (*more, (0, 0))),
            vectors=np.pad(self.fields.vectors, (*more, (0, 0), (0, 0)), constant_values=0.7),
            confidence=np.pad(self.fields.confidence, (*more, (0, 0)), constant_values=3),
            labels=np.pad(self.fields.labels, more, constant_values=1),
        )


def _random_direction(rng: np.random.Generator) -> np.ndarray:
    direction = rng.normal(size=3)
    return direction / np.linalg.norm(direction)

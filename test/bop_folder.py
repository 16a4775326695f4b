"""A small BOP data set of boxes in known poses, and a perfect network for exactly its images."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import trimesh
from exact_fields import CAMERA, Scene, silhouette

from casapose_ros.data.models_info import write_models_info
from casapose_ros.types import Fields, ObjectModel

Placed = tuple[ObjectModel, np.ndarray, np.ndarray]
"""An object with its rotation and its translation in metres."""


class BopFolder:
    """Writes one scene with one image per list of objects; later objects hide earlier ones.

    The top left pixel of an image is its number, which is how the network knows it again.

    Attributes:
        path: The data set's folder.
        scenes: Exact fields of each image.
    """

    def __init__(self, path: Path, known: Sequence[ObjectModel], images: Sequence[list[Placed]]):
        self.path = path
        self.scene_path = path / "test" / "000000"
        self.scenes = [Scene(CAMERA, len(known)) for _ in images]
        for folder in ("rgb", "mask_visib"):
            (self.scene_path / folder).mkdir(parents=True)
        entries = [self._write_image(i, placed) for i, placed in enumerate(images)]
        camera = {"cam_K": CAMERA.K.ravel().tolist(), "depth_scale": 1.0}
        self._write("scene_camera.json", [camera] * len(images))
        self._write("scene_gt.json", [truths for truths, _ in entries])
        self._write("scene_gt_info.json", [infos for _, infos in entries])
        self._write_models({obj.bop_id: obj for placed in images for obj, _, _ in placed})

    def predict(self, image: np.ndarray) -> Fields:
        """Stands in for the network at the images' own size."""
        return self.scenes[int(image[0, 0, 0])].predict(image)

    def _write_image(self, index: int, placed: list[Placed]) -> tuple[list[dict], list[dict]]:
        image = np.full((CAMERA.height, CAMERA.width, 3), 90, dtype=np.uint8)
        masks = [silhouette(obj, R, t, CAMERA) for obj, R, t in placed]
        truths, infos = [], []
        for i, (obj, R, t) in enumerate(placed):
            hidden = np.any(masks[i + 1 :], axis=0) if masks[i + 1 :] else np.zeros_like(masks[i])
            visible = masks[i] & ~hidden
            self.scenes[index].place(obj, R, t, visible)
            image[visible] = (60 * i, 200, 255 - 60 * i)
            name = f"{index:06d}_{i:06d}.png"
            cv2.imwrite(str(self.scene_path / "mask_visib" / name), visible * np.uint8(255))
            pose = {"cam_R_m2c": R.ravel().tolist(), "cam_t_m2c": (1000 * t).tolist()}
            truths.append(pose | {"obj_id": obj.bop_id})
            infos.append({"visib_fract": visible.sum() / masks[i].sum()})
        image[0, 0] = index
        cv2.imwrite(str(self.scene_path / "rgb" / f"{index:06d}.png"), image)
        return truths, infos

    def _write(self, name: str, entries: list) -> None:
        (self.scene_path / name).write_text(json.dumps(dict(enumerate(entries))))

    def _write_models(self, objects: dict[int, ObjectModel]) -> None:
        folder = self.path / "models"
        folder.mkdir()
        for obj in objects.values():
            box = trimesh.creation.box(bounds=1000 * np.array([obj.box_min, obj.box_max]))
            box.export(folder / f"obj_{obj.bop_id:06d}.ply")
        write_models_info(folder / "models_info.json", list(objects.values()))

"""Writing rendered frames as a BOP data set, so that a kill at any moment loses one frame at most.

Each frame leaves a small record when all its images are on disk; in the end the records become
BOP's three JSON files. Every file appears under its name only when it is whole.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from casapose_ros.data.bop import MM_PER_M, BopDataset, GroundTruth
from casapose_ros.data.effects import jpeg
from casapose_ros.data.frames import LabelledFrame
from casapose_ros.errors import DatasetError
from casapose_ros.files import make_folder, replacing
from casapose_ros.types import CameraModel

FRAMES_PER_SCENE = 1000
"""As in BOP's PBR sets."""
DEPTH_SCALE = 0.1
"""Millimetres per unit of the depth images."""
JPEG_QUALITY = 95
TARGET_VISIBILITY = 0.1
"""Least visible fraction of the objects in the list of test targets, as in BOP."""
RECORDS = "records"
MODELS = "models"
FILES = {"camera": "scene_camera.json", "gt": "scene_gt.json", "info": "scene_gt_info.json"}


@dataclass(frozen=True)
class BopWriter:
    """Writes the frames of one split, numbered through from 0.

    Attributes:
        path: The data set's folder.
        split: Name of the split.
        jpg: Write colour images as JPEG instead of PNG.
        depth: Write depth images.
    """

    path: Path
    split: str
    jpg: bool = False
    depth: bool = False

    def scene_path(self, index: int) -> Path:
        """Folder of the scene that holds frame ``index``."""
        return self.path / self.split / f"{index // FRAMES_PER_SCENE:06d}"

    def written(self) -> set[int]:
        """Frames that are on disk completely."""
        found = set()
        for scene in (self.path / self.split).glob("[0-9]*"):
            names = [*_read_json(scene / FILES["info"]), *_records(scene)]
            found |= {int(scene.name) * FRAMES_PER_SCENE + int(name) for name in names}
        return found

    def finished(self) -> bool:
        """Whether :meth:`finish` has been called since the last frame was written."""
        scenes = (self.path / self.split).glob("[0-9]*")
        return (self.path / MODELS).is_dir() and not any((s / RECORDS).is_dir() for s in scenes)

    def write(self, index: int, frame: LabelledFrame) -> None:
        """Write the images of frame ``index``, then its record."""
        scene = self.scene_path(index)
        name = f"{index % FRAMES_PER_SCENE:06d}"
        if self.jpg:
            # What the camera compressed already is not compressed a second time.
            data = frame.jpeg or jpeg(frame.image, JPEG_QUALITY)
            _write(scene / "rgb" / f"{name}.jpg", data)
        else:
            write_image(scene / "rgb" / f"{name}.png", frame.image[..., ::-1])
        for i, mask in enumerate(frame.masks):
            path = scene / "mask_visib" / f"{name}_{i:06d}.png"
            write_image(path, mask.astype(np.uint8) * 255)
        if self.depth:
            units = np.round(frame.depth * (MM_PER_M / DEPTH_SCALE))
            units[units > np.iinfo(np.uint16).max] = 0  # too far to be written: unknown
            write_image(scene / "depth" / f"{name}.png", units.astype(np.uint16))
        record = {
            "camera": {"cam_K": frame.camera.K.ravel().tolist(), "depth_scale": DEPTH_SCALE},
            "gt": [_pose_entry(t) for t in frame.truths],
            "info": [_info_entry(t) for t in frame.truths],
        }
        write_json(self._record_path(index), record)

    def finish_scenes(self) -> None:
        """Add the records of all frames written since the last time to BOP's files."""
        for scene in (self.path / self.split).glob("[0-9]*"):
            records = {name: _read_json(path) for name, path in _records(scene).items()}
            if not records:
                continue
            for part, name in FILES.items():
                merged = _read_json(scene / name)
                merged |= {str(int(key)): record[part] for key, record in records.items()}
                write_json(scene / name, dict(sorted(merged.items(), key=lambda kv: int(kv[0]))))
            shutil.rmtree(scene / RECORDS)

    def finish(self, camera: CameraModel, models: Path) -> None:
        """Complete the scenes; a test split gets targets.

        A camera and models that the data set has already stay as they are.
        """
        self.finish_scenes()
        if not (self.path / "camera.json").exists():
            write_json(self.path / "camera.json", _camera_entry(camera))
        self._copy_models(models)
        if self.split.startswith("test"):
            targets = list_targets(BopDataset(self.path, self.split))
            write_json(self.path / f"{self.split}_targets_bop19.json", targets)

    def _copy_models(self, models: Path) -> None:
        """All of them or, after a kill, none."""
        target = self.path / MODELS
        if target.exists():
            return
        part = self.path / f".{MODELS}.{os.getpid()}"
        try:
            shutil.copytree(models, part)
            part.replace(target)
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def _record_path(self, index: int) -> Path:
        return self.scene_path(index) / RECORDS / f"{index % FRAMES_PER_SCENE:06d}.json"


def list_targets(dataset: BopDataset) -> list[dict[str, int]]:
    """BOP's list of what a method has to find: objects visible by at least a tenth."""
    targets = []
    for frame in dataset:
        seen = [t.bop_id for t in frame.objects if (t.visib_fract or 0) >= TARGET_VISIBILITY]
        targets += [
            {
                "scene_id": frame.scene_id,
                "im_id": frame.image_id,
                "obj_id": bop_id,
                "inst_count": seen.count(bop_id),
            }
            for bop_id in sorted(set(seen))
        ]
    return targets


def write_json(path: Path, values: Any) -> None:
    """Write JSON; a kill leaves the old file or the new one, never half of it."""
    _write(path, (json.dumps(values) + "\n").encode())


def write_image(path: Path, image: np.ndarray, options: list[int] | None = None) -> None:
    """Write (H, W) or (H, W, 3) BGR in the format of the suffix, whole or not at all."""
    _, data = cv2.imencode(path.suffix, image, options or [])
    _write(path, data.tobytes())


def _write(path: Path, data: bytes) -> None:
    make_folder(path.parent)
    with replacing(path) as part:
        part.write_bytes(data)


def _records(scene: Path) -> dict[str, Path]:
    return {path.stem: path for path in sorted((scene / RECORDS).glob("[0-9]*.json"))}


def _read_json(path: Path) -> dict[str, Any]:
    """The file's content; an empty mapping if it does not exist (yet)."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except json.JSONDecodeError as error:
        raise DatasetError(f"{path}: broken JSON ({error}): delete it and render again") from error


def _camera_entry(camera: CameraModel) -> dict[str, float]:
    return {
        "fx": camera.K[0, 0],
        "fy": camera.K[1, 1],
        "cx": camera.K[0, 2],
        "cy": camera.K[1, 2],
        "width": camera.width,
        "height": camera.height,
        "depth_scale": DEPTH_SCALE,
    }


def _pose_entry(truth: GroundTruth) -> dict[str, Any]:
    return {
        "cam_R_m2c": truth.R_cam_obj.ravel().tolist(),
        "cam_t_m2c": (truth.t_cam_obj * MM_PER_M).tolist(),
        "obj_id": truth.bop_id,
    }


def _info_entry(truth: GroundTruth) -> dict[str, Any]:
    return {
        "bbox_obj": truth.bbox_obj,
        "bbox_visib": truth.bbox_visib,
        "px_count_all": truth.px_count_all,
        "px_count_valid": truth.px_count_visib,
        "px_count_visib": truth.px_count_visib,
        "visib_fract": truth.visib_fract,
    }

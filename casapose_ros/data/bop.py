"""Data sets in the BOP format: scenes as folders of images, masks and ground truth.

Millimetres live in the files alone: everything read here is in metres. See
https://github.com/thodan/bop_toolkit/blob/master/docs/bop_datasets_format.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from casapose_ros.data.bop_images import list_depths, list_images, list_masks, load_image
from casapose_ros.data.bop_json import brief, finite, object_entries, object_info, read_json
from casapose_ros.errors import CasaposeError, DatasetError
from casapose_ros.types import CameraModel

MM_PER_M = 1000.0
RENDER_NOTE = "render.json"
"""In the folder of a split that ``casapose render`` wrote: its scenario."""


@dataclass(frozen=True)
class GroundTruth:
    """One object in one image. Fields that the data set does not have are None.

    Attributes:
        bop_id: The object's id in BOP.
        R_cam_obj: (3, 3) float64.
        t_cam_obj: (3,) float64 metres.
        visib_fract: Visible pixels over all pixels of the silhouette, 0..1.
        px_count_all: Pixels of the silhouette with nothing in front, also outside the image.
        px_count_visib: Visible pixels.
        bbox_obj: (x, y, width, height) px of the silhouette; -1 where it is empty.
        bbox_visib: The same of the visible pixels.
        mask_path: Mask of the visible pixels.
    """

    bop_id: int
    R_cam_obj: np.ndarray
    t_cam_obj: np.ndarray
    visib_fract: float | None = None
    px_count_all: int | None = None
    px_count_visib: int | None = None
    bbox_obj: tuple[int, int, int, int] | None = None
    bbox_visib: tuple[int, int, int, int] | None = None
    mask_path: Path | None = None


@dataclass(frozen=True)
class BopFrame:
    """One image of a data set and what is known about it.

    Attributes:
        scene_id: Number of the scene's folder.
        image_id: Number of the image in the scene.
        image_path: Colour (or grey) image.
        camera: Pinhole camera; the image's size.
        objects: Ground truth in the file's order.
        depth_path: Depth image, or None.
        depth_scale: Millimetres per unit of the depth image.
    """

    scene_id: int
    image_id: int
    image_path: Path
    camera: CameraModel
    objects: tuple[GroundTruth, ...]
    depth_path: Path | None = None
    depth_scale: float = 1.0

    def load_image(self) -> np.ndarray:
        """(H, W, 3) uint8 RGB.

        Raises:
            DatasetError: The file is unreadable, ends too soon, or is of another size than the
                camera's.
        """
        return load_image(self.image_path, cv2.IMREAD_COLOR, self.camera)[..., ::-1].copy()

    def load_depth(self) -> np.ndarray:
        """(H, W) float64 metres, 0 where unknown.

        Raises:
            DatasetError: There is no depth image, or it is unreadable, of another size than the
                camera's, or has several channels.
        """
        if self.depth_path is None:
            raise DatasetError(f"{self.image_path}: there is no depth image")
        depth = load_image(self.depth_path, cv2.IMREAD_UNCHANGED, self.camera)
        if depth.ndim != 2:
            raise DatasetError(
                f"{self.depth_path}: a depth image has one channel, this one has {depth.shape[2]}: "
                "is it a colour image?"
            )
        # Float32 millimetres, as the benchmark's own tools read it; float64 metres keep them.
        millimetres = depth.astype(np.float32) * np.float32(self.depth_scale)
        return millimetres.astype(np.float64) / MM_PER_M

    def load_mask(self, index: int) -> np.ndarray:
        """(H, W) bool, visible pixels of ``objects[index]``."""
        path = self.objects[index].mask_path
        if path is None:
            raise DatasetError(f"{self.image_path}: object {index} has no mask in mask_visib")
        return load_image(path, cv2.IMREAD_GRAYSCALE, self.camera) > 0


@dataclass(frozen=True)
class BopDataset:
    """A split of a data set folder; iterate over it to get its frames, scene by scene.

    Attributes:
        path: The data set's folder.
        split: For example ``train_pbr`` or ``test``.
        skip_broken: Leave out frames that cannot be read, or whole scenes where their files
            cannot, and note why in ``problems``.
        problems: Messages about what was left out so far.
    """

    path: Path
    split: str
    skip_broken: bool = False
    problems: list[str] = field(default_factory=list)

    def scene_paths(self) -> list[Path]:
        """Folders of the scenes, by number.

        Raises:
            DatasetError: The split is missing or empty.
        """
        folder = Path(self.path) / self.split
        if not folder.is_dir():
            raise DatasetError(f"{folder}: no such split of a BOP data set")
        scenes = sorted(p for p in folder.iterdir() if p.is_dir() and p.name.isdigit())
        if not scenes:
            raise DatasetError(f"{folder}: no scene folders (000000, 000001, ...) in this split")
        return scenes

    def __iter__(self) -> Iterator[BopFrame]:
        for scene in self.scene_paths():
            try:
                frames = read_scene(scene, self.problems if self.skip_broken else None)
            except DatasetError as error:
                if not self.skip_broken:
                    raise
                self.problems.append(f"{error} (the whole scene is left out)")
                continue
            yield from frames


def read_scene(path: str | Path, problems: list[str] | None = None) -> list[BopFrame]:
    """Read the descriptions of all frames of a scene folder; images are loaded on demand.

    Args:
        path: The folder.
        problems: Where to note frames that cannot be read, to leave them out.

    Raises:
        DatasetError: A file is missing, is broken or contradicts another; the message names it.
            With ``problems``: one that all frames need.
    """
    scene = _Scene(Path(path))
    frames = []
    for key in scene.numbers():
        try:
            frames.append(scene.frame(key))
        except DatasetError as error:
            if problems is None:
                raise
            problems.append(str(error))
    return frames


class _Scene:
    """The files of a scene folder."""

    def __init__(self, path: Path):
        self.path = path
        self.camera_path = path / "scene_camera.json"
        self.cameras = read_json(self.camera_path)
        self.truths = read_json(path / "scene_gt.json")
        self.infos = _read_infos(path)
        self.images, self.depths = list_images(path), list_depths(path)
        self.masks = list_masks(path)
        self.size: tuple[int, int] | None = None

    def numbers(self) -> list[str]:
        """Of the frames, in the order of their numbers."""
        return sorted(self.cameras, key=_number(self.camera_path))

    def frame(self, key: str) -> BopFrame:
        where = f"{self.camera_path}: image {key}"
        name = f"{int(key):06d}"
        if name not in self.images:
            raise DatasetError(f"{self.path}: image {name} of scene_camera.json is missing")
        if self.size is None:
            image = load_image(self.images[name], cv2.IMREAD_COLOR)
            self.size = image.shape[1], image.shape[0]
        return BopFrame(
            scene_id=int(self.path.name),
            image_id=int(key),
            image_path=self.images[name],
            camera=_camera(self.cameras[key], self.size, where),
            objects=_truths(self.path, key, self.truths, self.infos, self.masks),
            depth_path=self.depths.get(name),
            depth_scale=_depth_scale(self.cameras[key], where),
        )


def read_ground_truth(path: str | Path) -> dict[int, tuple[GroundTruth, ...]]:
    """Read the true objects of a scene folder alone, by image id; its images need not be there.

    Raises:
        DatasetError: ``scene_gt.json`` is missing, or it or ``scene_gt_info.json`` is broken.
    """
    path = Path(path)
    truths = read_json(path / "scene_gt.json")
    infos = _read_infos(path)
    number = _number(path / "scene_gt.json")
    return {number(key): _truths(path, key, truths, infos, {}) for key in truths}


def _read_infos(path: Path) -> dict[str, Any]:
    file = path / "scene_gt_info.json"
    return read_json(file) if file.exists() else {}


def _truths(
    path: Path, key: str, truths: dict[str, Any], infos: dict[str, Any], masks: dict[str, Path]
) -> tuple[GroundTruth, ...]:
    if key not in truths:
        raise DatasetError(f"{path / 'scene_gt.json'}: image {key} has no ground truth")
    entries = object_entries(truths[key], f"{path / 'scene_gt.json'}: image {key}")
    extras = [{}] * len(entries)
    if key in infos:
        extras = object_entries(infos[key], f"{path / 'scene_gt_info.json'}: image {key}")
    if len(extras) != len(entries):
        raise DatasetError(
            f"{path / 'scene_gt_info.json'}: image {key} has {len(extras)} objects, "
            f"but {len(entries)} in scene_gt.json"
        )
    found = []
    for index, (entry, extra) in enumerate(zip(entries, extras, strict=True)):
        try:
            R = np.array(entry["cam_R_m2c"], dtype=np.float64).reshape(3, 3)
            t = np.array(entry["cam_t_m2c"], dtype=np.float64).reshape(3) / MM_PER_M
            bop_id = int(entry["obj_id"])
        except (KeyError, TypeError, ValueError) as error:
            raise DatasetError(
                f"{path / 'scene_gt.json'}: image {key}, object {index}: expected obj_id, "
                f"cam_R_m2c (9 numbers) and cam_t_m2c (3 numbers): {error!r}"
            ) from error
        mask = masks.get(f"{int(key):06d}_{index:06d}.png")
        info = object_info(extra, f"{path / 'scene_gt_info.json'}: image {key}, object {index}")
        found.append(GroundTruth(bop_id, R, t, mask_path=mask, **info))
    return tuple(found)


def _camera(entry: Any, size: tuple[int, int], where: str) -> CameraModel:
    try:
        K = np.array(entry["cam_K"], dtype=np.float64).reshape(3, 3)
        return CameraModel(K, *size)
    except (KeyError, TypeError, CasaposeError) as error:
        raise DatasetError(f"{where}: bad cam_K: {error!r}") from error
    except ValueError as error:
        raise DatasetError(f"{where}: cam_K must have 9 numbers: {error}") from error


def _depth_scale(entry: dict[str, Any], where: str) -> float:
    scale = entry.get("depth_scale", 1.0)
    try:
        return finite(scale)
    except (TypeError, ValueError) as error:
        raise DatasetError(f"{where}: depth_scale must be a number, got {brief(scale)}") from error


def _number(path: Path) -> Any:
    def number(key: str) -> int:
        try:
            return int(key)
        except ValueError as error:
            raise DatasetError(f"{path}: image ids must be numbers, got {key!r}") from error

    return number

"""Whether a data set can teach an object set: same objects, same size, truth for every image."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from casapose_ros.data.bop import BopDataset, BopFrame
from casapose_ros.data.bop_images import list_images
from casapose_ros.data.models_info import MODELS_INFO, check_same, read_models_info
from casapose_ros.errors import DatasetError
from casapose_ros.geometry import are_poses
from casapose_ros.types import ObjectModel


def check_fit(path: Path, frames: Iterable[BopFrame], objects: Sequence[ObjectModel]) -> None:
    """Compare the objects that frames show with those to learn.

    Objects of the data set that are not to be learned are background.

    Raises:
        DatasetError: They have none in common, or one of them has another size or place in its
            own frame than the data set's model of it.
    """
    present = {truth.bop_id for frame in frames for truth in frame.objects}
    if not present.intersection(model.bop_id for model in objects):
        known = ", ".join(f"{model.bop_id} ({model.name})" for model in objects)
        raise DatasetError(
            f"{path}: its ground truth has the BOP ids {sorted(present)}, the object set has "
            f"{known}: there is nothing to learn"
        )
    info_path = path / "models" / MODELS_INFO
    infos = read_models_info(info_path) if info_path.is_file() else {}
    for model in objects:
        if model.bop_id in present and model.bop_id in infos:
            check_same(info_path, infos[model.bop_id], model, "the object set")


def check_same_objects(path: Path, objects: Sequence[ObjectModel]) -> None:
    """Whether a data set's models are those that more frames of it are to show.

    Args:
        path: Folder of the models.
        objects: Of the frames.

    Raises:
        DatasetError: One of the objects is not there, or has another size or place in its frame.
        MeshError: The models' description is bad.
    """
    infos = read_models_info(path / MODELS_INFO)
    for model in objects:
        if model.bop_id not in infos:
            raise DatasetError(
                f"{path} has the BOP ids {sorted(infos)} and no {model.bop_id} ({model.name}): "
                "render into another folder"
            )
        check_same(path / MODELS_INFO, infos[model.bop_id], model, "the object set")


def find_bad_poses(frames: Sequence[BopFrame], objects: Sequence[ObjectModel]) -> dict[int, str]:
    """Which frames have a true pose that is none, of an object to learn: why, by place."""
    known = {model.bop_id for model in objects}
    places = [
        (number, index)
        for number, frame in enumerate(frames)
        for index, truth in enumerate(frame.objects)
        if truth.bop_id in known
    ]
    truths = [frames[number].objects[index] for number, index in places]
    R = np.array([truth.R_cam_obj for truth in truths]).reshape(-1, 3, 3)
    t = np.array([truth.t_cam_obj for truth in truths]).reshape(-1, 3)
    found = {}
    for number, index in (places[i] for i in np.flatnonzero(~are_poses(R, t))):
        frame, truth = frames[number], frames[number].objects[index]
        found[number] = (
            f"{frame.image_path.parents[1] / 'scene_gt.json'}: image {frame.image_id}, object "
            f"{index}: R = {truth.R_cam_obj.tolist()}, t = {truth.t_cam_obj.tolist()} is no pose"
        )
    return found


def check_complete(dataset: BopDataset, frames: Sequence[BopFrame]) -> None:
    """Look for images that the scenes' files do not speak of.

    A data set that skips what is broken notes them in its ``problems``.

    Raises:
        DatasetError: There is one, and the data set is not to skip what is broken.
    """
    listed = {frame.image_path for frame in frames}
    for scene in sorted({path.parents[1] for path in listed}):
        for path in sorted(set(list_images(scene).values()) - listed):
            problem = (
                f"{path}: no entry in {scene / 'scene_camera.json'}, so no ground truth "
                "(an unfinished rendering? finish it with 'casapose render --resume')"
            )
            if not dataset.skip_broken:
                raise DatasetError(f"{problem}; --skip-broken leaves such images out")
            dataset.problems.append(problem)

"""Frames, objects and their surfaces from a data set in the BOP format."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from casapose_ros.data.bop import BopFrame
from casapose_ros.data.meshes import load_mesh, mesh_file_name
from casapose_ros.data.models_info import ModelInfo, read_models_info
from casapose_ros.errors import DatasetError
from casapose_ros.evaluation.judging import Frame
from casapose_ros.evaluation.matching import Reference, TrueObject
from casapose_ros.types import ObjectModel

MODEL_FOLDERS = ("models_eval", "models")
"""Where BOP keeps meshes; those for evaluation have evenly spread vertices."""
SAME_DIAMETER = 0.05
"""Relative difference up to which two diameters may belong to one object."""


@dataclass(frozen=True)
class BopSource:
    """The frames of a BOP data set; a ``FrameSource`` of :mod:`~.running`.

    Attributes:
        name: The data set's name.
        bop_frames: Its frames.
        objects: What the model knows; other true objects are left out.
        problems: Stays empty: a broken image ends the run.
    """

    name: str
    bop_frames: tuple[BopFrame, ...]
    objects: tuple[ObjectModel, ...]
    problems: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.bop_frames)

    def frames(self, done: Collection[str]) -> Iterator[Frame]:
        """The frames that are not done yet, loaded one by one.

        Raises:
            DatasetError: An image or a mask cannot be read.
        """
        for bop_frame in self.bop_frames:
            if frame_name(bop_frame) not in done:
                yield replace(read_frame(bop_frame, self.objects), source=self.name)

    def find(self, names: Collection[str]) -> dict[str, Frame]:
        """Frames by name."""
        others = {frame_name(bop_frame) for bop_frame in self.bop_frames} - set(names)
        return {frame.name: frame for frame in self.frames(others)}


def frame_name(bop_frame: BopFrame) -> str:
    """``scene/image`` in BOP's six digits."""
    return f"{bop_frame.scene_id:06d}/{bop_frame.image_id:06d}"


def read_frame(bop_frame: BopFrame, objects: Sequence[ObjectModel]) -> Frame:
    """Load an image of a BOP data set with the truth about the objects that a model knows.

    A data set without ``scene_gt_info.json`` does not say how much of an object is visible: all
    of it then.

    Raises:
        DatasetError: An image or a mask cannot be read.
    """
    names = {obj.bop_id: obj.name for obj in objects}
    truths = []
    masks: dict[str, np.ndarray] = {}
    for index, true in enumerate(bop_frame.objects):
        if true.bop_id not in names:
            continue
        name = names[true.bop_id]
        visibility = 1.0 if true.visib_fract is None else true.visib_fract
        truths.append(TrueObject(name, true.R_cam_obj, true.t_cam_obj, visibility))
        if true.mask_path is not None:
            mask = bop_frame.load_mask(index)
            masks[name] = masks[name] | mask if name in masks else mask
    return Frame(
        name=frame_name(bop_frame),
        image=bop_frame.load_image(),
        camera=bop_frame.camera,
        truths=tuple(truths),
        masks=masks,
        scene_id=bop_frame.scene_id,
        image_id=bop_frame.image_id,
    )


def count_objects(frames: Iterable[BopFrame]) -> dict[int, int]:
    """How often each object occurs, by BOP id in ascending order."""
    counts: dict[int, int] = {}
    for frame in frames:
        for true in frame.objects:
            counts[true.bop_id] = counts.get(true.bop_id, 0) + 1
    return dict(sorted(counts.items()))


def load_references(
    dataset: Path, objects: Sequence[ObjectModel], present: Iterable[int]
) -> dict[str, Reference]:
    """The known objects as a BOP data set describes them: its meshes, sizes and symmetries.

    Args:
        dataset: The data set's folder.
        objects: All objects that the model knows.
        present: BOP ids of the objects in the ground truth.

    Returns:
        By name, a reference for every known object. An object that the ground truth never shows
        needs no mesh: there is nothing to measure its estimates against.

    Raises:
        DatasetError: The model and the ground truth have no object in common, the data set has
            no models, or its model is another object than the one that the network knows.
        MeshError: A mesh is missing or bad.
    """
    present = set(present)
    if not present.intersection(obj.bop_id for obj in objects):
        known = ", ".join(f"{obj.bop_id} ({obj.name})" for obj in objects)
        raise DatasetError(
            f"{dataset}: its ground truth has the BOP ids {sorted(present)}, the model knows "
            f"{known}: there is nothing to evaluate"
        )
    folder = _models_folder(dataset)
    infos = read_models_info(folder / "models_info.json")
    return {
        obj.name: _reference(folder, obj, infos.get(obj.bop_id))
        if obj.bop_id in present
        else Reference(obj, obj.keypoints)
        for obj in objects
    }


def _reference(folder: Path, obj: ObjectModel, info: ModelInfo | None) -> Reference:
    """An object with the data set's size, symmetries and vertices."""
    if info is None:
        raise DatasetError(f"{folder / 'models_info.json'}: no entry for object {obj.bop_id}")
    if abs(info.diameter - obj.diameter) > SAME_DIAMETER * info.diameter:
        raise DatasetError(
            f"{folder}: object {obj.bop_id} is {info.diameter:.4f} m across, the model's "
            f"{obj.name} with this id {obj.diameter:.4f} m: not the same object"
        )
    mesh = load_mesh(folder / mesh_file_name(obj.bop_id), "mm")
    model = replace(obj, diameter=info.diameter, symmetries=info.symmetries)
    return Reference(model, mesh.vertices)


def _models_folder(dataset: Path) -> Path:
    for name in MODEL_FOLDERS:
        if (dataset / name / "models_info.json").is_file():
            return dataset / name
    raise DatasetError(
        f"{dataset}: no models ({' or '.join(MODEL_FOLDERS)} with models_info.json); errors are "
        "measured on the objects' surfaces"
    )

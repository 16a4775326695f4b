"""Frames, objects and their surfaces from a data set in the BOP format."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path

import numpy as np

from casapose_ros.data.bop import BopFrame
from casapose_ros.data.meshes import load_mesh, mesh_file_name
from casapose_ros.data.models_info import MODELS_INFO, ModelInfo, check_same, read_models_info
from casapose_ros.errors import DatasetError
from casapose_ros.evaluation.judging import Frame
from casapose_ros.evaluation.matching import Reference, TrueObject
from casapose_ros.evaluation.records import FrameRecord
from casapose_ros.evaluation.results import FrameResult
from casapose_ros.types import NUM_KEYPOINTS, ObjectModel

MODEL_FOLDERS = ("models_eval", "models")
"""Where BOP keeps meshes; those for evaluation have evenly spread vertices."""


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


def sources_of(
    bop_frames: Iterable[BopFrame], name: str, objects: Sequence[ObjectModel]
) -> list[BopSource]:
    """The frames of a BOP data set scene by scene.

    Args:
        bop_frames: Frames, those of a scene one after the other.
        name: What they are part of; sources are called after it and their scene.
        objects: What the model knows.
    """
    return [
        BopSource(f"{name}/{scene:06d}", tuple(frames), tuple(objects))
        for scene, frames in groupby(bop_frames, lambda frame: frame.scene_id)
    ]


def records_of(
    results: Iterable[FrameResult], sources: Sequence[BopSource]
) -> tuple[list[FrameRecord], int]:
    """Records of a data set's images with estimates that were read from a file.

    Args:
        results: The estimates; images without any are not among them.
        sources: The whole data set.

    Returns:
        One record per image of the data set, and how many images the estimates have besides: a
        results file of a whole benchmark set serves for a part of it, too.

    Raises:
        DatasetError: The estimates are all of other images.
    """
    by_name = {result.name: result for result in results}
    records = []
    for source in sources:
        for bop_frame in source.bop_frames:
            name = frame_name(bop_frame)
            result = by_name.pop(name, None)
            records.append(
                FrameRecord(
                    name=name,
                    source=source.name,
                    camera=bop_frame.camera,
                    poses=result.poses if result else (),
                    truths=true_objects(bop_frame, source.objects),
                    mask_ious={},
                    times=result.times if result else {},
                    network_size=None,
                    scene_id=bop_frame.scene_id,
                    image_id=bop_frame.image_id,
                )
            )
    if by_name and not any(record.poses for record in records):
        raise DatasetError(
            f"all estimates are of images that are not in this split, for example "
            f"{next(iter(by_name))}: another data set, or another split?"
        )
    return records, len(by_name)


def frame_name(bop_frame: BopFrame) -> str:
    """``scene/image`` in BOP's six digits."""
    return f"{bop_frame.scene_id:06d}/{bop_frame.image_id:06d}"


def read_frame(bop_frame: BopFrame, objects: Sequence[ObjectModel]) -> Frame:
    """Load an image of a BOP data set with the truth about the objects that a model knows.

    The mask of an object is that of all its instances; where one of them has none, neither has
    the object.

    Raises:
        DatasetError: An image or a mask cannot be read, or a true pose is no pose.
    """
    unmasked = {true.bop_id for true in bop_frame.objects if true.mask_path is None}
    names = {obj.bop_id: obj.name for obj in objects if obj.bop_id not in unmasked}
    masks: dict[str, np.ndarray] = {}
    for index, true in enumerate(bop_frame.objects):
        if true.bop_id in names:
            name, mask = names[true.bop_id], bop_frame.load_mask(index)
            masks[name] = masks[name] | mask if name in masks else mask
    return Frame(
        name=frame_name(bop_frame),
        image=bop_frame.load_image(),
        camera=bop_frame.camera,
        truths=true_objects(bop_frame, objects),
        masks=masks,
        scene_id=bop_frame.scene_id,
        image_id=bop_frame.image_id,
    )


def true_objects(bop_frame: BopFrame, objects: Sequence[ObjectModel]) -> tuple[TrueObject, ...]:
    """The true objects of an image that a model knows.

    Where ``scene_gt_info.json`` does not say how much of an object is visible, all of it counts
    as visible; see :func:`unknown_visibilities`.

    Raises:
        DatasetError: A true pose is no pose; the message has the image and the object's place.
    """
    names = {obj.bop_id: obj.name for obj in objects}
    truths = []
    for index, true in enumerate(bop_frame.objects):
        if true.bop_id not in names:
            continue
        visibility = 1.0 if true.visib_fract is None else true.visib_fract
        try:
            found = TrueObject(names[true.bop_id], true.R_cam_obj, true.t_cam_obj, visibility)
        except DatasetError as error:
            scene = bop_frame.image_path.parents[1]
            raise DatasetError(
                f"{scene / 'scene_gt.json'}: image {bop_frame.image_id}, object {index}: {error}"
            ) from error
        truths.append(found)
    return tuple(truths)


def unknown_visibilities(frames: Sequence[BopFrame]) -> list[str]:
    """A sentence for the report if the data set does not say how much is visible of something."""
    count = sum(any(true.visib_fract is None for true in f.objects) for f in frames)
    if not count:
        return []
    return [
        f"{count} of {len(frames)} images have no visibilities (visib_fract in "
        "scene_gt_info.json): every object in them counts as fully visible, so that hidden ones "
        "are asked for too, and are missed"
    ]


def count_objects(frames: Iterable[BopFrame]) -> dict[int, int]:
    """How often each object occurs, by BOP id in ascending order."""
    counts: dict[int, int] = {}
    for frame in frames:
        for true in frame.objects:
            counts[true.bop_id] = counts.get(true.bop_id, 0) + 1
    return dict(sorted(counts.items()))


def load_objects(dataset: Path) -> tuple[ObjectModel, ...]:
    """All objects of a data set, for a method that has no object set; keypoints are NaN.

    Raises:
        DatasetError: The data set has no models.
        MeshError: Their description is bad.
    """
    infos = read_models_info(models_folder(dataset) / MODELS_INFO)
    nowhere = np.full((NUM_KEYPOINTS, 3), np.nan)
    return tuple(
        ObjectModel(
            f"obj_{i:06d}",
            class_id,
            i,
            nowhere,
            info.diameter,
            info.box_min,
            info.box_max,
            info.symmetries,
        )
        for class_id, (i, info) in enumerate(sorted(infos.items()), start=1)
    )


def load_references(
    dataset: Path,
    objects: Sequence[ObjectModel],
    present: Iterable[int],
    otherwise: Path | None = None,
) -> dict[str, Reference]:
    """The known objects as a BOP data set describes them: its meshes, sizes and symmetries.

    Args:
        dataset: The data set's folder.
        objects: All objects that the model knows.
        present: BOP ids of the objects in the ground truth.
        otherwise: Folder of models to take where the data set has none.

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
    folder = models_folder(dataset, otherwise)
    infos = read_models_info(folder / MODELS_INFO)
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
    check_same(folder / MODELS_INFO, info, obj, "the trained model")
    mesh = load_mesh(folder / mesh_file_name(obj.bop_id), "mm")
    model = replace(obj, diameter=info.diameter, symmetries=info.symmetries)
    return Reference(model, mesh.vertices)


def models_folder(dataset: Path, otherwise: Path | None = None) -> Path:
    """Where a data set's meshes for evaluation are, or ``otherwise`` if it has none.

    Raises:
        DatasetError: There are none.
    """
    for name in MODEL_FOLDERS:
        if (dataset / name / MODELS_INFO).is_file():
            return dataset / name
    if otherwise is not None:
        return otherwise
    raise DatasetError(
        f"{dataset}: no models ({' or '.join(MODEL_FOLDERS)} with models_info.json); errors are "
        "measured on the objects' surfaces"
    )

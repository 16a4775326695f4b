"""The true poses that belong to an image of a bag, from a topic or from a BOP scene."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from scipy.spatial.transform import Rotation

from casapose_ros.bags import message_types as types
from casapose_ros.bags.index import Images, Truths
from casapose_ros.bags.reading import BagReader
from casapose_ros.data.bop import GroundTruth, read_ground_truth
from casapose_ros.errors import DatasetError
from casapose_ros.evaluation.matching import TrueObject
from casapose_ros.types import ObjectModel

UNIT_TOLERANCE = 1e-3
"""A quaternion whose length differs from 1 by more is no rotation."""


class NoTruth(DatasetError):
    """An image has no ground truth that can be used.

    Args:
        what: Goes on from "image".
        example: What it is in this case.
    """

    def __init__(self, what: str, example: str = "") -> None:
        super().__init__(what)
        self.what, self.example = what, example


class TruthTrack(Protocol):
    """Finds the true objects of each image of one camera."""

    def objects(self, reader: BagReader, image: int) -> tuple[TrueObject, ...]:
        """All true objects of an image that the model knows.

        Args:
            reader: The open bag.
            image: Number of the image on its topic.

        Raises:
            NoTruth: There is none, or it makes no sense.
        """


class TopicTruths:
    """True poses from a topic: those with the image's stamp and frame.

    Args:
        truths: The topic's messages.
        images: The camera's images.
        objects: The objects that the model knows.
    """

    def __init__(self, truths: Truths, images: Images, objects: Sequence[ObjectModel]) -> None:
        stamps = np.array(truths.stamps, dtype=np.int64)
        self._order = np.argsort(stamps, kind="stable")
        self._stamps = stamps[self._order]
        self._truths, self._images = truths, images
        self._names = names_of(objects)

    def objects(self, reader: BagReader, image: int) -> tuple[TrueObject, ...]:
        """See :class:`TruthTrack`."""
        stamp, frame_id = self._images.stamps[image], self._images.frame_id(image)
        span = (int(np.searchsorted(self._stamps, stamp, side)) for side in ("left", "right"))
        numbers = self._order[slice(*span)].tolist()
        if not numbers:
            raise NoTruth("without ground truth of its stamp")
        mine = [n for n in numbers if self._truths.frame_id(n) == frame_id]
        if not mine:
            other = self._truths.frame_id(numbers[0])
            raise NoTruth(
                "with ground truth in another frame than theirs", f"{other!r}, not {frame_id!r}"
            )
        contents = {reader.read(self._truths.place(n)) for n in mine}
        if len(contents) > 1:
            raise NoTruth("with several contradicting ground truths of its stamp")
        message = reader.decode(contents.pop(), types.OBJECT_POSE_ARRAY)
        known = (o for o in message.objects if o.name in self._names)
        return tuple(_true_object(o, self._names[o.name]) for o in known)


class SceneTruths:
    """True poses from a BOP scene's ``scene_gt.json``.

    If any of the file's image ids is an image's stamp in nanoseconds, images are joined by their
    stamps. Otherwise the n-th id in ascending order belongs to the n-th image of the topic, which
    takes as many ids as images: who counts from 0 to 99 must not have lost an image.

    Args:
        path: The file, or the scene's folder; ``scene_gt_info.json`` beside it is read too.
        images: The camera's images.
        objects: The objects that the model knows.

    Raises:
        DatasetError: The file cannot be read, or its ids fit the images in neither way.
    """

    def __init__(self, path: Path, images: Images, objects: Sequence[ObjectModel]) -> None:
        scene = path if path.is_dir() else path.parent
        self._truths = read_ground_truth(scene)
        self._names = {obj.bop_id: obj.name for obj in objects}
        ids = sorted(self._truths)
        if set(ids).intersection(images.stamps):
            self._ids: Sequence[int] = images.stamps
        elif len(ids) == len(images):
            self._ids = ids
        else:
            raise DatasetError(
                f"{scene / 'scene_gt.json'}: {len(ids)} images, but the bag's topic has "
                f"{len(images)}, so they cannot be joined in their order; to join them by their "
                "stamps, use the stamps in nanoseconds as image ids"
            )

    @property
    def counts(self) -> Mapping[str, int]:
        """How often each object occurs, by name; unknown ones by the name of their mesh file."""
        counts: dict[str, int] = {}
        for truth in (t for truths in self._truths.values() for t in truths):
            name = self._names.get(truth.bop_id, mesh_name(truth.bop_id))
            counts[name] = counts.get(name, 0) + 1
        return counts

    def objects(self, reader: BagReader, image: int) -> tuple[TrueObject, ...]:
        """See :class:`TruthTrack`."""
        truths = self._truths.get(self._ids[image])
        if truths is None:
            raise NoTruth("without ground truth of its stamp")
        return tuple(
            TrueObject(self._names[t.bop_id], t.R_cam_obj, t.t_cam_obj, _visibility(t))
            for t in truths
            if t.bop_id in self._names
        )


def names_of(objects: Sequence[ObjectModel]) -> dict[str, str]:
    """What ground truth may call an object: its name, or its mesh file's in a BOP data set."""
    return {mesh_name(obj.bop_id): obj.name for obj in objects} | {o.name: o.name for o in objects}


def mesh_name(bop_id: int) -> str:
    """What an object of a BOP data set is called that nobody has named."""
    return f"obj_{bop_id:06d}"


def _visibility(truth: GroundTruth) -> float:
    return 1.0 if truth.visib_fract is None else truth.visib_fract


def _true_object(message: Any, name: str) -> TrueObject:
    q, p = message.pose.pose.orientation, message.pose.pose.position
    quaternion, position = np.array([q.x, q.y, q.z, q.w]), np.array([p.x, p.y, p.z])
    if not (np.all(np.isfinite(quaternion)) and np.all(np.isfinite(position))):
        raise NoTruth("with a true pose that is not finite", name)
    if abs(np.linalg.norm(quaternion) - 1) > UNIT_TOLERANCE:
        raise NoTruth("with a true pose whose quaternion is no rotation", name)
    if not 0 <= message.score <= 1:
        raise NoTruth("with a true visibility (score) outside 0..1", name)
    R = Rotation.from_quat(quaternion).as_matrix()
    return TrueObject(name, R, position, float(message.score))

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

ROTATION_TOLERANCE = 0.05
"""As far R R^T of a BOP data set may be from the identity: LM-O scales an object by 0.5 %."""
MIN_DEPTH, MAX_DISTANCE = 1e-3, 1000.0
"""Metres; a true pose outside is a mistake in its unit or in memory."""


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

    If most of the file's image ids are stamps of images in nanoseconds, or most stamps are ids
    (either may have lost some), images are joined by their stamps. Otherwise the n-th id in
    ascending order belongs to the n-th image in the order of the stamps, which takes as many ids
    as images: who counts from 0 to 99 must not have lost an image.

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
        stamps = set(images.stamps)
        # A clock that starts at 0 shares a few numbers with ids that are counted.
        if 2 * len(stamps.intersection(ids)) > min(len(stamps), len(ids)):
            self._ids: Sequence[int] = images.stamps
        elif len(ids) == len(images):
            order = np.argsort(np.array(images.stamps, dtype=np.int64), kind="stable")
            self._ids = [ids[rank] for rank in np.argsort(order)]
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
            _scene_object(t, self._names[t.bop_id]) for t in truths if t.bop_id in self._names
        )


def names_of(objects: Sequence[ObjectModel]) -> dict[str, str]:
    """What ground truth may call an object: its name, or its mesh file's in a BOP data set."""
    return {mesh_name(obj.bop_id): obj.name for obj in objects} | {o.name: o.name for o in objects}


def mesh_name(bop_id: int) -> str:
    """What an object of a BOP data set is called that nobody has named."""
    return f"obj_{bop_id:06d}"


def _scene_object(truth: GroundTruth, name: str) -> TrueObject:
    R, position = truth.R_cam_obj, truth.t_cam_obj
    if not np.all(np.isfinite(R)):
        raise NoTruth("with a true pose that is not finite", name)
    # Of the largest numbers, the product is no number.
    if np.abs(R).max() > 2 or np.abs(R @ R.T - np.eye(3)).max() > ROTATION_TOLERANCE:
        raise NoTruth("with a true pose whose matrix is no rotation", name)
    if np.linalg.det(R) < 0:
        raise NoTruth("with a true pose whose matrix is a mirror image", name)
    visibility = 1.0 if truth.visib_fract is None else truth.visib_fract
    _check_position_and_visibility(position, visibility, name)
    return TrueObject(name, R, position, float(visibility))


def _true_object(message: Any, name: str) -> TrueObject:
    q, p = message.pose.pose.orientation, message.pose.pose.position
    quaternion, position = np.array([q.x, q.y, q.z, q.w]), np.array([p.x, p.y, p.z])
    if not np.all(np.isfinite(quaternion)):
        raise NoTruth("with a true pose that is not finite", name)
    if abs(np.linalg.norm(quaternion) - 1) > UNIT_TOLERANCE:
        raise NoTruth("with a true pose whose quaternion is no rotation", name)
    _check_position_and_visibility(position, message.score, name)
    R = Rotation.from_quat(quaternion).as_matrix()
    return TrueObject(name, R, position, float(message.score))


def _check_position_and_visibility(position: np.ndarray, visibility: Any, name: str) -> None:
    if not np.all(np.isfinite(position)):
        raise NoTruth("with a true pose that is not finite", name)
    if position[2] < MIN_DEPTH:
        raise NoTruth("with a true pose in or behind the camera", f"{name}, z = {position[2]:g} m")
    if np.abs(position).max() > MAX_DISTANCE:
        farthest = f"{name}, {np.abs(position).max():.3g} m"
        raise NoTruth(f"with a true pose over {MAX_DISTANCE:.0f} m away", farthest)
    if not (isinstance(visibility, (int, float)) and 0 <= visibility <= 1):
        raise NoTruth("with a true visibility (score) outside 0..1", name)

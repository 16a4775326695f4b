"""Estimates in the BOP benchmark's results format, written for its server and read from any method.

One line per estimate: ``scene_id,im_id,obj_id,score,R,t,time``, the rotation row by row, the
translation in millimetres, the time of the whole image in seconds or -1 where it is not known.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from casapose_ros.errors import DatasetError
from casapose_ros.evaluation.matching import is_pose
from casapose_ros.evaluation.records import FrameRecord
from casapose_ros.files import replacing
from casapose_ros.types import NUM_KEYPOINTS, ObjectModel, ObjectPose

HEADER = ("scene_id", "im_id", "obj_id", "score", "R", "t", "time")
MM_PER_M = 1000.0
UNKNOWN_TIME = -1.0
SAME_TIME = 0.001
"""Seconds by which the times of one image may differ, as the benchmark checks it."""
METRES_BELOW = 10.0
"""A file whose translations are all shorter than this, in mm, was written in metres."""


@dataclass(frozen=True)
class FrameResult:
    """What a method found in one image of a BOP data set.

    Attributes:
        scene_id: Number of the scene.
        image_id: Number of the image in the scene.
        poses: Estimates, best score first.
        times: Seconds per stage; empty if unknown.
    """

    scene_id: int
    image_id: int
    poses: tuple[ObjectPose, ...]
    times: dict[str, float]

    @property
    def name(self) -> str:
        """The image as ``scene/image``, in BOP's six digits."""
        return f"{self.scene_id:06d}/{self.image_id:06d}"


def write_bop_csv(
    results: Iterable[FrameResult | FrameRecord], bop_ids: dict[str, int], path: Path
) -> None:
    """Write one line per estimate, with all digits, so that reading gives the same figures.

    Args:
        results: Images of BOP data sets in any order.
        bop_ids: BOP id by object name.
        path: The file; existing content is replaced.

    Raises:
        OutputError: The file cannot be written.
    """
    with replacing(path) as part, part.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        for result in results:
            # The format wants the time of the whole image on each of its lines.
            time = sum(result.times.values()) if result.times else UNKNOWN_TIME
            for pose in result.poses:
                if not is_pose(pose.R_cam_obj, pose.t_cam_obj):
                    continue  # It answers for nothing, and the server refuses the whole file.
                key = (result.scene_id, result.image_id, bop_ids[pose.name])
                R, t = pose.R_cam_obj.ravel(), pose.t_cam_obj * MM_PER_M
                writer.writerow((*key, float(pose.score), _digits(R), _digits(t), float(time)))


def read_bop_csv(path: Path, objects: Sequence[ObjectModel]) -> list[FrameResult]:
    """Read any method's results.

    A results file has poses only: covariances, keypoints, boxes and reprojection errors are NaN,
    and there are no visible pixels. Scores may be of any range. Rotations stay as written.

    Args:
        path: The file.
        objects: All objects of the data set, which give the estimates their names.

    Returns:
        The images in the order of their first line, each with its estimates, best score first and
        equal ones in the order of the file. An image without estimates has no line.

    Raises:
        DatasetError: The file cannot be read or a line is wrong; the message has its number.
    """
    by_id = {obj.bop_id: obj for obj in objects}
    images: dict[tuple[int, int], list[_Line]] = {}
    for line in _read_lines(path):
        if line.bop_id not in by_id:
            raise DatasetError(
                f"{line.where}: obj_id {line.bop_id} is none of the objects that are known here: "
                f"{', '.join(map(str, sorted(by_id)))}"
            )
        mine = images.setdefault((line.scene_id, line.image_id), [])
        if mine and abs(mine[0].time - line.time) > SAME_TIME:
            raise DatasetError(
                f"{line.where}: time {line.time:g} s, but {mine[0].time:g} s on an earlier line of "
                "this image; all lines of an image have the time of the whole image"
            )
        mine.append(line)
    lines = [line for mine in images.values() for line in mine]
    if lines and max(np.linalg.norm(line.t_cam_obj) for line in lines) * MM_PER_M < METRES_BELOW:
        raise DatasetError(
            f"{path}: no translation is longer than {METRES_BELOW:g} mm: it seems to be in metres"
        )
    return [_frame_result(image, mine, by_id) for image, mine in images.items()]


@dataclass(frozen=True)
class _Line:
    """One line of the file; translation in metres."""

    where: str
    scene_id: int
    image_id: int
    bop_id: int
    score: float
    R_cam_obj: np.ndarray
    t_cam_obj: np.ndarray
    time: float


def _read_lines(path: Path) -> Iterator[_Line]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            header = tuple(cell.strip() for cell in next(reader, ()))
            if header != HEADER:
                raise DatasetError(
                    f"{path}: line 1: expected the header {','.join(HEADER)}, "
                    f"got {','.join(header)[:80]!r}"
                )
            for cells in reader:
                if cells:
                    yield _line(cells, f"{path}: line {reader.line_num}")
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path}: not a text file of comma-separated values: {error}") from error


def _line(cells: list[str], where: str) -> _Line:
    if len(cells) != len(HEADER):
        raise DatasetError(
            f"{where}: expected {len(HEADER)} values ({','.join(HEADER)}), got {len(cells)}; "
            "the numbers of R and t are separated by spaces"
        )
    named = dict(zip(HEADER, cells, strict=True))
    ids = [_numbers(int, named[name], 1, f"{where}: {name}")[0] for name in HEADER[:3]]
    if min(ids) < 0:
        raise DatasetError(f"{where}: scene_id, im_id and obj_id are 0 or more, got {ids}")
    score, time = (_numbers(float, named[n], 1, f"{where}: {n}")[0] for n in ("score", "time"))
    R = np.reshape(_numbers(float, named["R"], 9, f"{where}: R"), (3, 3))
    t = np.array(_numbers(float, named["t"], 3, f"{where}: t"))
    if not is_pose(R, t):
        raise DatasetError(f"{where}: R is not a rotation (row by row): {named['R']}")
    if time < 0 and time != UNKNOWN_TIME:
        raise DatasetError(f"{where}: time {time:g} s is negative; -1 says that it is not known")
    return _Line(where, *ids, score, R, t / MM_PER_M, time)


def _numbers(kind: Callable[[str], float], text: str, count: int, where: str) -> list:
    try:
        values = [kind(word) for word in text.split()]
    except ValueError:
        values = []
    if len(values) != count or not np.all(np.isfinite(values)):
        what = "whole number" if kind is int else "finite number"
        raise DatasetError(f"{where}: expected {count} {what}{'s'[: count - 1]}, got {text!r}")
    return values


def _frame_result(
    image: tuple[int, int], lines: list[_Line], by_id: dict[int, ObjectModel]
) -> FrameResult:
    poses: list[ObjectPose] = []
    for line in sorted(lines, key=lambda line: -line.score):
        obj = by_id[line.bop_id]
        before = sum(pose.name == obj.name for pose in poses)
        poses.append(_pose(line, obj, instance_id=before))
    time = lines[0].time
    return FrameResult(*image, tuple(poses), {} if time == UNKNOWN_TIME else {"total": time})


def _pose(line: _Line, obj: ObjectModel, instance_id: int) -> ObjectPose:
    return ObjectPose(
        name=obj.name,
        class_id=obj.class_id,
        instance_id=instance_id,
        score=line.score,
        R_cam_obj=line.R_cam_obj,
        t_cam_obj=line.t_cam_obj,
        covariance=np.full((6, 6), np.nan),
        keypoints=np.full((NUM_KEYPOINTS, 2), np.nan),
        keypoint_covariances=np.full((NUM_KEYPOINTS, 2, 2), np.nan),
        box=(np.nan,) * 4,
        visible_pixels=0,
        reprojection_error=float("nan"),
    )


def _digits(values: np.ndarray) -> str:
    return " ".join(repr(float(value)) for value in values)

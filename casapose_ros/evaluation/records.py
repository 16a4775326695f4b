"""What is known about a frame once a model has seen it, and the log that keeps it.

The log is a text file with one JSON object per line: a header that says what was run on what, then
one record per frame, written as soon as the frame is done. Every figure of a report follows from
the records, so a run that was stopped, split over processes or read back gives the same report.
"""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from casapose_ros.config import to_dict
from casapose_ros.errors import ConfigError, DatasetError, OutputError
from casapose_ros.evaluation.matching import TrueObject
from casapose_ros.files import replacing
from casapose_ros.types import CameraModel, ObjectPose

FORMAT = 1
LOG_FILE = "frames.jsonl"
"""Name of the log in the folder of a run."""
SHAPES = {
    "K": (3, 3),
    "distortion": (-1,),
    "R_cam_obj": (3, 3),
    "t_cam_obj": (3,),
    "covariance": (6, 6),
    "keypoints": (-1, 2),
    "keypoint_covariances": (-1, 2, 2),
}
"""Arrays in a record; they are lists in the file, with null for what is not a number."""


@dataclass(frozen=True)
class FrameRecord:
    """One frame: what is in it, and what the model said about it.

    Attributes:
        name: Unique in the run, for example ``000002/000031``.
        source: Where it is from: the data set's name, or the bag's path.
        camera: The camera.
        poses: The estimates, best score first.
        truths: All true objects that the model knows, however little of them is visible.
        mask_ious: Overlap of the masks by object name; without what has no true mask.
        times: Seconds per stage.
        network_size: (width, height) px of the network's view of the image; None where estimates
            were read from a file.
        scene_id: BOP's number of the scene; None elsewhere.
        image_id: BOP's number of the image; None elsewhere.
        stamp: Nanoseconds; None where images have none.
    """

    name: str
    source: str
    camera: CameraModel
    poses: tuple[ObjectPose, ...]
    truths: tuple[TrueObject, ...]
    mask_ious: dict[str, float]
    times: dict[str, float]
    network_size: tuple[int, int] | None
    scene_id: int | None = None
    image_id: int | None = None
    stamp: int | None = None


@dataclass(frozen=True)
class RunHeader:
    """What a log is about; only a run with the same header may go on with it.

    Attributes:
        model: The model's name.
        weights: SHA-256 of its weights, or of the file with the estimates.
        sources: Data set and split, or bags.
        settings: Everything else that changes the records.
    """

    model: str
    weights: str
    sources: tuple[str, ...]
    settings: dict[str, Any] = field(default_factory=dict)


class RecordLog:
    """The records of a run, in memory and in a file; a context manager.

    Args:
        path: The file.
        header: What is run on what.
        resume: Go on with the file if there is one; otherwise it is replaced.

    Raises:
        ConfigError: The file is about another run.
        DatasetError: The file is no log, or is damaged other than at its end.
        OutputError: It cannot be written.
    """

    def __init__(self, path: Path, header: RunHeader, resume: bool = False) -> None:
        self._path = path
        self.records: dict[str, FrameRecord] = {}
        with ExitStack() as stack:
            stack.callback(os.close, _lock(path.parent))
            if resume and path.exists():
                found, records = read_log(path)
                _check_same(path, found, header)
                self.records = {record.name: record for record in records}
            # Written anew, which also drops a last line that was cut short.
            with replacing(path) as part, part.open("w") as file:
                _write_line(file, {"format": FORMAT} | to_dict(header))
                for record in self.records.values():
                    _write_line(file, to_json(record))
            self._file = path.open("a")
            self._unlock = stack.pop_all()

    def __enter__(self) -> RecordLog:
        return self

    def __exit__(self, *_: object) -> None:
        # On a full disk append() has said so already; closing would only say it again.
        with suppress(OSError):
            self._file.close()
        self._unlock.close()

    def append(self, record: FrameRecord) -> None:
        """Keep a record; it outlives this process from here on.

        Raises:
            OutputError: The disk is full; the records before this one are kept.
        """
        try:
            _write_line(self._file, to_json(record))
            self._file.flush()
        except OSError as error:
            raise OutputError(
                f"{self._path}: cannot be written: {error.strerror}; the {len(self.records)} "
                "frames before are kept, go on with --resume"
            ) from error
        self.records[record.name] = record


def read_log(path: Path) -> tuple[RunHeader, list[FrameRecord]]:
    """Read a log; a last line that was cut short is left out.

    Raises:
        DatasetError: There is no such file, it is no log, or it is damaged elsewhere.
    """
    lines = _lines(path)
    header = next(lines, None)
    names = [f.name for f in dataclasses.fields(RunHeader)]
    if header is None or header.get("format") != FORMAT or not header.keys() >= set(names):
        raise DatasetError(f"{path}: not a log of evaluated frames (format {FORMAT})")
    fields = {name: header[name] for name in names} | {"sources": tuple(header["sources"])}
    try:
        return RunHeader(**fields), [record_from_json(line) for line in lines]
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"{path}: not a record of an evaluated frame: {error!r}") from error


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: cannot be read: {error}") from error
    # What follows the last line feed is a line that was not finished.
    for number, line in enumerate(text.split("\n")[:-1], start=1):
        try:
            value = json.loads(line)
        except json.JSONDecodeError as error:
            raise DatasetError(f"{path}: line {number} is damaged: {error}") from error
        if not isinstance(value, dict):
            raise DatasetError(f"{path}: line {number} is no record")
        yield value


def _lock(folder: Path) -> int:
    """Keep other runs out of a folder until the returned file descriptor is closed.

    Raises:
        OutputError: Another run is writing there, or there is no such folder.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise OutputError(
            f"{folder}: another run is writing there; wait for it, or name another folder"
        ) from error
    return descriptor


def _check_same(path: Path, found: RunHeader, given: RunHeader) -> None:
    there, here = (json.loads(json.dumps(to_dict(header))) for header in (found, given))
    there, here = ({**header, **header.pop("settings")} for header in (there, here))
    different = [
        f"{key}: {there.get(key)!r} there, {here.get(key)!r} here"
        for key in here | there
        if there.get(key) != here.get(key)
    ]
    if different:
        raise ConfigError(
            f"{path} is about another run ({'; '.join(different)}); start anew without "
            "--resume, delete it, or name another folder"
        )


def _write_line(file: TextIO, value: dict[str, Any]) -> None:
    # One call, so that a full disk cuts at most this line.
    file.write(json.dumps(value, allow_nan=False, separators=(",", ":")) + "\n")


def to_json(value: Any) -> Any:
    """Plain values; null for what is not finite, which JSON cannot hold."""
    if dataclasses.is_dataclass(value):
        fields = dataclasses.fields(value)
        return {f.name: to_json(getattr(value, f.name)) for f in fields}
    if isinstance(value, dict):
        return {key: to_json(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return to_json(value.ravel().tolist())
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    if isinstance(value, np.generic):
        return to_json(value.item())
    return None if isinstance(value, float) and not np.isfinite(value) else value


def record_from_json(values: dict[str, Any]) -> FrameRecord:
    """The inverse of :func:`to_json` for a record."""
    return FrameRecord(
        **values
        | {
            "camera": CameraModel(**_arrays(values["camera"])),
            "poses": tuple(pose_from_json(pose) for pose in values["poses"]),
            "truths": tuple(TrueObject(**_arrays(truth)) for truth in values["truths"]),
            "network_size": values["network_size"] and tuple(values["network_size"]),
        }
    )


def pose_from_json(values: dict[str, Any]) -> ObjectPose:
    """The inverse of :func:`to_json` for a pose."""
    values = _arrays(values)
    values["box"] = tuple(_number(value) for value in values["box"])
    for name in ("score", "reprojection_error"):
        values[name] = _number(values[name])
    return ObjectPose(**values)


def _arrays(values: dict[str, Any]) -> dict[str, Any]:
    """The same with arrays in place of lists."""
    return {
        key: np.array(value, dtype=np.float64).reshape(SHAPES[key]) if key in SHAPES else value
        for key, value in values.items()
    }


def _number(value: float | None) -> float:
    return float("nan") if value is None else value

"""What came back from a running node, image by image, and how it becomes records of frames."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from casapose_ros.errors import DatasetError, OutputError
from casapose_ros.evaluation.judging import Frame
from casapose_ros.evaluation.records import FrameRecord, pose_from_json, to_json
from casapose_ros.types import CameraModel, ObjectPose


@dataclass(frozen=True)
class Answer:
    """What the node said about one image.

    Attributes:
        stamp: The image's stamp in its recording, nanoseconds.
        poses: The estimates, best score first.
        estimation: Seconds from the decoded image to the poses, as the node says.
        latency: Seconds from the image's publication to the arrival of the poses.
    """

    stamp: int
    poses: tuple[ObjectPose, ...]
    estimation: float
    latency: float


class AnswerLog:
    """Answers in a file, one JSON object per line; a context manager.

    Args:
        path: The file; an older one is replaced.

    Raises:
        OutputError: It cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file = path.open("w")
        except OSError as error:
            raise OutputError(f"{path}: cannot be written: {error.strerror}") from error

    def __enter__(self) -> AnswerLog:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # Told already: everything was flushed.
            self._file.close()

    def append(self, answer: Answer) -> None:
        """Keep an answer, on disk before this returns.

        Raises:
            OutputError: The disk is full; the answers before this one are kept.
        """
        try:
            self._file.write(json.dumps(to_json(answer), allow_nan=False) + "\n")
            self._file.flush()
        except OSError as error:
            raise OutputError(f"{self._path}: cannot be written: {error.strerror}") from error


def read_answers(path: Path) -> dict[int, Answer]:
    """Read a log, by stamp; of answers with the same stamp the first one counts.

    Raises:
        DatasetError: There is no such file, or it is something else.
    """
    answers: dict[int, Answer] = {}
    try:
        # What follows the last line feed is a line that was not finished.
        for line in path.read_text().split("\n")[:-1]:
            values = json.loads(line)
            values["poses"] = tuple(pose_from_json(pose) for pose in values["poses"])
            answer = Answer(**values)
            answers.setdefault(answer.stamp, answer)
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"{path}: not a log of answers: {error!r}") from error
    return answers


def join_answers(
    answers: dict[int, Answer],
    frames: Iterable[Frame],
    network_size: Callable[[CameraModel], tuple[int, int]],
) -> Iterator[FrameRecord]:
    """The records of the frames that were answered, joined by stamp.

    Args:
        answers: By stamp.
        frames: Those of the recording that was replayed.
        network_size: (width, height) px of the network's view of a camera's image.

    Yields:
        A record whose times add up to the latency.
    """
    for frame in frames:
        answer = answers.get(frame.stamp)
        if answer is None:
            continue
        yield FrameRecord(
            name=frame.name,
            source=frame.source,
            camera=frame.camera,
            poses=answer.poses,
            truths=frame.truths,
            mask_ious={},
            times={
                "estimation": answer.estimation,
                "on the way": max(0.0, answer.latency - answer.estimation),
            },
            network_size=network_size(frame.camera),
            scene_id=frame.scene_id,
            image_id=frame.image_id,
            stamp=frame.stamp,
        )

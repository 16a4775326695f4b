"""What one pass over a bag finds out: where the images, calibrations and true poses are.

Of each message only numbers are kept, some 50 bytes, so that a long bag fits into memory.
"""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from casapose_ros.bags.message_types import stamp_ns
from casapose_ros.bags.storage import Place, RawMessage
from casapose_ros.errors import CameraError
from casapose_ros.image_messages import camera_from_info
from casapose_ros.types import CameraModel


@dataclass(frozen=True)
class Topic:
    """A topic of a bag.

    Attributes:
        name: With its leading slash.
        type: For example ``sensor_msgs/msg/Image``; with another encoding than CDR in brackets.
        count: Messages that are whole.
    """

    name: str
    type: str
    count: int


class Messages:
    """Messages of one topic in the order in which they were recorded.

    Args:
        type_name: Their type.

    Attributes:
        stamps: Nanoseconds in the header, one per message.
        frame_ids: Names of the frames that occur.
    """

    def __init__(self, type_name: str) -> None:
        self.type = type_name
        self.stamps = array("q")
        self.frame_ids: list[str] = []
        self._frames = array("L")
        self._places = {name: array("q") for name in Place._fields}

    def __len__(self) -> int:
        return len(self.stamps)

    def add(self, raw: RawMessage, message: Any) -> None:
        """Note a message with a header."""
        frame_id = message.header.frame_id
        if frame_id not in self.frame_ids:
            self.frame_ids.append(frame_id)
        self._frames.append(self.frame_ids.index(frame_id))
        self.stamps.append(stamp_ns(message.header.stamp))
        for name, column in self._places.items():
            column.append(getattr(raw.place, name))

    def frame_id(self, index: int) -> str:
        """The frame of a message."""
        return self.frame_ids[self._frames[index]]

    def place(self, index: int) -> Place:
        """Where a message lies."""
        return Place(**{name: column[index] for name, column in self._places.items()})


class Images(Messages):
    """Messages of type ``Image`` or ``CompressedImage``.

    Attributes:
        formats: How often each encoding or compressed format occurs.
    """

    def __init__(self, type_name: str) -> None:
        super().__init__(type_name)
        self.formats: Counter[str] = Counter()

    def add(self, raw: RawMessage, message: Any) -> None:
        super().add(raw, message)
        self.formats[getattr(message, "encoding", None) or getattr(message, "format", "")] += 1


@dataclass(frozen=True)
class Calibration:
    """One content of ``camera_info``, or why it cannot be used.

    Attributes:
        raw: The camera of the unrectified image.
        rectified: The camera of the rectified image.
    """

    raw: CameraModel | str
    rectified: CameraModel | str


class CameraInfos(Messages):
    """Messages of type ``CameraInfo``.

    Attributes:
        calibrations: Their different contents; :meth:`calibration` says which is whose.
    """

    def __init__(self, type_name: str) -> None:
        super().__init__(type_name)
        self.calibrations: list[Calibration] = []
        self._contents: dict[tuple[Any, ...], int] = {}
        self._numbers = array("L")

    def add(self, raw: RawMessage, message: Any) -> None:
        super().add(raw, message)
        number = self._contents.setdefault(_content(message), len(self.calibrations))
        if number == len(self.calibrations):
            self.calibrations.append(Calibration(_camera(message, False), _camera(message, True)))
        self._numbers.append(number)

    def calibration(self, index: int) -> int:
        """Which of the calibrations a message holds."""
        return self._numbers[index]


class Truths(Messages):
    """Messages of type ``ObjectPoseArray``.

    Attributes:
        names: How often each object occurs.
        models: Names of models that found these poses; ground truth names none.
    """

    def __init__(self, type_name: str) -> None:
        super().__init__(type_name)
        self.names: Counter[str] = Counter()
        self.models: set[str] = set()
        self._scored = False

    def add(self, raw: RawMessage, message: Any) -> None:
        super().add(raw, message)
        self.names.update(o.name for o in message.objects)
        # Not a number is not 0 either.
        self._scored = self._scored or any(found.score != 0 for found in message.objects)
        if message.model_name:
            self.models.add(message.model_name)

    @property
    def all_hidden(self) -> bool:
        """Whether there are objects, and all scores are 0: in a truth, none can be seen."""
        return bool(self.names) and not self._scored


@dataclass(frozen=True)
class BagIndex:
    """What is in a bag.

    Attributes:
        name: The bag's path as it was given.
        topics: All topics by name.
        images: By topic.
        infos: By topic.
        truths: By topic.
        problems: What was lost, one sentence each.
    """

    name: str
    topics: tuple[Topic, ...] = ()
    images: dict[str, Images] = field(default_factory=dict)
    infos: dict[str, CameraInfos] = field(default_factory=dict)
    truths: dict[str, Truths] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def _content(info: Any) -> tuple[Any, ...]:
    roi = info.roi
    return (
        info.width, info.height, info.distortion_model, info.binning_x, info.binning_y,
        roi.x_offset, roi.y_offset, roi.width, roi.height,
        *(np.asarray(v, dtype=np.float64).tobytes() for v in (info.d, info.k, info.p)),
    )  # fmt: skip


def _camera(info: Any, rectified: bool) -> CameraModel | str:
    try:
        return camera_from_info(info, rectified)
    except CameraError as error:
        return str(error)

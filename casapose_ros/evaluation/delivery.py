"""What a robot would have seen of a recording that was replayed to it at the recording's pace."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from casapose_ros.config import from_dict, to_dict
from casapose_ros.errors import ConfigError, DatasetError
from casapose_ros.files import replacing

FORMAT = 1
DELIVERY_FILE = "delivery.json"
ANSWERS_FILE = "answers.jsonl"


@dataclass(frozen=True)
class SentImage:
    """One image of a replay.

    Attributes:
        stamp: Its stamp in the recording, nanoseconds.
        sent: When it was published, seconds from the first.
        late: How long after it was due that was, seconds.
        latency: Seconds from its publication to the arrival of its poses; None without any.
        age: Seconds from its stamp to the publication of its poses; None without any.
    """

    stamp: int
    sent: float
    late: float
    latency: float | None = None
    age: float | None = None


@dataclass(frozen=True)
class Drops:
    """Why images were not answered, and how many.

    Attributes:
        busy: Gave way to a newer image while the node was at work.
        rejected: The node refused them; its log says why.
        lost: Never reached the node: lost by the transport, or overtaken by a newer one in the
            node's queue, which holds one image.
        answers_lost: Their poses were published, but did not arrive.
        unknown: Nothing says why.
    """

    busy: int = 0
    rejected: int = 0
    lost: int = 0
    answers_lost: int = 0
    unknown: int = 0


@dataclass(frozen=True)
class Delivery:
    """A replay, image by image.

    Attributes:
        images: All that were published, in this order.
        drops: What became of those that were not answered.
        speed: How much faster than recorded.
        reliable: Whether the node asked for images again that the transport lost.
        warm_up: Seconds from the start of the node to its first answer.
        complete: Whether it went on to the end of the recording.
        problems: What went wrong on the way, a sentence each.
    """

    images: tuple[SentImage, ...]
    drops: Drops
    speed: float
    reliable: bool
    warm_up: float
    complete: bool = True
    problems: tuple[str, ...] = ()

    @property
    def sent(self) -> int:
        """Images that were published."""
        return len(self.images)

    @property
    def answered(self) -> int:
        """Images whose poses arrived."""
        return len(self.latencies)

    @property
    def dropped(self) -> int:
        """Images without an answer."""
        return self.sent - self.answered

    @property
    def rate(self) -> float:
        """Images published per second; NaN for less than two."""
        seconds = self.images[-1].sent - self.images[0].sent if self.images else 0.0
        return (self.sent - 1) / seconds if seconds > 0 else float("nan")

    @property
    def latencies(self) -> np.ndarray:
        """(answered,) seconds from publication of an image to arrival of its poses."""
        return _known(image.latency for image in self.images)

    @property
    def ages(self) -> np.ndarray:
        """(answered,) seconds from the stamp of an image to the publication of its poses."""
        return _known(image.age for image in self.images)

    @property
    def lateness(self) -> np.ndarray:
        """(sent,) seconds by which the replay itself was behind."""
        return _known(image.late for image in self.images)


def write_delivery(delivery: Delivery, path: Path) -> None:
    """Write a replay as JSON.

    Raises:
        OutputError: The file cannot be written.
    """
    with replacing(path) as part:
        document = {"format": FORMAT} | to_dict(delivery)
        part.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n")


def read_delivery(path: Path) -> Delivery:
    """Read what :func:`write_delivery` wrote.

    Raises:
        DatasetError: There is no such file, or it is something else.
    """
    try:
        document = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: cannot be read: {error}") from error
    if not isinstance(document, dict) or document.pop("format", None) != FORMAT:
        raise DatasetError(f"{path}: not the log of a replay (format {FORMAT})")
    try:
        return from_dict(Delivery, document, str(path))
    except ConfigError as error:
        raise DatasetError(str(error)) from error


def _known(values) -> np.ndarray:
    return np.array([value for value in values if value is not None], dtype=np.float64)

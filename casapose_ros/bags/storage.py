"""What a bag's files have in common, whichever storage wrote them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple, Protocol

CDR = "cdr"
"""How ROS 2 encodes messages; ROS 1 and Foxglove's own schemas use other encodings."""


class Place(NamedTuple):
    """Where a message lies, to read it again.

    Attributes:
        file: Number of the file in the bag.
        block: Offset of the chunk in the file; -1 where there are no chunks.
        position: Offset of the message in its chunk or file, or number of its row.
    """

    file: int
    block: int
    position: int


class RawMessage(NamedTuple):
    """A message as it was recorded.

    Attributes:
        topic: The topic's name.
        type: For example ``sensor_msgs/msg/Image``.
        log_time: When it was recorded, nanoseconds.
        data: CDR with its 4-byte header.
        place: Where it lies.
    """

    topic: str
    type: str
    log_time: int
    data: bytes
    place: Place


class Losses:
    """Counts what was lost or skipped, so that a million losses make one line."""

    def __init__(self) -> None:
        self._events: list[str] = []
        self._counts: Counter[tuple[str, str]] = Counter()
        self._examples: dict[tuple[str, str], str] = {}

    def count(self, thing: str, what: str, example: str = "", times: int = 1) -> None:
        """Note that some ``thing`` (a noun) was lost.

        Args:
            thing: A noun, singular.
            what: Goes on from there; the same for all that are lost in this way.
            example: What it was this time; the first one is kept.
            times: How many.
        """
        self._counts[thing, what] += times
        self._examples.setdefault((thing, what), example)

    def note(self, event: str) -> None:
        """Note a sentence about something that happens once."""
        if event not in self._events:
            self._events.append(event)

    def sentences(self) -> list[str]:
        """One sentence for each kind of loss, those that happen once first."""
        return self._events + [self._sentence(*key) for key in self._counts]

    def _sentence(self, thing: str, what: str) -> str:
        times, example = self._counts[thing, what], self._examples[thing, what]
        first = f" ({'the first: ' if times > 1 else ''}{example})" if example else ""
        return f"{times} {thing}{'s' if times > 1 else ''} {what}{first}"


class StorageFile(Protocol):
    """One file of a bag, open for reading.

    Attributes:
        name: Of the file, for messages.
        topics: Names and types of the topics seen so far, all of them after :meth:`scan`.
        definitions: By type, the message definitions that the file holds (``.msg`` text).
    """

    name: str
    topics: set[tuple[str, str]]
    definitions: dict[str, str]

    def scan(self, losses: Losses) -> Iterator[RawMessage]:
        """All messages that are whole, in the order in which they were written."""

    def read(self, place: Place) -> bytes:
        """The data of one message that :meth:`scan` has given.

        Raises:
            DatasetError: The file has changed since.
        """

    def close(self) -> None:
        """Let go of the file."""

"""Reading a bag that may be damaged: what is whole comes out, the rest is counted.

A bag is read twice. The first pass, on opening, reads everything once and notes where each image,
calibration and true pose lies; the second goes from image to image. Neither needs the bag's own
index, and neither keeps a message.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rosbags.serde import SerdeError
from rosbags.typesys.base import TypesysError
from zstandard import ZstdDecompressor, ZstdError

from casapose_ros.bags import message_types as types
from casapose_ros.bags.index import BagIndex, CameraInfos, Images, Topic, Truths
from casapose_ros.bags.opening import COMPRESSED, find_files, open_file
from casapose_ros.bags.storage import Losses, Place, RawMessage, StorageFile
from casapose_ros.errors import DatasetError

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
"""Begins a message of a bag recorded with compression mode "message"; CDR begins with 0."""

TRACKS = {
    types.IMAGE: ("images", Images),
    types.COMPRESSED_IMAGE: ("images", Images),
    types.CAMERA_INFO: ("infos", CameraInfos),
    types.OBJECT_POSE_ARRAY: ("truths", Truths),
}
"""What is noted of which type, and where in the index."""


class BagReader:
    """A bag, open for reading; a context manager.

    Args:
        path: A rosbag2 folder, or one of its files alone.
        index: What an earlier opening of the same bag has found, to save the first pass.

    Attributes:
        name: The path as it was given.
        index: What is in the bag.

    Raises:
        DatasetError: There is no such bag, it is of another kind, or none of its files opens.
    """

    def __init__(self, path: str | Path, index: BagIndex | None = None) -> None:
        self.name = str(path)
        self._stack = ExitStack()
        self._losses = Losses()
        self._files: dict[int, StorageFile] = {}
        with self._stack:
            self._open()
            self.index = self._make_index() if index is None else index
            # Nothing went wrong: the files stay open until close().
            self._stack = self._stack.pop_all()

    def __enter__(self) -> BagReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all files."""
        self._stack.close()

    @property
    def topics(self) -> tuple[Topic, ...]:
        """All topics, by name."""
        return self.index.topics

    @property
    def problems(self) -> list[str]:
        """What was lost, one sentence each."""
        return list(self.index.problems)

    def messages(self, topics: Collection[str]) -> Iterator[RawMessage]:
        """All whole messages of some topics, in the order in which they were recorded."""
        for file in self._files.values():
            for message in file.scan(Losses()):
                if message.topic in topics:
                    yield message._replace(data=_plain(message.data))

    def read(self, place: Place) -> bytes:
        """The data of one message, CDR."""
        return _plain(self._files[place.file].read(place))

    def decode(self, data: bytes, type_name: str) -> Any:
        """A message with its fields; numbers in a row are NumPy arrays.

        Raises:
            DatasetError: The data is not a whole message of this type.
        """
        try:
            return types.typestore().deserialize_cdr(data, type_name)
        except (SerdeError, TypesysError, ValueError, MemoryError, OverflowError) as error:
            raise DatasetError(f"{self.name}: not a whole {type_name}: {error}") from error

    def _open(self) -> None:
        paths = find_files(self.name, self._losses)
        scratch = Path()
        if any(path.suffix == COMPRESSED for path in paths):
            scratch = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        refused = []
        for number, path in enumerate(paths):
            try:
                file = open_file(path, number, scratch, self._losses)
            except DatasetError as error:
                refused.append(error)
                continue
            self._stack.callback(file.close)
            self._files[number] = file
        if not self._files:
            raise refused[0]
        for error in refused:
            self._losses.note(f"{error}; its messages are lost")

    def _make_index(self) -> BagIndex:
        """The first pass."""
        index = BagIndex(self.name)
        counts: Counter[tuple[str, str]] = Counter()
        for file in self._files.values():
            for raw in file.scan(self._losses):
                counts[raw.topic, raw.type] += 1
                if raw.type in TRACKS:
                    self._note(index, raw)
            counts.update(dict.fromkeys(file.topics, 0))
            self._check_definition(file, index)
        topics = tuple(Topic(*topic, count) for topic, count in sorted(counts.items()))
        return BagIndex(
            self.name, topics, index.images, index.infos, index.truths,
            tuple(self._losses.sentences()),
        )  # fmt: skip

    def _note(self, index: BagIndex, raw: RawMessage) -> None:
        kind, track = TRACKS[raw.type]
        tracks = getattr(index, kind)
        try:
            message = self.decode(_plain(raw.data), raw.type)
        except DatasetError:
            self._losses.count("message", f"on {raw.topic} not a whole {raw.type}: lost")
            return
        if tracks.setdefault(raw.topic, track(raw.type)).type != raw.type:
            self._losses.count("message", f"on {raw.topic} of a second type, {raw.type}: left out")
            return
        tracks[raw.topic].add(raw, message)

    def _check_definition(self, file: StorageFile, index: BagIndex) -> None:
        """Leave poses alone that were recorded with another version of our message."""
        text = file.definitions.get(types.OBJECT_POSE_ARRAY)
        if text and not types.is_our_version(text):
            self._losses.note(
                f"{file.name}: its {types.OBJECT_POSE_ARRAY} has other fields than this "
                "version's: these messages are left out"
            )
            index.truths.clear()


def open_bag(path: str | Path) -> BagReader:
    """Open a bag and read it through once, to know what is in it.

    Use it as a context manager. ``bag.topics`` and ``bag.problems`` say what there is,
    ``bag.messages(topics)`` gives raw messages, ``bag.index`` knows each image.

    Raises:
        DatasetError: There is no such bag, it is of another kind, or none of its files opens.
    """
    return BagReader(path)


def _plain(data: bytes) -> bytes:
    """A message of a bag that was compressed message by message, decompressed.

    What cannot be decompressed comes back as it is; it is then not a whole message.
    """
    if not data.startswith(ZSTD_MAGIC):
        return data
    try:
        return ZstdDecompressor().decompressobj().decompress(data)
    except (ZstdError, MemoryError):
        return data

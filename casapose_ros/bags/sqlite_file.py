"""The SQLite files of rosbag2, also those that were cut off or whose recorder was killed.

SQLite itself refuses a file that is shorter than it says, and fills a last page that is not whole
with zeros, which would turn up as black pixels. So it is told to go on with the pages there are,
and is shown whole pages alone.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import apsw

from casapose_ros.bags.storage import CDR, Losses, Place, RawMessage
from casapose_ros.errors import DatasetError

MAGIC = b"SQLite format 3\0"
PAGE_SIZE_OFFSET = len(MAGIC)
WHOLE_PAGES = "casapose-whole-pages"
TRIES = 100
"""So many rows in succession that cannot be read mean that the rest is lost."""


class SqliteFile:
    """See :class:`~casapose_ros.bags.storage.StorageFile`.

    Args:
        path: The file.
        number: Its number in the bag.
        name: What to call it in messages; its path if None.

    Raises:
        DatasetError: It cannot be opened, or is no SQLite file.
    """

    def __init__(self, path: Path, number: int, name: str | None = None) -> None:
        self.name = name or str(path)
        self.topics: set[tuple[str, str]] = set()
        self.definitions: dict[str, str] = {}
        self._number = number
        try:
            with path.open("rb") as file:
                head = file.read(len(MAGIC))
        except OSError as error:
            raise DatasetError(f"{self.name}: cannot be read: {error.strerror}") from error
        if not MAGIC.startswith(head):
            raise DatasetError(f"{self.name}: not an SQLite file")
        self._connection = _connect(path, self.name)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def scan(self, losses: Losses) -> Iterator[RawMessage]:
        """All messages that can be read, in the order in which they were written."""
        try:
            topics = {
                number: (name, kind if encoding == CDR else f"{kind} ({encoding})")
                for number, name, kind, encoding in self._query(
                    "SELECT id, name, type, serialization_format FROM topics"
                )
            }
        except apsw.Error as error:
            losses.note(f"{self.name}: without its table of topics nothing can be read: {error}")
            return
        self.topics = set(topics.values())
        self._read_definitions()
        for row, topic, log_time, data in self._rows(losses):
            if topic not in topics or not isinstance(data, bytes) or not isinstance(log_time, int):
                losses.count("message", f"of {self.name} damaged")
                continue
            yield RawMessage(*topics[topic], log_time, data, Place(self._number, -1, row))

    def read(self, place: Place) -> bytes:
        """The data of one message."""
        query = "SELECT data FROM messages WHERE id = ?"
        return next(iter(self._query(query, place.position)))[0]

    def _rows(self, losses: Losses) -> Iterator[tuple[Any, ...]]:
        """All rows that can be read; where one cannot, those after it are tried one by one."""
        query = "SELECT id, topic_id, timestamp, data FROM messages WHERE id > ? ORDER BY id"
        last, failures, lost = 0, 0, 0
        while failures < TRIES:
            try:
                for row in self._query(query, last):
                    if row[0] <= last:  # a damaged page; without this it might go on for ever
                        raise apsw.CorruptError("rows are out of order")
                    last, failures, lost = row[0], 0, lost + failures
                    yield row
                break
            except apsw.Error:
                last, failures = last + 1, failures + 1
        if lost:
            losses.count("message", f"of {self.name} damaged", times=lost)
        if failures:
            after = last - failures
            losses.note(f"{self.name}: cut off or damaged; what follows message {after} is lost")

    def _read_definitions(self) -> None:
        try:
            rows = self._query(
                "SELECT topic_type, encoded_message_definition FROM message_definitions "
                "WHERE encoding = 'ros2msg'"
            )
            self.definitions = {name: text for name, text in rows}
        except apsw.Error:
            pass  # Bags before ROS 2 Iron have no such table.

    def _query(self, query: str, *values: int) -> Iterator[tuple[Any, ...]]:
        return self._connection.execute(query, values)


def _connect(path: Path, name: str) -> apsw.Connection:
    # An interrupted recorder may have left its last messages in a write-ahead log beside the file.
    log = path.with_name(f"{path.name}-wal")
    mode = "mode=ro" if log.exists() and log.stat().st_size else "immutable=1"
    uri = f"{path.resolve().as_uri()}?{mode}"
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    _register()
    try:
        connection = apsw.Connection(uri, flags=flags, vfs=WHOLE_PAGES)
        # The log is somebody else's: closing must not try to merge it.
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        connection.execute("PRAGMA writable_schema = ON")  # Read a file that was cut all the same.
    except apsw.Error as error:
        raise DatasetError(f"{name}: SQLite cannot open it: {error}") from error
    return connection


@cache
def _register() -> apsw.VFS:
    return _WholePages()


class _WholePages(apsw.VFS):
    """The file system, where databases end with their last whole page."""

    def __init__(self) -> None:
        super().__init__(WHOLE_PAGES, "")

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:
        if flags[0] & apsw.SQLITE_OPEN_MAIN_DB:
            return _WholePagesFile("", name, flags)
        return super().xOpen(name, flags)


class _WholePagesFile(apsw.VFSFile):
    def xFileSize(self) -> int:
        size = super().xFileSize()
        head = super().xRead(min(size, PAGE_SIZE_OFFSET + 2), 0)
        if len(head) < PAGE_SIZE_OFFSET + 2:
            return 0
        (page,) = struct.unpack_from(">H", head, PAGE_SIZE_OFFSET)
        page = 65536 if page == 1 else page
        return size // page * page if page >= 512 else size

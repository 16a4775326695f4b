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
WHOLE_PAGES_ALONE = "casapose-whole-pages-alone"
FIRST = 0
"""Number of the first row; SQLite itself counts from 1, other writers from 0."""
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
        try:
            (data,) = next(iter(self._query(query, place.position)), (None,))
        except apsw.Error as error:
            raise DatasetError(f"{self.name}: row {place.position} is lost: {error}") from error
        if not isinstance(data, bytes):
            raise DatasetError(f"{self.name}: not what it was when it was read first")
        return data

    def _rows(self, losses: Losses) -> Iterator[tuple[Any, ...]]:
        """All rows that can be read; where one cannot, those after it are tried one by one."""
        query = "SELECT id, topic_id, timestamp, data FROM messages WHERE id > ? ORDER BY id"
        last, failures, lost = FIRST - 1, 0, 0
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
            after = max(FIRST, last - failures)
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
    try:
        has_log = log.exists() and log.stat().st_size > 0
        if not has_log:
            return _open(path, "immutable=1")
        try:
            return _open(path, "mode=ro")
        except (apsw.CantOpenError, apsw.ReadOnlyError):
            # SQLite wants an index of the log in a file beside it, and nobody may write there.
            return _open(path, "mode=ro", alone=True)
    except apsw.Error as error:
        raise DatasetError(f"{name}: SQLite cannot open it: {error}") from error
    except OSError as error:
        raise DatasetError(f"{name}: cannot be read: {error.strerror}") from error


def _open(path: Path, mode: str, alone: bool = False) -> apsw.Connection:
    """A connection that reads; one that is ``alone`` shares nothing with other processes."""
    uri = f"{path.resolve().as_uri()}?{mode}"
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    _register()
    connection = apsw.Connection(uri, flags=flags, vfs=WHOLE_PAGES_ALONE if alone else WHOLE_PAGES)
    try:
        # The log is somebody else's: closing must not try to merge it.
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        if alone:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")  # The index stays in memory.
        connection.execute("PRAGMA writable_schema = ON")  # Read a file that was cut all the same.
        if mode == "mode=ro":
            _touch(connection)
    except apsw.Error:
        connection.close()
        raise
    return connection


def _touch(connection: apsw.Connection) -> None:
    """Read something, to learn whether the log can be opened."""
    try:
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
    except (apsw.CantOpenError, apsw.ReadOnlyError):
        raise
    except apsw.Error:
        pass  # Damage is for scan() to find.


@cache
def _register() -> tuple[apsw.VFS, ...]:
    return _WholePages(WHOLE_PAGES, _WholePagesFile), _WholePages(WHOLE_PAGES_ALONE, _UnlockedFile)


class _WholePages(apsw.VFS):
    """The file system, where databases end with their last whole page."""

    def __init__(self, name: str, database: type[apsw.VFSFile]) -> None:
        super().__init__(name, "")
        self._database = database

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:
        if flags[0] & apsw.SQLITE_OPEN_MAIN_DB:
            return self._database("", name, flags)
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


class _UnlockedFile(_WholePagesFile):
    """A file that cannot be locked, since it cannot be written either."""

    def xLock(self, level: int) -> None:
        pass

    def xUnlock(self, level: int) -> None:
        pass

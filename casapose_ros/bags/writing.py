"""Writing a bag as rosbag2 does: a folder with one storage file and ``metadata.yaml``."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any

from rosbags.interfaces import (
    Connection,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin, Writer

from casapose_ros.bags import message_types as types
from casapose_ros.bags.mcap_file import add_checksums
from casapose_ros.errors import ConfigError, OutputError

METADATA_VERSION = 8
"""Holds QoS as numbers, which Humble expects; Jazzy itself writes 9 and reads both."""
STORAGES = {"mcap": StoragePlugin.MCAP, "sqlite3": StoragePlugin.SQLITE3}
STORAGE_OF_SUFFIX = {".mcap": "mcap", ".db3": "sqlite3"}

_NEVER = QosTime(9223372036, 854775807)  # how rmw writes infinity
RELIABLE = Qos(
    QosHistory.KEEP_LAST,
    10,
    QosReliability.RELIABLE,
    QosDurability.VOLATILE,
    _NEVER,
    _NEVER,
    QosLiveliness.AUTOMATIC,
    _NEVER,
    avoid_ros_namespace_conventions=False,
)
"""What ``ros2 bag play`` then offers; it serves listeners of either kind."""


class BagWriter:
    """A new bag; a context manager. It appears under its name when it is complete.

    Args:
        path: The bag's folder. With the ending ``.mcap`` or ``.db3`` it is the folder of that name
            without it, and the ending says which storage is meant.
        storage: ``mcap`` or ``sqlite3``; by the ending, else MCAP, if None.

    Attributes:
        path: The bag's folder.
        counts: Messages per topic written so far.

    Raises:
        ConfigError: The storage is unknown or is not that of the ending.
        OutputError: There is something under this name, or the folder cannot be written. Also
            from :meth:`write` and at the end: the disk is full.
    """

    def __init__(self, path: str | Path, storage: str | None = None) -> None:
        self.path, self._storage = bag_folder(Path(path), storage)
        self.counts: dict[str, int] = {}
        # The storage file is named after its folder, so the unfinished bag needs a folder around.
        self._part = self.path.with_name(f".part-{os.getpid()}-{self.path.name}")
        self._connections: dict[str, Connection] = {}
        self._writer: Writer | None = None

    def __enter__(self) -> BagWriter:
        self._refuse_existing()
        try:
            self._writer = Writer(
                self._part / self.path.name,
                version=METADATA_VERSION,
                storage_plugin=STORAGES[self._storage],
            )
            self._writer.open()
        except (OSError, sqlite3.Error) as error:
            shutil.rmtree(self._part, ignore_errors=True)
            raise self._unwritable(error) from error
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._finish()
        except (OSError, sqlite3.Error) as error:
            raise self._unwritable(error) from error
        finally:
            with suppress(Exception):
                self._writer.abort()
            shutil.rmtree(self._part, ignore_errors=True)

    def write(self, topic: str, type_name: str, time: int, message: Any) -> None:
        """Append a message.

        Args:
            topic: With its leading slash; it always has the same type.
            type_name: For example ``sensor_msgs/msg/Image``.
            time: When it is to count as recorded, nanoseconds.
            message: From :func:`casapose_ros.bags.message_types.make`.
        """
        store = types.typestore()
        try:
            if topic not in self._connections:
                self._connections[topic] = self._writer.add_connection(
                    topic, type_name, typestore=store, offered_qos_profiles=[RELIABLE]
                )
            data = store.serialize_cdr(message, type_name)
            self._writer.write(self._connections[topic], time, data)
        except (OSError, sqlite3.Error) as error:
            raise self._unwritable(error) from error
        self.counts[topic] = self.counts.get(topic, 0) + 1

    def _finish(self) -> None:
        self._writer.close()
        for file in (self._part / self.path.name).glob("*.mcap"):
            add_checksums(file)
        self._refuse_existing()
        os.rename(self._part / self.path.name, self.path)

    def _refuse_existing(self) -> None:
        if self.path.exists():
            raise OutputError(f"{self.path}: exists already; remove it or name another bag")

    def _unwritable(self, error: Exception) -> OutputError:
        return OutputError(f"{self.path}: cannot be written: {getattr(error, 'strerror', error)}")


def bag_folder(path: Path, storage: str | None) -> tuple[Path, str]:
    """A bag's folder and storage, from what the user called them."""
    by_ending = STORAGE_OF_SUFFIX.get(path.suffix)
    if storage is not None and storage not in STORAGES:
        raise ConfigError(f"storage is {' or '.join(STORAGES)}, got {storage!r}")
    if by_ending and storage not in (None, by_ending):
        raise ConfigError(f"{path}: its ending means {by_ending}, but the storage is {storage}")
    folder = path.with_suffix("") if by_ending else path
    return folder, storage or by_ending or "mcap"

"""The log of a run: a header that says what was run on what, then one record per frame.

It is a text file with one JSON object per line, and a record is written as soon as its frame is
done. Every figure of a report follows from the records, so a run that was stopped, split over
processes or read back gives the same report. Memory holds only where each record stands.
"""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
from array import array
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from casapose_ros.config import to_dict
from casapose_ros.errors import ConfigError, DatasetError, OutputError
from casapose_ros.evaluation.records import FrameRecord, record_from_json, to_json
from casapose_ros.files import replacing
from casapose_ros.settings import EstimatorConfig

FORMAT = 1
LOG_FILE = "frames.jsonl"
"""Name of the log in the folder of a run."""


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
    """The records of a run in a file that nobody else may write meanwhile; a context manager.

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
        self._places: dict[str, dict[str, int]] = {}
        self._end = 0
        with ExitStack() as stack:
            stack.callback(os.close, _lock(path.parent))
            # Written anew, which also drops a last line that was cut short.
            with replacing(path) as part, part.open("wb") as file:
                self._write(file, {"format": FORMAT} | to_dict(header))
                if resume and path.exists():
                    self._take_over(path, header, file)
            self._file = path.open("ab")
            self._unlock = stack.pop_all()

    def __enter__(self) -> RecordLog:
        return self

    def __exit__(self, *_: object) -> None:
        # On a full disk append() has said so already; closing would only say it again.
        with suppress(OSError):
            self._file.close()
        self._unlock.close()

    def __len__(self) -> int:
        return sum(map(len, self._places.values()))

    @property
    def names(self) -> frozenset[str]:
        """The frames that have a record."""
        return frozenset(name for places in self._places.values() for name in places)

    def append(self, record: FrameRecord) -> None:
        """Keep a record; it outlives this process from here on.

        Raises:
            OutputError: The disk is full; the records before this one are kept.
        """
        start = self._end
        try:
            self._write(self._file, to_json(record))
            self._file.flush()
        except OSError as error:
            raise OutputError(
                f"{self._path}: cannot be written: {error.strerror}; the {len(self)} "
                "frames before are kept, go on with --resume"
            ) from error
        self._note(record, start)

    def records(self, sources: Sequence[str]) -> LoggedRecords:
        """The records source by source, whichever was done first.

        Args:
            sources: Names of all sources.
        """
        places = [self._places.get(source, {}) for source in sources]
        names = [name for mine in places for name in mine]
        starts = array("q", (start for mine in places for start in mine.values()))
        return LoggedRecords(self._path, names, starts)

    def _take_over(self, path: Path, header: RunHeader, file: BinaryIO) -> None:
        """Copy the records of an earlier run of the same."""
        found, records = open_log(path)
        _check_same(path, found, header)
        for record in records:
            start = self._end
            self._write(file, to_json(record))
            self._note(record, start)

    def _note(self, record: FrameRecord, start: int) -> None:
        self._places.setdefault(record.source, {})[record.name] = start

    def _write(self, file: BinaryIO, value: dict[str, Any]) -> None:
        line = json.dumps(value, allow_nan=False, separators=(",", ":")).encode() + b"\n"
        # One call, so that a full disk cuts at most this line.
        file.write(line)
        self._end += len(line)


class LoggedRecords(Sequence[FrameRecord]):
    """Records in a log, each read from the file when it is asked for.

    Args:
        path: The log.
        names: The frames' names.
        starts: Where the line of each begins, bytes.
    """

    def __init__(self, path: Path, names: Sequence[str], starts: Sequence[int]) -> None:
        self._path, self._names, self._starts = path, names, starts

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, index: int) -> FrameRecord:
        with self._path.open("rb") as file:
            return self._read(file, index)

    def __iter__(self) -> Iterator[FrameRecord]:
        with self._path.open("rb") as file:
            for index in range(len(self)):
                yield self._read(file, index)

    def _read(self, file: BinaryIO, index: int) -> FrameRecord:
        file.seek(self._starts[index])
        # The log's own name, so that who keeps it does not keep another text.
        return record_from_json(json.loads(file.readline()) | {"name": self._names[index]})


def read_log(path: Path) -> tuple[RunHeader, list[FrameRecord]]:
    """Read a whole log; see :func:`open_log`."""
    header, records = open_log(path)
    return header, list(records)


def open_log(path: Path) -> tuple[RunHeader, Iterator[FrameRecord]]:
    """Read a log's header, and its records one by one; a last line that was cut short is left out.

    Raises:
        DatasetError: There is no such file, it is no log, or it is damaged elsewhere; also while
            the records are read.
    """
    lines = _lines(path)
    header = next(lines, None)
    names = [f.name for f in dataclasses.fields(RunHeader)]
    if header is None or header.get("format") != FORMAT or not header.keys() >= set(names):
        raise DatasetError(f"{path}: not a log of evaluated frames (format {FORMAT})")
    fields = {name: header[name] for name in names} | {"sources": tuple(header["sources"])}
    return RunHeader(**fields), (_record(path, line) for line in lines)


def _record(path: Path, values: dict[str, Any]) -> FrameRecord:
    try:
        return record_from_json(values)
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"{path}: not a record of an evaluated frame: {error!r}") from error


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    return  # It was not finished.
                yield _value(path, number, line.decode())
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: cannot be read: {error}") from error


def _value(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except json.JSONDecodeError as error:
        raise DatasetError(f"{path}: line {number} is damaged: {error}") from error
    if not isinstance(value, dict):
        raise DatasetError(f"{path}: line {number} is no record")
    return value


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
    there, here = ({**header.pop("settings"), **header} for header in (there, here))
    # A setting that an older version did not have was as it is by default.
    defaults = to_dict(EstimatorConfig())
    there = {key: defaults[key] for key in here if key in defaults} | there
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

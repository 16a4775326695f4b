"""MCAP files, read from front to back, so that neither an index nor an end is needed.

The records' layout is https://mcap.dev/spec; the ``mcap`` package takes records apart, and what is
here holds each of them to its limits first: a record that is not whole is lost, never guessed.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from lz4.frame import LZ4FrameDecompressor
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, Chunk, Footer, Message, Schema, Statistics
from zstandard import ZstdDecompressor, ZstdError

from casapose_ros.bags.storage import CDR, Losses, Place, RawMessage
from casapose_ros.errors import DatasetError

MAGIC = b"\x89MCAP0\r\n"
RECORD_HEAD = struct.Struct("<BQ")
MESSAGE_HEAD_BYTES = 22
FOOTER_BYTES = RECORD_HEAD.size + 20 + len(MAGIC)
CHUNK_CRC_OFFSET = 24
KNOWN_OPCODES = {int(opcode) for opcode in Opcode}
FIRST_PRIVATE_OPCODE = 0x80
MAX_CHUNK_BYTES = 2**31
"""A chunk that says it is larger is damaged: writers close theirs after a few megabytes."""
CHUNKS_KEPT = 3
"""Unpacked chunks in memory: that of an image, that of its truth, and one to spare."""

BROKEN_RECORD = (McapError, struct.error, UnicodeDecodeError, ValueError)
BROKEN_CHUNK = (*BROKEN_RECORD, ZstdError, RuntimeError, EOFError, MemoryError)


class _Cut(Exception):
    """The bytes from here on are not records; its argument is where."""


class McapFile:
    """See :class:`~casapose_ros.bags.storage.StorageFile`.

    Args:
        path: The file.
        number: Its number in the bag.
        name: What to call it in messages; its path if None.

    Raises:
        DatasetError: It cannot be opened, or is no MCAP file.
    """

    def __init__(self, path: Path, number: int, name: str | None = None) -> None:
        self.name = name or str(path)
        self.topics: set[tuple[str, str]] = set()
        self.definitions: dict[str, str] = {}
        self._number = number
        self._schemas: dict[int, str] = {}  # names
        self._channels: dict[int, tuple[str, str]] = {}  # topics with their types
        self._expected: int | None = None
        try:
            self._size = path.stat().st_size
            self._file = path.open("rb")
        except OSError as error:
            raise DatasetError(f"{self.name}: cannot be read: {error.strerror}") from error
        # What is missing of the magic is missing of the file: it was cut off there.
        if not MAGIC.startswith(self._file.read(len(MAGIC))):
            self._file.close()
            raise DatasetError(f"{self.name}: not an MCAP file")
        self._unpacked = lru_cache(CHUNKS_KEPT)(self._unpack)

    def close(self) -> None:
        """Close the file."""
        self._unpacked.cache_clear()
        self._file.close()

    def scan(self, losses: Losses) -> Iterator[RawMessage]:
        """All whole messages in the order in which they were written."""
        self._read_summary()
        count, ended = 0, False
        try:
            for opcode, offset, length in _records(self._file, len(MAGIC), self._size):
                if opcode == Opcode.DATA_END:
                    ended = True
                    break
                for message in self._messages(opcode, offset, length, losses):
                    count += 1
                    yield message
            if not ended:
                losses.note(f"{self.name}: ends without its end mark; what was to follow is lost")
        except (_Cut, OSError, *BROKEN_RECORD) as error:
            where = f" at byte {error}" if isinstance(error, _Cut) else ""
            losses.note(
                f"{self.name}: cut off or damaged{where} of {self._size}; what follows is lost"
            )
        if self._expected is not None and self._expected != count:
            losses.note(f"{self.name}: {count} of its {self._expected} messages are whole")

    def read(self, place: Place) -> bytes:
        """The data of one message."""
        try:
            stream = self._file if place.block < 0 else BytesIO(self._unpacked(place.block))
            head = _read_at(stream, place.position - RECORD_HEAD.size, RECORD_HEAD.size)
            return _message(stream, place.position, RECORD_HEAD.unpack(head)[1]).data
        except (_Cut, OSError, *BROKEN_CHUNK) as error:
            raise DatasetError(
                f"{self.name}: not what it was when it was read first: {error}"
            ) from error

    def _messages(
        self, opcode: int, offset: int, length: int, losses: Losses
    ) -> Iterator[RawMessage]:
        """The messages in one record of the file."""
        if opcode != Opcode.CHUNK:
            yield from self._record(self._file, opcode, offset, length, -1, losses)
            return
        try:
            data = self._unpacked(offset)
        except BROKEN_CHUNK as error:
            losses.count("chunk", f"of {self.name} lost with all its messages", str(error))
            return
        try:
            for opcode, inner, length in _records(stream := BytesIO(data), 0, len(data)):
                yield from self._record(stream, opcode, inner, length, offset, losses)
        except (_Cut, *BROKEN_RECORD):
            losses.count("chunk", f"of {self.name} without its last messages, damaged")

    def _record(
        self, stream: BinaryIO, opcode: int, offset: int, length: int, block: int, losses: Losses
    ) -> Iterator[RawMessage]:
        if opcode in (Opcode.SCHEMA, Opcode.CHANNEL):
            self._describe(opcode, _payload(stream, offset, length))
        elif opcode == Opcode.MESSAGE:
            message = _message(stream, offset, length)
            if message.channel_id not in self._channels:
                losses.count("message", f"of {self.name} on a topic whose description is lost")
                return
            topic, type_name = self._channels[message.channel_id]
            place = Place(self._number, block, offset)
            yield RawMessage(topic, type_name, message.log_time, message.data, place)

    def _describe(self, opcode: int, payload: ReadDataStream) -> None:
        """Remember a schema or a channel."""
        if opcode == Opcode.SCHEMA:
            schema = Schema.read(payload)
            self._schemas[schema.id] = schema.name
            if schema.encoding == "ros2msg":
                self.definitions[schema.name] = schema.data.decode(errors="replace")
            return
        channel = Channel.read(payload)
        if channel.schema_id in self._schemas:
            type_name = self._schemas[channel.schema_id]
            if channel.message_encoding != CDR:
                type_name += f" ({channel.message_encoding})"
            self._channels[channel.id] = channel.topic, type_name
            self.topics.add((channel.topic, type_name))

    def _read_summary(self) -> None:
        """Take counts and descriptions from the end, in case those among the messages are lost."""
        try:
            end = self._size - FOOTER_BYTES
            footer = Footer.read(_payload(self._file, end + RECORD_HEAD.size, 20))
            if _read_at(self._file, self._size - len(MAGIC), len(MAGIC)) != MAGIC:
                return
            for opcode, offset, length in _records(self._file, footer.summary_start or end, end):
                if opcode in (Opcode.SCHEMA, Opcode.CHANNEL):
                    self._describe(opcode, _payload(self._file, offset, length))
                elif opcode == Opcode.STATISTICS:
                    statistics = Statistics.read(_payload(self._file, offset, length))
                    self._expected = statistics.message_count
        except (_Cut, OSError, *BROKEN_RECORD):
            pass  # A file that was cut has no summary; scan() finds that out.

    def _unpack(self, offset: int) -> bytes:
        """The records in the chunk at an offset, decompressed and checked."""
        (length,) = struct.unpack("<Q", _read_at(self._file, offset - 8, 8))
        chunk = Chunk.read(_payload(self._file, offset, length))
        if chunk.uncompressed_size > MAX_CHUNK_BYTES:
            raise ValueError("its size makes no sense")
        data = _decompress(chunk)
        if len(data) != chunk.uncompressed_size:
            raise ValueError("its size is not what it says")
        if chunk.uncompressed_crc and zlib.crc32(data) != chunk.uncompressed_crc:
            raise ValueError("its checksum is wrong")
        return data


def add_checksums(path: Path) -> None:
    """Put the checksum into every chunk of a whole file whose writer left them out.

    Without one, nobody could tell a damaged pixel from a good one.

    Raises:
        OSError: The file cannot be written.
    """
    with path.open("r+b") as file:
        size = path.stat().st_size
        for opcode, offset, length in _records(file, len(MAGIC), size - len(MAGIC)):
            if opcode == Opcode.CHUNK:
                chunk = Chunk.read(_payload(file, offset, length))
                file.seek(offset + CHUNK_CRC_OFFSET)
                file.write(struct.pack("<I", zlib.crc32(_decompress(chunk))))


def _records(stream: BinaryIO, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Opcode, offset and length of the payload of each record that lies whole before ``end``."""
    position = start
    while position < end:
        head = _read_at(stream, position, RECORD_HEAD.size)
        opcode, length = RECORD_HEAD.unpack(head)
        offset = position + RECORD_HEAD.size
        known = opcode in KNOWN_OPCODES or opcode >= FIRST_PRIVATE_OPCODE
        if not known or offset + length > end:
            raise _Cut(position)
        yield opcode, offset, length
        position = offset + length


def _read_at(stream: BinaryIO, offset: int, length: int) -> bytes:
    stream.seek(offset, os.SEEK_SET)
    data = stream.read(length)
    if len(data) != length:
        raise _Cut(offset)
    return data


def _payload(stream: BinaryIO, offset: int, length: int) -> ReadDataStream:
    return ReadDataStream(BytesIO(_read_at(stream, offset, length)))


def _message(stream: BinaryIO, offset: int, length: int) -> Message:
    if length < MESSAGE_HEAD_BYTES:
        raise _Cut(offset)
    if length == MESSAGE_HEAD_BYTES:  # The package takes a message without data for the end.
        head = _read_at(stream, offset, length)
        channel_id, sequence, log_time, publish_time = struct.unpack("<HIQQ", head)
        return Message(channel_id, log_time, b"", publish_time, sequence)
    return Message.read(_payload(stream, offset, length), length)


def _decompress(chunk: Chunk) -> bytes:
    size = chunk.uncompressed_size
    if chunk.compression == "zstd":
        return ZstdDecompressor().decompress(chunk.data, max_output_size=size)
    if chunk.compression == "lz4":
        return LZ4FrameDecompressor().decompress(chunk.data, max_length=size + 1)
    if chunk.compression:
        raise ValueError(f"unknown compression {chunk.compression!r}")
    return chunk.data

"""Damaged bags: never a traceback, never a frame that is not exactly as it was recorded.

What fails here would turn up elsewhere as a wrong figure. The seeds are fixed.
"""

import struct
from collections import Counter

import numpy as np
import pytest
from mcap.writer import CompressionType
from small_bags import OBJECTS, Recording, write_bag, write_mcap

from casapose_ros.bags.frames import BagSource
from casapose_ros.errors import CasaposeError

RECORDING = Recording(4)
CUTS = 200
FLIPS = 150
CHUNK, MESSAGE = 6, 5


def read(path):
    """How many frames a damaged bag gives, all of them right, and what it says is lost."""
    source = BagSource(path, OBJECTS)
    try:
        frames = list(source.frames())
    except CasaposeError as error:
        assert str(path) in str(error)
        return 0, [str(error), *source.problems]
    indices = [RECORDING.check(frame) for frame in frames]
    assert indices == sorted(set(indices))
    return len(frames), source.problems


def boundaries(data, start=8, end=None):
    """Offsets at which records begin, also those in uncompressed chunks."""
    found, end = [], len(data) - 8 if end is None else end
    while start < end:
        opcode, length = struct.unpack_from("<BQ", data, start)
        found += [start, start + 9]
        if opcode == CHUNK and struct.unpack_from("<I", data, start + 37) == (0,):
            found += boundaries(data, start + 49, start + 9 + length)
        start += 9 + length
    return found


def make(path, kind):
    """One of our own bags, or one of another writer."""
    if kind == "ours":
        return write_bag(path.with_name("ours"), RECORDING.all()) / "ours.mcap"
    options = {
        "chunked": {"chunk_size": 1200},
        "zstd": {"chunk_size": 1200, "compression": CompressionType.ZSTD},
        "unchunked": {"use_chunking": False},
        "unindexed": {"chunk_size": 1200, "index": False},
    }
    return write_mcap(path, RECORDING.all(), **options[kind])


@pytest.mark.parametrize("kind", ["ours", "chunked", "zstd", "unchunked", "unindexed"])
def test_cut_anywhere(tmp_path, kind):
    path = make(tmp_path / "run.mcap", kind)
    data = path.read_bytes()
    assert read(path) == (4, [])
    records = boundaries(data)
    # All five kinds together take 200 cuts, and every record is cut at both its ends and inside.
    cuts = np.linspace(0, len(data) - 1, CUTS // 5).astype(int).tolist()
    counts = Counter()
    for size in sorted({*cuts, *records}):
        path.write_bytes(data[:size])
        count, problems = read(path)
        assert count == 4 or problems, size
        counts[count] += 1
    # What is whole is read: the more there is of a file, the more frames.
    assert counts[0] and counts[4]
    assert kind == "ours" or len(counts) == 5


@pytest.mark.parametrize("kind", ["ours", "chunked", "zstd"])
def test_one_bad_byte_anywhere(tmp_path, kind):
    path = make(tmp_path / "run.mcap", kind)
    data = path.read_bytes()
    rng = np.random.default_rng(0)
    heads = [offset + i for offset in boundaries(data) for i in (0, 1, 8)]
    places = [*rng.integers(0, len(data), FLIPS // 3).tolist(), *heads[:: len(heads) // 30]]
    for place in places:
        bad = bytearray(data)
        bad[place] ^= int(rng.integers(1, 256))
        path.write_bytes(bad)
        count, problems = read(path)
        assert count == 4 or problems, place


@pytest.mark.parametrize("kind", ["ours", "chunked"])
def test_a_stretch_that_is_gone_or_zero(tmp_path, kind):
    path = make(tmp_path / "run.mcap", kind)
    data = path.read_bytes()
    rng = np.random.default_rng(1)
    for _ in range(20):
        first, last = sorted(rng.integers(0, len(data), 2).tolist())
        for middle in (b"", bytes(last - first)):
            path.write_bytes(data[:first] + middle + data[last:])
            count, problems = read(path)
            assert count == 4 or problems, (first, last)


def test_sqlite_cut_anywhere(tmp_path):
    path = write_bag(tmp_path / "run.db3", RECORDING.all()) / "run.db3"
    data = path.read_bytes()
    assert read(path) == (4, [])
    for size in np.linspace(0, len(data) - 1, 40).astype(int):
        path.write_bytes(data[:size])
        count, problems = read(path)
        assert count == 4 or problems, size


def test_sqlite_with_bad_pages(tmp_path):
    """SQLite has no checksums: only what its own structure shows can be found out."""
    path = write_bag(tmp_path / "run.db3", RECORDING.all()) / "run.db3"
    data = path.read_bytes()
    for page in range(len(data) // 4096):
        for junk in (bytes(4096), b"\xff" * 4096):
            path.write_bytes(data[: page * 4096] + junk + data[(page + 1) * 4096 :])
            try:
                assert len(list(BagSource(path, OBJECTS).frames())) <= 4
            except CasaposeError:
                continue

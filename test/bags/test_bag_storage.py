"""The two storages of rosbag2: everything whole comes out, and nothing that is not."""

import shutil
import sqlite3
import struct

import numpy as np
import pytest
import small_bags
from mcap.writer import CompressionType
from small_bags import IMAGE, INFO, TRUTH, Recording, as_tuple, write_bag, write_mcap

from casapose_ros.bags.mcap_file import McapFile
from casapose_ros.bags.sqlite_file import SqliteFile
from casapose_ros.bags.storage import Losses
from casapose_ros.errors import DatasetError

RECORDING = Recording(6)
PLAIN = [as_tuple(one) for one in RECORDING.all()]


def scanned(file):
    """All messages as (topic, type, time, data) and what was lost; each is read again."""
    losses = Losses()
    found = list(file.scan(losses))
    for message in found:
        assert file.read(message.place) == message.data
    file.close()
    return [message[:4] for message in found], losses.sentences()


def spoil(path, offset, value=None):
    """Change one byte of a file."""
    data = bytearray(path.read_bytes())
    data[offset] = data[offset] ^ 0xFF if value is None else value
    path.write_bytes(data)


@pytest.mark.parametrize("compression", list(CompressionType))
@pytest.mark.parametrize("index", [True, False])
@pytest.mark.parametrize("chunks", [True, False])
def test_mcap_in_all_its_forms(tmp_path, compression, index, chunks):
    path = write_mcap(
        tmp_path / "a.mcap", PLAIN, compression=compression, index=index, use_chunking=chunks
    )
    file = McapFile(path, 0)
    assert scanned(file) == (PLAIN, [])
    assert {topic for topic, _ in file.topics} == {IMAGE, INFO, TRUTH}
    assert "builtin_interfaces/Duration inference_time" in file.definitions[PLAIN[0][1]]


def test_one_bad_chunk_costs_its_messages_alone(tmp_path):
    path = write_mcap(tmp_path / "a.mcap", PLAIN)
    pixels = RECORDING.images[2].tobytes()
    spoil(path, path.read_bytes().index(pixels) + 100)
    messages, lost = scanned(McapFile(path, 0))
    assert 0 < len(PLAIN) - len(messages) <= 3
    assert [one for one in PLAIN if one in messages] == messages
    assert not any(pixels in data for *_, data in messages)
    assert lost == [
        f"{path}: {len(messages)} of its 18 messages are whole",
        f"1 chunk of {path} lost with all its messages (its checksum is wrong)",
    ]


def test_topics_are_known_from_the_summary_if_their_chunk_is_lost(tmp_path):
    path = write_mcap(tmp_path / "a.mcap", PLAIN)
    spoil(path, path.read_bytes().index(PLAIN[0][3]) + 50)
    messages, _ = scanned(McapFile(path, 0))
    assert len(messages) > 10
    unindexed = write_mcap(tmp_path / "b.mcap", PLAIN, index=False)
    spoil(unindexed, unindexed.read_bytes().index(PLAIN[0][3]) + 50)
    messages, lost = scanned(McapFile(unindexed, 0))
    assert {topic for topic, *_ in messages} < {IMAGE, INFO, TRUTH}
    assert any("on a topic whose description is lost" in text for text in lost)


def test_sizes_that_make_no_sense(tmp_path):
    path = write_mcap(tmp_path / "a.mcap", PLAIN, compression=CompressionType.ZSTD)
    data = path.read_bytes()
    chunk = data.index(b"\x04\x00\x00\x00zstd") - 28
    for offset, size in ((chunk + 16, 2**62), (chunk + 32, 2**62), (chunk - 8, 2**62)):
        bad = data[:offset] + struct.pack("<Q", size) + data[offset + 8 :]
        path.write_bytes(bad)
        messages, lost = scanned(McapFile(path, 0))
        assert len(messages) < len(PLAIN) and lost
        assert [one for one in PLAIN if one in messages] == messages


@pytest.mark.parametrize("content", [b"no such format" * 9, b"\x89MCAQ"])
def test_not_an_mcap_file(tmp_path, content):
    path = tmp_path / "a.mcap"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match="not an MCAP file"):
        McapFile(path, 0)


def test_sqlite(tmp_path):
    path = write_bag(tmp_path / "a.db3", RECORDING.all()) / "a.db3"
    file = SqliteFile(path, 0)
    assert scanned(file) == (PLAIN, [])
    assert "builtin_interfaces/Duration inference_time" in file.definitions[PLAIN[0][1]]


def test_sqlite_of_another_writer_with_a_write_ahead_log(tmp_path):
    """As a killed recorder leaves it: the last messages are in the log beside the file."""
    path = write_bag(tmp_path / "a.db3", RECORDING.all()) / "a.db3"
    killed = tmp_path / "killed"
    killed.mkdir()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("DROP TABLE message_definitions")  # older bags have none
    connection.execute(
        "INSERT INTO messages (topic_id, timestamp, data) VALUES (1, 5, ?)", (b"last",)
    )
    connection.commit()
    for file in path.parent.glob("a.db3*"):
        shutil.copy(file, killed)
    connection.close()
    for folder in ("whole", "no_place_for_an_index"):
        shutil.copytree(killed, tmp_path / folder)
    # As in a folder that cannot be written: SQLite cannot make its index of the log.
    (tmp_path / "no_place_for_an_index" / "a.db3-shm").unlink(missing_ok=True)
    (tmp_path / "no_place_for_an_index" / "a.db3-shm").mkdir()
    for folder in ("whole", "no_place_for_an_index"):
        log = (tmp_path / folder / "a.db3-wal").read_bytes()
        file = SqliteFile(tmp_path / folder / "a.db3", 0)
        messages, lost = scanned(file)
        assert messages == [*PLAIN, (TRUTH, PLAIN[0][1], 5, b"last")] and lost == []
        assert (tmp_path / folder / "a.db3-wal").read_bytes() == log


def test_sqlite_may_count_from_zero(tmp_path):
    path = write_bag(tmp_path / "a.db3", RECORDING.all()) / "a.db3"
    connection = sqlite3.connect(path)
    connection.execute("UPDATE messages SET id = id - 1")
    connection.commit()
    connection.close()
    assert scanned(SqliteFile(path, 0)) == (PLAIN, [])


@pytest.mark.parametrize("ending", ["mcap", "db3"])
def test_file_that_shrinks_while_it_is_read(tmp_path, ending):
    path = write_bag(tmp_path / f"a.{ending}", RECORDING.all()) / f"a.{ending}"
    file = (McapFile if ending == "mcap" else SqliteFile)(path, 0)
    last = list(file.scan(Losses()))[-1].place
    path.write_bytes(path.read_bytes()[:600])
    file.close()
    file = (McapFile if ending == "mcap" else SqliteFile)(path, 0)
    with pytest.raises(DatasetError, match="not what it was when it was read first|is lost"):
        file.read(last)


def test_schema_in_another_alphabet_costs_nothing(tmp_path, monkeypatch):
    plain = small_bags.definition
    monkeypatch.setattr(small_bags, "definition", lambda name: b"# \xe9t\xe9\n" + plain(name))
    path = write_mcap(tmp_path / "a.mcap", RECORDING.all(), chunk_size=10**6)
    assert scanned(McapFile(path, 0)) == (PLAIN, [])


def big_rows(tmp_path):
    """A file in which every image spreads over several pages."""
    recording = Recording(8, camera=Recording().camera)
    recording.images = [np.tile(image, (12, 8, 1)) for image in recording.images]
    plain = [as_tuple(one) for one in recording.all()]
    return write_bag(tmp_path / "a.db3", recording.all()) / "a.db3", plain


def test_sqlite_cut_anywhere(tmp_path):
    path, plain = big_rows(tmp_path)
    whole = path.read_bytes()
    counts = []
    for size in np.linspace(0, len(whole) - 1, 60).astype(int):
        path.write_bytes(whole[:size])
        try:
            messages, lost = scanned(SqliteFile(path, 0))
        except DatasetError as error:
            messages, lost = [], [str(error)]
        assert [one for one in plain if one in messages] == messages
        assert lost or messages == plain
        counts.append(len(messages))
    assert counts[0] == 0 and max(counts) > 15 and len(set(counts)) > 5


def test_sqlite_without_its_tables(tmp_path):
    path = write_bag(tmp_path / "a.db3", RECORDING.all()) / "a.db3"
    connection = sqlite3.connect(path)
    connection.execute("DROP TABLE messages")
    connection.commit()
    assert scanned(SqliteFile(path, 0))[0] == []
    connection.execute("DROP TABLE topics")
    connection.commit()
    connection.close()
    messages, (lost,) = scanned(SqliteFile(path, 0))
    assert messages == [] and "table of topics" in lost


def test_not_an_sqlite_file(tmp_path):
    path = tmp_path / "a.db3"
    path.write_bytes(b"no such format" * 9)
    with pytest.raises(DatasetError, match="not an SQLite file"):
        SqliteFile(path, 0)

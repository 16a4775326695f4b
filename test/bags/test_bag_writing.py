"""Our bags, read by others' readers and compared with what rosbag2 writes."""

import os
import sqlite3

import numpy as np
import pytest
import yaml
from mcap.reader import make_reader
from mcap.stream_reader import StreamReader
from rosbags.highlevel import AnyReader
from rosbags.interfaces import QosReliability
from rosbags.rosbag2 import Reader
from small_bags import FRAME, IMAGE, INFO, START, TRUTH, Recording, write_bag

from casapose_ros.bags import message_types as types
from casapose_ros.bags import messages
from casapose_ros.bags.writing import BagWriter, bag_folder
from casapose_ros.errors import ConfigError, OutputError

RECORDING = Recording(4)
HASHES = {
    # Computed by rosidl of ROS 2 Jazzy.
    types.IMAGE: "RIHS01_d31d41a9a4c4bc8eae9be757b0beed306564f7526c88ea6a4588fb9582527d47",
    types.CAMERA_INFO: "RIHS01_b3dfd68ff46c9d56c80fd3bd4ed22c7a4ddce8c8348f2f59c299e73118e7e275",
    types.OBJECT_POSE_ARRAY: (
        "RIHS01_bfc1c356e5bc4d9e0bf199308bac722a9fc7a2fa76c0af9c5952b81e98420e3a"
    ),
}


@pytest.fixture(params=["mcap", "sqlite3"])
def bag(request, tmp_path):
    ending = {"mcap": "mcap", "sqlite3": "db3"}[request.param]
    return write_bag(tmp_path / f"run.{ending}", RECORDING.all())


def test_rosbags_reads_it_back(bag):
    with AnyReader([bag]) as reader:
        assert {c.topic: c.msgtype for c in reader.connections} == {
            IMAGE: types.IMAGE, INFO: types.CAMERA_INFO, TRUTH: types.OBJECT_POSE_ARRAY
        }  # fmt: skip
        assert (reader.message_count, reader.start_time) == (12, START)
        seen = []
        for connection, time, data in reader.messages():
            # With the definitions in the bag alone: the reader knows nothing of our message.
            message = reader.deserialize(data, connection.msgtype)
            assert types.stamp_ns(message.header.stamp) == time
            assert message.header.frame_id == FRAME
            seen.append((connection.topic, message))
    poses = [m for topic, m in seen if topic == TRUTH]
    for message, truth in zip(poses, RECORDING.truths, strict=True):
        assert [o.name for o in message.objects] == [p.name for p in truth]
        assert [o.score for o in message.objects] == [p.score for p in truth]
    images = [m for topic, m in seen if topic == IMAGE]
    assert {(m.encoding, m.step, m.height, m.width) for m in images} == {("rgb8", 48, 12, 16)}
    # Who gets an image has its truth and its calibration already.
    assert [topic for topic, _ in seen[:3]] == [TRUTH, INFO, IMAGE]


def test_connections_say_what_ros2_bag_wants_to_know(bag):
    with Reader(bag) as reader:
        for connection in reader.connections:
            assert connection.digest == HASHES[connection.msgtype]
            (qos,) = connection.ext.offered_qos_profiles
            assert qos.reliability == QosReliability.RELIABLE and qos.depth == 10
            assert connection.ext.serialization_format == "cdr"


def test_metadata_has_rosbag2s_keys(bag):
    metadata = yaml.safe_load((bag / "metadata.yaml").read_text())
    information = metadata["rosbag2_bagfile_information"]
    (file,) = information["relative_file_paths"]
    assert (bag / file).is_file() and {p.name for p in bag.iterdir()} == {file, "metadata.yaml"}
    assert information["version"] == 8
    assert (
        information["storage_identifier"]
        == {".mcap": "mcap", ".db3": "sqlite3"}[(bag / file).suffix]
    )
    assert information["message_count"] == 12
    assert information["duration"]["nanoseconds"] == RECORDING.stamps[-1] - START
    assert information["starting_time"]["nanoseconds_since_epoch"] == START
    topics = [t["topic_metadata"] for t in information["topics_with_message_count"]]
    assert {t["name"]: t["type_description_hash"] for t in topics} == {
        INFO: HASHES[types.CAMERA_INFO],
        IMAGE: HASHES[types.IMAGE],
        TRUTH: HASHES[types.OBJECT_POSE_ARRAY],
    }
    (qos,) = yaml.safe_load(topics[0]["offered_qos_profiles"])
    # Version 8 writes rmw's numbers: keep last, reliable, volatile, automatic.
    assert [qos[k] for k in ("history", "reliability", "durability", "liveliness")] == [1, 1, 2, 1]
    assert qos["deadline"] == {"sec": 9223372036, "nsec": 854775807}


def test_mcap_is_whole_indexed_and_checked(tmp_path):
    path = write_bag(tmp_path / "run", RECORDING.all()) / "run.mcap"
    with path.open("rb") as file:
        reader = make_reader(file, validate_crcs=True)
        summary = reader.get_summary()
        assert summary.statistics.message_count == 12 and summary.chunk_indexes
        assert {s.name: s.encoding for s in summary.schemas.values()} == dict.fromkeys(
            HASHES, "ros2msg"
        )
        assert [m.log_time for *_, m in reader.iter_messages()] == sorted(3 * RECORDING.stamps)
        (record,) = [m for m in reader.iter_metadata() if m.name == "rosbag2"]
        assert yaml.safe_load(record.metadata["serialized_metadata"])["message_count"] == 12
    with path.open("rb") as file:
        chunks = [r for r in StreamReader(file, emit_chunks=True).records if hasattr(r, "data")]
        assert all(c.uncompressed_crc for c in chunks if hasattr(c, "uncompressed_crc"))


def test_same_recording_same_bytes(tmp_path):
    one = write_bag(tmp_path / "a" / "run", RECORDING.all())
    two = write_bag(tmp_path / "b" / "run", RECORDING.all())
    assert (one / "run.mcap").read_bytes() == (two / "run.mcap").read_bytes()


def test_sqlite_has_rosbag2s_tables(tmp_path):
    path = write_bag(tmp_path / "run.db3", RECORDING.all()) / "run.db3"
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT schema_version FROM schema").fetchall() == [(4,)]
    assert connection.execute("SELECT count(*) FROM message_definitions").fetchall() == [(3,)]
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


def test_quaternions_keep_the_rotation(tmp_path):
    for pose in RECORDING.truths[0]:
        (found,) = messages.ground_truth(messages.header(0, FRAME), [pose]).objects
        q = found.pose.pose.orientation
        assert abs(np.linalg.norm([q.x, q.y, q.z, q.w]) - 1) < 1e-12


def test_nothing_stands_under_the_name_before_the_end(tmp_path):
    with pytest.raises(KeyError), BagWriter(tmp_path / "run") as writer:
        one = RECORDING.image(0)
        writer.write(one.topic, one.type, one.time, one.message)
        assert not writer.path.exists() and len(list(tmp_path.iterdir())) == 1
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_an_existing_bag_is_never_overwritten(tmp_path):
    path = write_bag(tmp_path / "run", RECORDING.all())
    before = (path / "run.mcap").read_bytes()
    for name in ("run", "run.mcap", "run.db3"):
        with pytest.raises(OutputError, match="exists already"), BagWriter(tmp_path / name):
            pass
    # Also not one that appears meanwhile.
    with pytest.raises(OutputError, match="exists already"), BagWriter(tmp_path / "new"):
        (tmp_path / "new").mkdir()
    assert (path / "run.mcap").read_bytes() == before
    assert {p.name for p in tmp_path.iterdir()} == {"run", "new"}


def test_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(OutputError, match="cannot be written"),
        BagWriter(tmp_path / "file" / "run"),
    ):
        pass


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_full_disk(tmp_path):
    complaint = "run: cannot be written: No space left"
    with pytest.raises(OutputError, match=complaint), BagWriter(tmp_path / "run") as writer:
        writer._writer.storage.bio.close()
        writer._writer.storage.bio = open("/dev/full", "wb")  # noqa: SIM115
        for one in RECORDING.all():
            writer.write(one.topic, one.type, one.time, one.message)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "storage", "expected"),
    [
        ("run", None, ("run", "mcap")),
        ("run.mcap", None, ("run", "mcap")),
        ("run.db3", None, ("run", "sqlite3")),
        ("run", "sqlite3", ("run", "sqlite3")),
        ("run.1", None, ("run.1", "mcap")),
    ],
)
def test_name_and_storage(tmp_path, name, storage, expected):
    folder, found = bag_folder(tmp_path / name, storage)
    assert (folder.name, found) == expected


def test_name_and_storage_that_contradict_each_other(tmp_path):
    with pytest.raises(ConfigError, match="its ending means mcap, but the storage is sqlite3"):
        bag_folder(tmp_path / "run.mcap", "sqlite3")
    with pytest.raises(ConfigError, match="mcap or sqlite3, got 'bz2'"):
        bag_folder(tmp_path / "run", "bz2")

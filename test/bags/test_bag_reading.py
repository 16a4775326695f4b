"""Opening bags: which files, which messages, and what is said about the rest."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import small_bags
import zstandard
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from small_bags import IMAGE, INFO, START, TRUTH, Recording, as_tuple, write_bag, write_mcap

from casapose_ros.bags import message_types as types
from casapose_ros.bags.reading import open_bag
from casapose_ros.errors import ConfigError, DatasetError

RECORDING = Recording(6)
ALL = RECORDING.all()
PLAIN = [as_tuple(one) for one in ALL]
TOPICS = {IMAGE, INFO, TRUTH}


def contents(path):
    """Raw messages of a bag, and its problems."""
    with open_bag(path) as bag:
        return [message[:4] for message in bag.messages(TOPICS)], bag.problems


@pytest.mark.parametrize("ending", [".mcap", ".db3"])
def test_folder_file_and_either_spelling(tmp_path, ending):
    folder = write_bag(tmp_path / f"run{ending}", ALL)
    assert folder == tmp_path / "run"
    for path in (folder, tmp_path / f"run{ending}", folder / f"run{ending}"):
        assert contents(path) == (PLAIN, [])
    (folder / "metadata.yaml").unlink()
    assert contents(folder) == (PLAIN, [])


def test_topics_and_index(tmp_path):
    with open_bag(write_bag(tmp_path / "run", ALL)) as bag:
        assert [(t.name, t.type, t.count) for t in bag.topics] == [
            (INFO, types.CAMERA_INFO, 6),
            (IMAGE, types.IMAGE, 6),
            (TRUTH, types.OBJECT_POSE_ARRAY, 6),
        ]
        images = bag.index.images[IMAGE]
        assert list(images.stamps) == RECORDING.stamps
        message = bag.decode(bag.read(images.place(3)), images.type)
        np.testing.assert_array_equal(message.data, RECORDING.images[3].ravel())
        assert len(bag.index.infos[INFO].calibrations) == 1
        assert bag.index.truths[TRUTH].names == {"box1": 6, "box2": 6}
        copy = pickle.loads(pickle.dumps(bag.index))
        assert copy.topics == bag.topics and list(copy.images[IMAGE].stamps) == RECORDING.stamps


def split_bag(folder, files=12):
    """One image per file, with so many files that their names sort wrongly as text."""
    folder.mkdir()
    recording = Recording(files)
    for i in range(files):
        one = [recording.truth(i), recording.info(i), recording.image(i)]
        write_mcap(folder / f"run_{i}.mcap", one)
    return recording


def test_bag_split_into_many_files(tmp_path):
    recording = split_bag(tmp_path / "run")
    messages, problems = contents(tmp_path / "run")
    assert messages == [as_tuple(one) for one in recording.all()] and problems == []


def test_the_metadata_has_the_last_word_on_files(tmp_path):
    recording = split_bag(tmp_path / "run", 3)
    metadata = tmp_path / "run" / "metadata.yaml"
    names = "[run_1.mcap, run_0.mcap, gone.mcap]"
    metadata.write_text(f"rosbag2_bagfile_information:\n  relative_file_paths: {names}\n")
    messages, (problem,) = contents(tmp_path / "run")
    assert [m[2] for m in messages[::3]] == [recording.stamps[1], recording.stamps[0]]
    assert "gone.mcap: missing" in problem
    metadata.write_text("{broken")
    messages, (problem,) = contents(tmp_path / "run")
    assert len(messages) == 9 and "damaged; all files beside it are taken" in problem


def test_one_file_of_several_is_no_bag_file(tmp_path):
    split_bag(tmp_path / "run", 3)
    (tmp_path / "run" / "run_1.mcap").write_bytes(b"something else")
    messages, (problem,) = contents(tmp_path / "run")
    assert len(messages) == 6 and "not an MCAP file; its messages are lost" in problem


@pytest.mark.parametrize("mode", [CompressionMode.FILE, CompressionMode.MESSAGE])
@pytest.mark.parametrize("plugin", list(StoragePlugin))
def test_compression_of_rosbag2(tmp_path, mode, plugin):
    writer = Writer(tmp_path / "run", version=9, storage_plugin=plugin)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        connections = {}
        for one in ALL:
            if one.topic not in connections:
                connections[one.topic] = writer.add_connection(
                    one.topic, one.type, typestore=types.typestore()
                )
            writer.write(connections[one.topic], one.time, one.data)
    assert contents(tmp_path / "run") == (PLAIN, [])


def test_compressed_file_that_was_cut(tmp_path):
    plain = write_mcap(tmp_path / "plain.mcap", PLAIN).read_bytes()
    data = zstandard.compress(plain)
    path = tmp_path / "run.mcap.zstd"
    for size in (0, 5, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:size])
        messages, problems = contents(path)
        assert [one for one in PLAIN if one in messages] == messages
        assert f"{path}: cut off; what follows in it is lost" in problems
    path.write_bytes(data[:50] + b"\xff" * 200 + data[250:])
    messages, problems = contents(path)
    assert len(messages) < len(PLAIN) and all(str(path) in text for text in problems)
    path.write_bytes(data[:4] + b"\xff" * 200)
    assert f"{path}: damaged; what follows in it is lost" in contents(path)[1][0]


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("nothing", "no such bag"),
        ("nothing.mcap", "no such bag"),
        ("old.bag", "a ROS 1 bag; convert it with rosbags-convert"),
        ("empty", "a folder without files of a bag"),
        ("notes.txt", "not a file of a bag"),
    ],
)
def test_what_is_no_bag(tmp_path, name, complaint):
    (tmp_path / "empty").mkdir()
    for file in ("old.bag", "notes.txt"):
        (tmp_path / file).write_bytes(b"#ROSBAG V2.0")
    with pytest.raises(DatasetError, match=complaint):
        open_bag(tmp_path / name)


def test_messages_that_are_not_whole(tmp_path):
    image, info = as_tuple(RECORDING.image(0)), as_tuple(RECORDING.info(0))
    bad = [
        (IMAGE, types.IMAGE, START, b""),
        (IMAGE, types.IMAGE, START, image[3][:-20]),
        (IMAGE, types.IMAGE, START, image[3] + bytes(20)),
        (IMAGE, types.IMAGE, START, b"\x00\x01\x00\x00" + b"\xff" * 50),
        (INFO, types.CAMERA_INFO, START, b"\x00\x01"),
        (TRUTH, types.OBJECT_POSE_ARRAY, START, info[3]),
    ]
    with open_bag(write_mcap(tmp_path / "a.mcap", [*bad, image])) as bag:
        assert len(bag.index.images[IMAGE]) == 1 and not bag.index.infos and not bag.index.truths
        assert bag.problems == [
            f"4 messages on {IMAGE} not a whole {types.IMAGE}: lost",
            f"1 message on {INFO} not a whole {types.CAMERA_INFO}: lost",
            f"1 message on {TRUTH} not a whole {types.OBJECT_POSE_ARRAY}: lost",
        ]


def test_topic_with_two_types_and_other_encodings(tmp_path):
    other = as_tuple(RECORDING.image(1, compressed="png"))
    path = write_mcap(tmp_path / "a.mcap", [*PLAIN[:3], other, *PLAIN[6:]])
    with open_bag(path) as bag:
        others = [stamp for stamp in RECORDING.stamps if stamp != other[2]]
        assert list(bag.index.images[IMAGE].stamps) == others
        (problem,) = bag.problems
        assert "of a second type, sensor_msgs/msg/CompressedImage" in problem
    path = write_mcap(tmp_path / "b.mcap", PLAIN, use_chunking=False)
    data = path.read_bytes().replace(b"\x03\x00\x00\x00cdr", b"\x03\x00\x00\x00ros")
    path.write_bytes(data)
    with open_bag(path) as bag:
        assert {t.type.rpartition(" ")[2] for t in bag.topics} == {"(ros)"} and not bag.index.images


def test_poses_of_another_version_of_our_message_are_left_alone(tmp_path, monkeypatch):
    text = small_bags.definition(types.OBJECT_POSE_ARRAY)
    text = text.replace(b"float64 score", b"float32 score")
    monkeypatch.setattr(small_bags, "definition", lambda name: text)
    with open_bag(write_mcap(tmp_path / "a.mcap", [PLAIN[0]])) as bag:
        assert not bag.index.truths and "has other fields than this version's" in bag.problems[0]


def test_empty_bag(tmp_path):
    assert contents(write_mcap(tmp_path / "a.mcap", [])) == ([], [])
    (tmp_path / "b.mcap").write_bytes(b"")
    messages, (problem,) = contents(tmp_path / "b.mcap")
    assert messages == [] and "ends without its end mark" in problem


def test_definitions_are_found_where_pip_or_ros_puts_them(tmp_path, monkeypatch):
    share = tmp_path / "share" / "casapose_ros" / "msg"
    share.mkdir(parents=True)
    for file in types.message_folder().iterdir():
        (share / file.name).write_bytes(file.read_bytes())
    monkeypatch.setattr(types.casapose_ros, "__file__", str(tmp_path / "x" / "y" / "__init__.py"))
    monkeypatch.delenv("AMENT_PREFIX_PATH", raising=False)
    with pytest.raises(ConfigError, match="definitions of casapose_ros/msg/ObjectPoseArray"):
        types.message_folder()
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    assert types.message_folder() == share


def test_compressed_file_of_several_frames(tmp_path):
    recording = Recording(3)
    plain = write_mcap(tmp_path / "plain.mcap", recording.all()).read_bytes()
    parts = [zstandard.ZstdCompressor().compress(p) for p in (plain[:900], plain[900:], b"")]
    path = tmp_path / "a.mcap.zstd"
    path.write_bytes(b"".join(parts))
    with open_bag(path) as bag:
        assert sum(topic.count for topic in bag.topics) == 9 and bag.problems == []


def test_folder_that_may_not_be_read(tmp_path, monkeypatch):
    def refuse(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "exists", refuse)
    with pytest.raises(DatasetError, match="cannot be read: Permission denied"):
        open_bag(tmp_path / "bag")

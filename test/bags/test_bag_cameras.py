"""Several cameras in one bag: nothing of one is taken for another's."""

import pytest
from small_bags import NEARER, TRUTH, Recording, changed, check_scene, renamed, write_scene

from casapose_ros.bags import messages
from casapose_ros.errors import ConfigError, DatasetError


def two_cameras():
    left, right = Recording(3), Recording(3, NEARER, seed=1)
    recorded = []
    for i in range(3):
        for name, one in (("left", left), ("right", right)):
            head = messages.header(one.stamps[i], f"{name}_frame")
            for kind, topic in (
                (one.image, f"/{name}/image_raw"),
                (one.info, f"/{name}/camera_info"),
                (one.truth, TRUTH),
            ):
                recorded.append(changed(kind(i, topic), header=head))
    return left, right, recorded


def test_two_cameras_with_equal_stamps_keep_apart(source_of):
    left, right, recorded = two_cameras()
    topics = ("/left/image_raw", "/right/image_raw")
    source = source_of(recorded, image_topics=topics)
    frames = list(source.frames())
    assert [left.check(frame) for frame in frames[:3]] == [0, 1, 2]
    assert [right.check(frame) for frame in frames[3:]] == [0, 1, 2]
    assert len({frame.name for frame in frames}) == len(source) == 6
    assert source.counts == {"box1": 6, "box2": 6} and source.problems == []
    (only, *_) = source_of(recorded, image_topics=topics[1:]).frames()
    assert right.check(only) == 0


def twins():
    """Two cameras of one frame, each with a truth beside it."""
    left, right = Recording(2), Recording(2, NEARER, seed=1)
    recorded = [
        kind(i, f"/{name}/{topic}")
        for i in range(2)
        for name, one in (("left", left), ("right", right))
        for kind, topic in ((one.image, "image"), (one.info, "camera_info"), (one.truth, "truth"))
    ]
    return left, right, recorded, ("/left/image", "/right/image")


def test_cameras_of_one_frame_have_the_truth_of_their_namespace(source_of):
    left, right, recorded, topics = twins()
    named = {"truth_topics": ("/left/truth", "/right/truth"),
             "info_topics": ("/left/camera_info", "/right/camera_info")}  # fmt: skip
    for options in ({}, named):
        frames = list(source_of(recorded, image_topics=topics, **options).frames())
        assert [left.check(frame) for frame in frames[:2]] == [0, 1]
        assert [right.check(frame) for frame in frames[2:]] == [0, 1]
    alone = source_of(recorded, image_topics=topics[1:])
    assert [right.check(frame) for frame in alone.frames()] == [0, 1]


def test_one_cameras_truth_and_calibration_are_never_anothers(source_of):
    _, right, recorded, topics = twins()
    only_left = [one for one in recorded if one.topic != "/right/truth"]
    with pytest.raises(DatasetError, match="no ground truth of /right/image: /left/truth lies"):
        list(source_of(only_left, image_topics=topics).frames())
    shared = [renamed(one, TRUTH) if one.topic == "/left/truth" else one for one in only_left]
    with pytest.raises(DatasetError, match=f"{TRUTH} is the ground truth of one camera"):
        list(source_of(shared, image_topics=topics).frames())
    bare = [one for one in recorded if one.topic != "/right/camera_info"]
    with pytest.raises(DatasetError, match="none belongs to /right/image"):
        list(source_of(bare, image_topics=topics).frames())


def test_each_camera_needs_a_file_of_its_own(source_of, tmp_path):
    left, right, recorded = two_cameras()
    topics = ("/left/image_raw", "/right/image_raw")
    files = tuple(
        write_scene(tmp_path / name, one, range(3)) for name, one in (("l", left), ("r", right))
    )
    with pytest.raises(ConfigError, match="--truth is given 1 times for 2 cameras"):
        list(source_of(recorded, image_topics=topics, truth_files=files[:1]).frames())
    source = source_of(recorded, image_topics=topics, truth_files=files)
    frames = list(source.frames())
    assert [check_scene(left, frame) for frame in frames[:3]] == [0, 1, 2]
    assert [check_scene(right, frame) for frame in frames[3:]] == [0, 1, 2]
    assert source.counts == {"box1": 6, "box2": 6}

"""Frames of bags: each image with its own calibration and truth, or left out and counted."""

import dataclasses
import json
import pickle

import numpy as np
import pytest
from small_bags import (
    CAMERA,
    FRAME,
    HEIGHT,
    IMAGE,
    INFO,
    OBJECTS,
    PERIOD,
    START,
    TRUTH,
    WIDTH,
    Recorded,
    Recording,
    camera_values,
    changed,
    write_bag,
    write_mcap,
)

from casapose_ros.bags import message_types as types
from casapose_ros.bags import messages
from casapose_ros.bags.choosing import BagOptions
from casapose_ros.bags.frames import BagSource
from casapose_ros.errors import CameraError, ConfigError, DatasetError
from casapose_ros.types import CameraModel

NEARER = dataclasses.replace(CAMERA, K=CAMERA.K * [[2, 1, 1], [1, 2, 1], [1, 1, 1]])


@pytest.fixture
def source_of(tmp_path):
    """A bag of these messages as a source of frames."""

    def make(recorded, objects=OBJECTS, **options):
        path = write_mcap(tmp_path / "run.mcap", list(recorded))
        return BagSource(path, objects, BagOptions(**options))

    return make


def stamps(frames):
    return [frame.stamp for frame in frames]


@pytest.mark.parametrize("ending", ["mcap", "db3"])
def test_every_frame_is_what_was_recorded(tmp_path, ending):
    recording = Recording(6)
    source = BagSource(write_bag(tmp_path / f"run.{ending}", recording.all()), OBJECTS)
    assert len(source) == 6 and source.counts == {"box1": 6, "box2": 6}
    frames = list(source.frames())
    assert [recording.check(frame) for frame in frames] == list(range(6))
    assert frames[1].name == f"{tmp_path / 'run'}{IMAGE}/{START + PERIOD}"
    assert {frame.source for frame in frames} == {source.name} and frames[0].masks == {}
    assert source.problems == []


def test_done_frames_are_skipped_and_found_again(source_of):
    recording = Recording(6)
    source = source_of(recording.all())
    names = [frame.name for frame in source.frames()]
    assert [f.name for f in source.frames(done=set(names[:4]))] == names[4:]
    found = source.find({names[3], names[1], "nothing"})
    assert {recording.check(frame) for frame in found.values()} == {1, 3}
    assert set(found) == {names[1], names[3]}
    assert pickle.loads(pickle.dumps(source)).frames(()).__next__().name == names[0]


def test_limit_counts_frames_that_are_done(source_of):
    recording = Recording(6)
    messages_ = [one for one in recording.all() if one.topic != TRUTH]
    messages_ += [recording.truth(i) for i in (0, 2, 3, 4, 5)]
    source = source_of(messages_, limit=3)
    names = [frame.name for frame in source.frames()]
    assert [int(name.rpartition("/")[2]) for name in names] == [
        recording.stamps[i] for i in (0, 2, 3)
    ]
    assert len(source) == 3
    assert [f.name for f in source.frames(done=names[:2])] == names[2:]
    assert list(source.find(names[2:])) == names[2:]


@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_compressed_images(source_of, kind):
    recording = Recording(3)
    recording.images = [np.full((HEIGHT, WIDTH, 3), (200, 90, 30 * i), np.uint8) for i in range(3)]
    topic = f"{IMAGE}/compressed"
    messages_ = [recording.truth(i) for i in range(3)] + [recording.info(i) for i in range(3)]
    source = source_of(messages_ + [recording.image(i, topic, kind) for i in range(3)])
    tolerance = 3 if kind == "jpeg" else 0
    assert [recording.check(frame, tolerance) for frame in source.frames()] == [0, 1, 2]


def test_images_that_cannot_be_decoded_are_counted(source_of):
    recording = Recording(4)
    messages_ = recording.all()
    odd = {1: {"encoding": "32FC1"}, 2: {"step": 5}, 3: {"data": np.zeros(7, np.uint8)}}
    for index, fields in odd.items():
        messages_[3 * index + 2] = changed(recording.image(index), **fields)
    source = source_of(messages_)
    assert [recording.check(frame) for frame in source.frames()] == [0]
    (problem,) = source.problems
    assert problem.startswith(
        f"{source.name}: 3 images that cannot be decoded (the first: {IMAGE}: unknown"
    )


# Calibrations


def test_late_calibration_is_taken_for_the_first_images_too(source_of):
    recording = Recording(5)
    late = [one for one in recording.all() if one.topic != INFO or one.time >= recording.stamps[3]]
    source = source_of(late)
    assert [recording.check(frame) for frame in source.frames()] == list(range(5))
    (problem,) = source.problems
    assert "3 images without a calibration of the same stamp: the nearest one counts" in problem


def test_each_image_has_the_calibration_of_its_stamp(source_of):
    recording = Recording(6)
    cameras = [dataclasses.replace(CAMERA, K=CAMERA.K + np.diag([i, i, 0])) for i in range(6)]
    messages_ = [one for one in recording.all() if one.topic != INFO]
    for i in reversed(range(6)):  # in any order
        info = messages.camera_info(recording.header(i), cameras[i])
        messages_.append(Recorded(INFO, types.CAMERA_INFO, recording.stamps[5], info))
    frames = list(source_of(messages_).frames())
    assert [camera_values(f.camera) for f in frames] == [camera_values(c) for c in cameras]


def half_and_half(other, gap):
    """The camera becomes another one after three images; infos around that are missing."""
    recording, second = Recording(3), Recording(3, other, seed=1)
    second.stamps = [stamp + 3 * PERIOD for stamp in second.stamps]
    recorded = recording.all() + second.all()
    missing = [START + i * PERIOD for i in gap]
    return recording, [one for one in recorded if one.topic != INFO or one.time not in missing]


def test_resolution_may_change_in_the_middle(source_of):
    large = CameraModel(CAMERA.K, 2 * WIDTH, 2 * HEIGHT)
    _, recorded = half_and_half(large, gap=(2, 3))
    frames = list(source_of(recorded).frames())
    assert [frame.camera.width for frame in frames] == [WIDTH] * 3 + [2 * WIDTH] * 3
    assert all(f.image.shape[:2] == (f.camera.height, f.camera.width) for f in frames)


def test_between_two_calibrations_of_one_size_no_image_is_judged(source_of):
    recording, recorded = half_and_half(NEARER, gap=(2, 3))
    source = source_of(recorded)
    frames = list(source.frames())
    assert stamps(frames) == [START + i * PERIOD for i in (0, 1, 4, 5)]
    assert [recording.check(frame) for frame in frames[:2]] == [0, 1]
    assert "2 images without a calibration that fits (the first: between two" in source.problems[1]


def test_calibration_of_another_size(source_of):
    recording = Recording(3)
    other = Recording(3, CameraModel(CAMERA.K, 20, 10))
    recorded = [one for one in recording.all() if one.topic != INFO]
    recorded += [other.info(i) for i in range(3)]
    source = source_of(recorded)
    assert list(source.frames()) == []
    assert "of 16x12 px, but its camera_info says 20x10" in source.problems[0]


def test_camera_that_is_calibrated_late(source_of):
    recording = Recording(4)
    recorded = recording.all()
    for i in (0, 1):
        recorded[3 * i + 1] = changed(recording.info(i), k=np.zeros(9))
    source = source_of(recorded)
    assert [recording.check(frame) for frame in source.frames()] == list(range(4))
    assert "2 calibrations not usable (the first: camera_info has K = 0" in source.problems[0]
    never = source_of([changed(one, k=np.zeros(9)) if one.topic == INFO else one
                       for one in recording.all()])  # fmt: skip
    with pytest.raises(CameraError, match=f"{INFO}: camera_info has K = 0"):
        list(never.frames())


def test_rectified_images_take_p(source_of):
    recording = Recording(2)
    p = np.array([30.0, 0, 7, 0, 0, 30, 5, 0, 0, 0, 1, 0])
    recorded = [
        *(recording.image(i, "/camera/image_rect") for i in range(2)),
        *(changed(recording.info(i), p=p) for i in range(2)),
        *(recording.truth(i) for i in range(2)),
    ]
    focal = [f.camera.K[0, 0] for f in source_of(recorded).frames()]
    assert focal == [30, 30]
    assert next(source_of(recorded, rectified="false").frames()).camera.K[0, 0] == 20


def test_calibration_file_in_place_of_the_bags(source_of):
    recording = Recording(2)
    bare = [one for one in recording.all() if one.topic != INFO]
    frames = list(source_of(bare, camera=NEARER).frames())
    assert [camera_values(frame.camera) for frame in frames] == [camera_values(NEARER)] * 2
    source = source_of(bare, camera=CameraModel(CAMERA.K, 99, 12))
    assert list(source.frames()) == [] and "99x12" in source.problems[0]


# Ground truth


def test_truth_may_come_at_any_time_in_the_recording(source_of):
    recording = Recording(5)
    pictures = [one for one in recording.all() if one.topic != TRUTH]
    truths = [recording.truth(i) for i in (4, 0, 3, 1, 2)]
    for recorded in (truths + pictures, pictures + truths):
        assert [recording.check(f) for f in source_of(recorded).frames()] == list(range(5))


def test_images_without_truth_are_not_images_without_objects(source_of):
    recording = Recording(3)
    recorded = recording.all()
    recorded[0] = changed(recording.truth(0), objects=[])
    del recorded[3]
    source = source_of(recorded)
    frames = list(source.frames())
    assert stamps(frames) == [recording.stamps[0], recording.stamps[2]] and frames[0].truths == ()
    assert source.problems == [f"{source.name}: 1 image without ground truth of its stamp"]


def point(z):
    return types.make("geometry_msgs/msg/Point", x=0.0, y=0.0, z=z)


def spoilt(recording, index, **fields):
    """A truth whose first object is wrong."""
    message = recording.truth(index).message
    first = dataclasses.replace(message.objects[0], **fields)
    return changed(recording.truth(index), objects=[first, *message.objects[1:]])


def with_pose(recording, index, **fields):
    first = recording.truth(index).message.objects[0]
    pose = dataclasses.replace(first.pose.pose, **fields)
    return spoilt(recording, index, pose=dataclasses.replace(first.pose, pose=pose))


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (
            lambda r: with_pose(r, 1, position=types.make("geometry_msgs/msg/Point",
                                                          x=0.0, y=float("nan"), z=1.0)),
            "1 image with a true pose that is not finite (box1)",
        ),
        (
            lambda r: with_pose(r, 1, orientation=types.make("geometry_msgs/msg/Quaternion",
                                                             x=0.0, y=0.0, z=0.0, w=0.0)),
            "1 image with a true pose whose quaternion is no rotation (box1)",
        ),
        (
            lambda r: with_pose(r, 1, position=point(-0.5)),
            "1 image with a true pose in or behind the camera (box1, z = -0.5 m)",
        ),
        (
            lambda r: with_pose(r, 1, position=point(0.0)),
            "1 image with a true pose in or behind the camera (box1, z = 0 m)",
        ),
        (
            lambda r: with_pose(r, 1, position=point(1e200)),
            "1 image with a true pose over 1000 m away (box1, 1e+200 m)",
        ),
        (
            lambda r: spoilt(r, 1, score=float("nan")),
            "1 image with a true visibility (score) outside 0..1 (box1)",
        ),
        (
            lambda r: changed(r.truth(1), header=messages.header(r.stamps[1], "map")),
            f"1 image with ground truth in another frame than theirs ('map', not '{FRAME}')",
        ),
    ],
)  # fmt: skip
def test_truth_that_makes_no_sense_costs_its_image(source_of, spoil, complaint):
    recording = Recording(3)
    recorded = recording.all()
    recorded[3] = spoil(recording)
    source = source_of(recorded)
    assert [recording.check(frame) for frame in source.frames()] == [0, 2]
    assert source.problems == [f"{source.name}: {complaint}"]


def test_objects_that_the_model_does_not_know_are_left_out_and_named(source_of):
    recording = Recording(3)
    recorded = recording.all()
    # What is wrong with an object that nobody asks for is nobody's business.
    recorded[3] = spoilt(recording, 1, name="duck", score=float("nan"))
    source = source_of(recorded)
    frames = list(source.frames())
    assert [len(frame.truths) for frame in frames] == [2, 1, 2]
    assert source.counts == {"box1": 2, "box2": 3, "duck": 1}
    (problem,) = source.problems
    assert problem.endswith("objects that the model does not know: duck (1 times)")


def test_objects_may_be_called_after_their_mesh_files(source_of):
    recording = Recording(2)
    recorded = recording.all()
    for i in range(2):
        recorded[3 * i] = spoilt(recording, i, name=f"obj_{OBJECTS[0].bop_id:06d}")
    assert [recording.check(frame) for frame in source_of(recorded).frames()] == [0, 1]


def test_truth_without_visibility_is_noticed(source_of):
    recording = Recording(1)
    message = recording.truth(0).message
    objects = [dataclasses.replace(found, score=0.0) for found in message.objects]
    source = source_of([changed(recording.truth(0), objects=objects), *recording.all()[1:]])
    assert len(list(source.frames())) == 1
    assert "score of all true objects is 0" in source.problems[0]


def test_no_objects_and_no_numbers_are_not_scores_of_zero(source_of):
    recording = Recording(1)
    empty = changed(recording.truth(0), objects=[])
    odd = spoilt(recording, 0, score=float("nan"))
    for truth in (empty, odd):
        source = source_of([truth, *recording.all()[1:]])
        list(source.frames())
        assert not any("score of all" in problem for problem in source.problems)


def scene(path, recording, keys):
    """A BOP scene's ground truth."""
    ids = {obj.name: obj.bop_id for obj in OBJECTS}
    truths = {
        str(key): [
            {"obj_id": ids[p.name], "cam_R_m2c": p.R_cam_obj.ravel().tolist(),
             "cam_t_m2c": (1000 * p.t_cam_obj).tolist()}
            for p in poses
        ]
        for key, poses in zip(keys, recording.truths, strict=True)
    }  # fmt: skip
    infos = {
        str(key): [{"visib_fract": p.score} for p in poses]
        for key, poses in zip(keys, recording.truths, strict=True)
    }
    path.mkdir()
    (path / "scene_gt.json").write_text(json.dumps(truths))
    (path / "scene_gt_info.json").write_text(json.dumps(infos))
    return path / "scene_gt.json"


def close(recording, frame):
    """Millimetres in a file are not exact."""
    index = recording.stamps.index(frame.stamp)
    for found, true in zip(frame.truths, recording.truths[index], strict=True):
        assert found.name == true.name and found.visibility == true.score
        np.testing.assert_allclose(found.t_cam_obj, true.t_cam_obj, atol=1e-12)
    return index


def test_truth_from_a_bop_scene_in_order(source_of, tmp_path):
    recording = Recording(4)
    bare = [one for one in recording.all() if one.topic != TRUTH]
    # As text, 9 comes after 10.
    file = scene(tmp_path / "000001", recording, (3, 9, 10, 11))
    source = source_of(bare, truth_files=(file,))
    assert [close(recording, frame) for frame in source.frames()] == [0, 1, 2, 3]
    assert source.counts == {"box1": 4, "box2": 4}
    with pytest.raises(DatasetError, match="4 images, but the bag's topic has 3"):
        list(source_of(bare[:-1], truth_files=(file,)).frames())


def test_truth_from_a_bop_scene_by_stamp(source_of, tmp_path):
    recording = Recording(4)
    bare = [one for one in recording.all() if one.topic != TRUTH]
    file = scene(tmp_path / "000001", recording, [*recording.stamps[:3], 7])
    source = source_of(bare, truth_files=(file,))
    assert [close(recording, frame) for frame in source.frames()] == [0, 1, 2]
    assert source.problems == [f"{source.name}: 1 image without ground truth of its stamp"]


@pytest.mark.parametrize(
    ("R", "complaint"),
    [
        ([float("nan")] * 9, "that is not finite"),
        ([2, 0, 0, 0, 1, 0, 0, 0, 1], "whose matrix is no rotation"),
        ([1e200] * 9, "whose matrix is no rotation"),
        ([-1, 0, 0, 0, 1, 0, 0, 0, 1], "whose matrix is a mirror image"),
    ],
)
def test_bop_truth_that_makes_no_sense_costs_its_image(source_of, tmp_path, R, complaint):
    recording = Recording(3)
    file = scene(tmp_path / "000001", recording, range(3))
    truths = json.loads(file.read_text())
    truths["1"][0]["cam_R_m2c"] = R
    file.write_text(json.dumps(truths))
    source = source_of(recording.all(), truth_files=(file,))
    assert [close(recording, frame) for frame in source.frames()] == [0, 2]
    assert f"1 image with a true pose {complaint}" in source.problems[0]


def test_truth_in_order_follows_the_stamps_and_no_clock_is_taken_for_ids(source_of, tmp_path):
    recording = Recording(4)
    # A simulated clock begins at 0, as ids do.
    recording.stamps = [PERIOD * i for i in range(4)]
    file = scene(tmp_path / "000001", recording, range(4))
    source = source_of(reversed(recording.all()), truth_files=(file,))
    assert [close(recording, frame) for frame in source.frames()] == [3, 2, 1, 0]


def test_each_camera_needs_a_file_of_its_own(source_of, tmp_path):
    left, right, recorded = two_cameras()
    topics = ("/left/image_raw", "/right/image_raw")
    files = tuple(
        scene(tmp_path / name, one, range(3)) for name, one in (("l", left), ("r", right))
    )
    with pytest.raises(ConfigError, match="--truth is given 1 times for 2 cameras"):
        list(source_of(recorded, image_topics=topics, truth_files=files[:1]).frames())
    source = source_of(recorded, image_topics=topics, truth_files=files)
    frames = list(source.frames())
    assert [close(left, frame) for frame in frames[:3]] == [0, 1, 2]
    assert [close(right, frame) for frame in frames[3:]] == [0, 1, 2]
    assert source.counts == {"box1": 6, "box2": 6}


# Stamps


def test_image_recorded_twice_counts_once(source_of):
    recording = Recording(3)
    source = source_of([*recording.all(), *recording.all()[3:6]])
    assert [recording.check(frame) for frame in source.frames()] == [0, 1, 2]
    assert source.problems == [f"{source.name}: 1 image recorded more than once: counts once"]


def test_different_images_with_one_stamp_are_left_out(source_of):
    recording, other = Recording(3), Recording(3, seed=1)
    source = source_of([*recording.all(), other.image(1)])
    assert [recording.check(frame) for frame in source.frames()] == [0, 2]
    assert "2 images left out: different images with one stamp" in source.problems[0]


def test_contradicting_truths_of_one_stamp(source_of):
    recording, other = Recording(3), Recording(3, seed=1)
    source = source_of([*recording.all(), other.truth(1), recording.truth(2)])
    assert [recording.check(frame) for frame in source.frames()] == [0, 2]
    assert "1 image with several contradicting ground truths" in source.problems[0]


def test_clocks_may_jump(source_of):
    recording = Recording(6)
    recording.stamps = [START + PERIOD * i for i in (100, 101, 3, 4, 102, -(10**9) // PERIOD)]
    recorded = recording.all()
    source = source_of(recorded)
    assert [recording.check(frame) for frame in source.frames()] == list(range(6))
    # The recorder's clock says nothing about the images.
    frozen = [dataclasses.replace(one, time=0) for one in recorded]
    assert [recording.check(frame) for frame in source_of(frozen).frames()] == list(range(6))
    assert source.problems == []


# Several cameras


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


# Which topics


def renamed(one, topic):
    return dataclasses.replace(one, topic=topic)


@pytest.mark.parametrize(
    ("change", "options", "complaint"),
    [
        (lambda one: None, {}, "no images in this bag; it has no topics at all"),
        (lambda one: None if one.topic == IMAGE else one, {}, "no images in this bag; its topics"),
        (lambda one: None if one.topic == INFO else one, {},
         r"no calibration \(camera_info\) in this bag: give .* one with --camera FILE"),
        (lambda one: None if one.topic == TRUTH else one, {}, "no ground truth in this bag; name"),
        (lambda one: one, {"image_topics": ("/imgae",)}, "no topic /imgae; its topics: "),
        (lambda one: one, {"image_topics": (INFO,)},
         f"{INFO} has the type sensor_msgs/msg/CameraInfo, not sensor_msgs/msg/Image or"),
        (lambda one: one, {"info_topics": (TRUTH,)}, "not sensor_msgs/msg/CameraInfo"),
        (lambda one: one, {"truth_topics": (IMAGE,)}, "not casapose_ros/msg/ObjectPoseArray"),
        (lambda one: changed(one, model_name="net") if one.topic == TRUTH else one, {},
         f"the poses on {TRUTH} are a model's"),
    ],
)  # fmt: skip
def test_topics_that_are_missing_are_complained_about(source_of, change, options, complaint):
    recorded = [one for one in map(change, Recording(2).all()) if one is not None]
    with pytest.raises(DatasetError, match=complaint) as caught:
        list(source_of(recorded, **options).frames())
    for one in recorded:
        assert f"{one.topic} ({one.type}, 2)" in str(caught.value)


def test_of_several_images_the_raw_colours_are_taken(source_of):
    recording = Recording(2)
    depth = [changed(recording.image(i, "/camera/depth"), encoding="16UC1") for i in range(2)]
    packed = [recording.image(i, f"{IMAGE}/compressed", "jpeg") for i in range(2)]
    frames = source_of([*depth, *packed, *recording.all()]).frames()
    assert [recording.check(frame) for frame in frames] == [0, 1]
    # Without a calibration beside it, an image is not a camera's.
    overlay = [recording.image(i, "/casapose/debug/overlay") for i in range(2)]
    frames = source_of([*overlay, *recording.all()]).frames()
    assert [recording.check(frame) for frame in frames] == [0, 1]
    both = "several image topics .*/camera/image_raw, /camera/image_rect"
    with pytest.raises(DatasetError, match=both):
        rectified = [recording.image(i, "/camera/image_rect") for i in range(2)]
        list(source_of([*rectified, *recording.all()]).frames())


@pytest.mark.parametrize("text", ["JPEG", "MJPG", "image/jpeg", ""])
def test_compressed_formats_have_many_spellings(source_of, text):
    recording = Recording(1)
    image = changed(recording.image(0, f"{IMAGE}/compressed", "jpeg"), format=text)
    source = source_of([recording.truth(0), recording.info(0), image])
    assert len(list(source.frames())) == 1 and source.problems == []


def test_encoding_that_cannot_be_decoded_is_named(source_of):
    recording = Recording(1)
    image = changed(recording.image(0), encoding="nv12")
    with pytest.raises(DatasetError, match=f"no colour images .*: {IMAGE} .'nv12'.; its topics"):
        list(source_of([recording.truth(0), recording.info(0), image]).frames())


def test_error_says_what_was_lost_and_lists_few_of_many_topics(source_of):
    text = b"\0\1\0\0\1\0\0\0\0"
    other = [(f"/a{i}", "std_msgs/msg/String", 5, text) for i in range(50)]
    with pytest.raises(DatasetError, match="no images") as caught:
        list(source_of([*other, (IMAGE, types.IMAGE, 5, b"\0")]).frames())
    assert f"its topics: {IMAGE} (" in str(caught.value)
    assert "and 39 more" in str(caught.value)
    assert f"lost: 1 message on {IMAGE} not a whole" in str(caught.value)


def test_calibration_elsewhere_is_taken_if_it_is_the_only_one_or_of_the_same_frame(source_of):
    recording = Recording(2)
    moved = [renamed(o, "/calibration") if o.topic == INFO else o for o in recording.all()]
    assert [recording.check(frame) for frame in source_of(moved).frames()] == [0, 1]
    head = messages.header(START, "other_camera")
    other = [changed(recording.info(0, "/other/camera_info"), header=head)]
    other += [changed(recording.image(0, "/other/image"), header=head)]
    options = {"image_topics": (IMAGE,)}
    frames = source_of([*moved, *other], **options).frames()
    assert [recording.check(frame) for frame in frames] == [0, 1]
    with pytest.raises(DatasetError, match="none belongs"):
        list(source_of([o for o in [*moved, *other] if o.topic != "/calibration"],
                       **options).frames())  # fmt: skip
    twin = [recording.info(i, "/twin") for i in range(2)]
    with pytest.raises(DatasetError, match="several may belong"):
        list(source_of([*moved, *other, *twin], **options).frames())


def test_a_models_poses_are_no_truth_unless_they_are_asked_for(source_of):
    recording, estimated = Recording(2), Recording(2, seed=5)
    answers = [changed(estimated.truth(i, "/casapose/objects"), model_name="net") for i in range(2)]
    source = source_of([*answers, *recording.all()])
    assert [recording.check(frame) for frame in source.frames()] == [0, 1]
    asked = source_of([*answers, *recording.all()], truth_topics=("/casapose/objects",))
    assert next(asked.frames()).truths[0].visibility == estimated.truths[0][0].score


@pytest.mark.parametrize(
    "options",
    [
        {"rectified": "maybe"},
        {"limit": 0},
        {"image_topics": (IMAGE, IMAGE)},
        {"image_topics": ("/a", "/b"), "truth_topics": (TRUTH,)},
        {"image_topics": ("/a", "/b"), "info_topics": (INFO,)},
        {"truth_topics": (TRUTH,), "truth_files": ("scene_gt.json",)},
        {"info_topics": (INFO,), "camera": CAMERA},
    ],
)
def test_options_that_make_no_sense(options):
    with pytest.raises(ConfigError):
        BagOptions(**options)

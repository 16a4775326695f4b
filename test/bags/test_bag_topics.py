"""Which topics of a bag are read where none is named, and what is said in doubt."""

import pytest
from small_bags import CAMERA, IMAGE, INFO, START, TRUTH, Recording, changed, renamed

from casapose_ros.bags import message_types as types
from casapose_ros.bags import messages
from casapose_ros.bags.choosing import BagOptions
from casapose_ros.errors import ConfigError, DatasetError


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

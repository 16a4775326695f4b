"""Each image of a bag with the true poses from its topic, or left out and counted."""

import dataclasses

import pytest
from small_bags import FRAME, OBJECTS, TRUTH, Recording, changed, stamps_of

from casapose_ros.bags import message_types as types
from casapose_ros.bags import messages


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
    assert (
        stamps_of(frames) == [recording.stamps[0], recording.stamps[2]] and frames[0].truths == ()
    )
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

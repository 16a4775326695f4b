"""Each image of a bag with the calibration that belongs to it."""

import dataclasses

import numpy as np
import pytest
from small_bags import (
    CAMERA,
    HEIGHT,
    INFO,
    NEARER,
    PERIOD,
    START,
    WIDTH,
    Recorded,
    Recording,
    camera_values,
    changed,
    stamps_of,
)

from casapose_ros.bags import message_types as types
from casapose_ros.bags import messages
from casapose_ros.errors import CameraError
from casapose_ros.types import CameraModel


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
    assert stamps_of(frames) == [START + i * PERIOD for i in (0, 1, 4, 5)]
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

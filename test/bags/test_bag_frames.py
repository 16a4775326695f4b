"""Frames of bags: each image as it was recorded, or left out and counted."""

import dataclasses
import pickle

import numpy as np
import pytest
from small_bags import (
    HEIGHT,
    IMAGE,
    OBJECTS,
    PERIOD,
    START,
    TRUTH,
    WIDTH,
    Recording,
    changed,
    write_bag,
)

from casapose_ros.bags.frames import BagSource


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

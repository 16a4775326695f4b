"""Overlays of the frames that went worst."""

import dataclasses
import itertools

import numpy as np
import pytest
from judged_frames import judged

from casapose_ros.evaluation.judging import Frame
from casapose_ros.evaluation.matching import Judgement, match_frame
from casapose_ros.evaluation.reporting.pictures import (
    RIGHT,
    TRUTH,
    WRONG,
    caption,
    draw_judgement,
    worst_frames,
)


def test_frames_with_more_and_larger_mistakes_come_first(estimate, missed, absent):
    judgements = judged(
        [
            Judgement([estimate()], {}),
            Judgement([estimate(relative=0.2)], {}),
            Judgement([missed()], {}),
            Judgement([missed(), absent()], {}),
            Judgement([missed(visibility=0.1)], {}),
            Judgement([], {}),
        ]
    )
    assert worst_frames(judgements, 0.4) == [3, 2, 1]
    assert worst_frames(judgements, 0.4, count=2) == [3, 2]


def test_the_caption_says_what_went_wrong(estimate, missed, absent):
    matches = [estimate(), estimate("bar", relative=0.31), missed("prism"), absent("can")]
    assert caption(Judgement(matches, {}), 0.4) == (
        "bar off by 31 % of its diameter, prism missed, can absent"
    )


@pytest.mark.parametrize(("shift", "colour"), [(0, RIGHT), (0.1, WRONG)])
def test_boxes_are_drawn_in_the_colour_of_the_verdict(
    references, camera, true_object, estimate_of, shift, colour
):
    truth = true_object(visibility=0.5)
    poses = [estimate_of(truth, shift=(shift, 0, 0))]
    image = np.zeros((480, 640, 3), np.uint8)
    frame = Frame("000000/000000", image, camera, (truth,), {})
    matches = match_frame(frame.name, poses, frame.truths, references, camera)
    picture = draw_judgement(frame, Judgement(matches, {}), references)
    drawn = {tuple(c) for c in np.unique(picture.reshape(-1, 3), axis=0).tolist()}
    assert colour in drawn and {RIGHT, WRONG} & drawn == {colour}
    assert (TRUTH in drawn) == (shift > 0), "a right estimate covers the truth"
    assert not image.any(), "the frame itself is left alone"


def test_mistakes_carry_the_name_of_their_object(references, camera, true_object, estimate_of):
    image = np.full((480, 640, 3), 90, np.uint8)

    def white_pixels(truth, poses) -> int:
        """Of the plates behind names."""
        frame = Frame("000000/000000", image, camera, (truth,))
        matches = match_frame(frame.name, poses, frame.truths, references, camera)
        picture = draw_judgement(frame, Judgement(matches, {}), references)
        return np.count_nonzero((picture == 255).all(axis=2))

    truth = true_object()
    assert white_pixels(truth, [estimate_of(truth)]) == 0
    assert white_pixels(truth, [estimate_of(truth, shift=(0.1, 0, 0))]) > 100
    assert white_pixels(truth, []) > 100, "the missed truth"
    # Names stay in the picture, wherever the box is.
    for x, y in itertools.product((-0.5, 0.5), repeat=2):
        assert white_pixels(truth, [estimate_of(truth, shift=(x, y, 0))]) > 100


@pytest.mark.parametrize("shape", [(1, 1), (8, 5), (2000, 3000)])
def test_pictures_of_any_size_can_be_drawn_on(references, camera, true_object, estimate_of, shape):
    height, width = shape
    K = np.array([[width, 0, width / 2], [0, width, height / 2], [0, 0, 1.0]])
    small = dataclasses.replace(camera, K=K, width=width, height=height)
    truth = true_object()
    frame = Frame("000000/000000", np.zeros((*shape, 3), np.uint8), small, (truth,))
    matches = match_frame(frame.name, [], frame.truths, references, small)
    assert draw_judgement(frame, Judgement(matches, {}), references).shape == (*shape, 3)


def test_a_pose_that_cannot_be_drawn_is_left_out(references, camera, true_object, estimate_of):
    behind = estimate_of(true_object(), shift=(0, 0, -2))
    frame = Frame("000000/000000", np.zeros((480, 640, 3), np.uint8), camera, (), {})
    matches = match_frame(frame.name, [behind], (), references, camera)
    assert not draw_judgement(frame, Judgement(matches, {}), references).any()

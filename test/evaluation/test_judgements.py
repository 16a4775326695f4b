"""Judgements in columns: nothing is lost, but for the poses."""

import dataclasses

import numpy as np
import pytest
from judged_frames import judged, judged_matches

from casapose_ros.evaluation.judgements import Judgements
from casapose_ros.evaluation.matching import Judgement, Outcome, match_frame


def assert_same(found, expected):
    found, expected = dataclasses.asdict(found), dataclasses.asdict(expected) | {"pose": None}
    np.testing.assert_equal(found, expected)


@pytest.fixture
def frames(references, camera, true_object, estimate_of):
    """Frames with every kind of match, two instances, and a score that is no number."""
    cube, other = true_object(), true_object(x=0.15, visibility=0.2)
    bar = true_object("bar", x=-0.2)
    said = [
        [estimate_of(cube), estimate_of(other, shift=(0.01, 0, 0)), estimate_of(bar, score=np.nan)],
        [estimate_of(bar, name="cube")],
        [],
        [],
    ]
    truths = [[cube, other], [bar, cube], [cube, bar], []]
    matches = [
        match_frame(f"{i}", estimates, true, references, camera)
        for i, (estimates, true) in enumerate(zip(said, truths, strict=True))
    ]
    assert {m.outcome for mine in matches for m in mine} == set(Outcome)
    return matches


def test_matches_come_back_as_they_were(frames):
    judgements = Judgements.of((f"{i}", Judgement(mine, {})) for i, mine in enumerate(frames))
    expected = [match for mine in frames for match in mine]
    for found, match in zip(judgements.matches(), expected, strict=True):
        assert_same(found, match)
    assert len(judgements) == 4 and judgements.frames == ("0", "1", "2", "3")
    cubes = [match for match in expected if match.name == "cube"]
    for found, match in zip(judgements.matches("cube"), cubes, strict=True):
        assert_same(found, match)
    assert list(judgements.matches("teapot")) == []


def test_columns_say_what_matches_say(frames):
    expected = [match for mine in frames for match in mine]
    judgements = judged_matches(expected)
    assert judgements.is_estimate.tolist() == [m.is_estimate for m in expected]
    for outcome in Outcome:
        assert judgements.has(outcome).tolist() == [m.outcome is outcome for m in expected]
    for limit in (0.0, 0.2, 0.4, 1.0):
        assert judgements.is_target(limit).tolist() == [m.is_target(limit) for m in expected]


def test_some_of_the_frames(estimate, missed):
    judgements = judged(
        [
            Judgement([estimate(), estimate("bar")], {"cube": 0.5}),
            Judgement([missed()], {"cube": 0.6, "bar": 0.7}),
            Judgement([], {}),
            Judgement([estimate(relative=0.3)], {"bar": 0.8}),
        ]
    )
    some = judgements.select(np.array([False, True, True, True]))
    assert [m.outcome for m in some.matches()] == [Outcome.MISSED, Outcome.WRONG]
    assert [m.candidates for m in some.matches()] == [{}, {0: 0.3}]
    assert some.masks["iou"].tolist() == [0.6, 0.7, 0.8]


def test_nothing_at_all():
    judgements = judged([])
    assert len(judgements) == 0 and list(judgements.matches()) == []
    assert judgements.is_target(0.4).size == judgements.masks.size == 0


def test_a_match_takes_some_170_bytes(estimate):
    judgements = judged([Judgement([estimate()], {})] * 50)
    assert judgements.rows.nbytes + judgements.candidates.nbytes < 50 * 180

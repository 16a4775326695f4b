"""What the estimates really lie on."""

import dataclasses

import numpy as np
import pytest

from casapose_ros.evaluation.matching import match_frame
from casapose_ros.evaluation.statistics.confusion import MISSED, NONE, confusion
from casapose_ros.geometry import rotation_from_vector

NAMES = ("cube", "bar")


@pytest.fixture
def confuse(references, camera):
    """The confusion of some frames of (estimates, truths)."""

    def run(*frames):
        judged = [
            (match_frame(f"{i}", estimates, truths, references, camera), truths, camera)
            for i, (estimates, truths) in enumerate(frames)
        ]
        return confusion(judged, references, NAMES, 0.4)

    return run


def test_right_estimates_are_on_the_diagonal(confuse, true_object, estimate_of):
    cube, bar = true_object("cube", x=-0.1), true_object("bar", x=0.1)
    result = confuse(([estimate_of(cube), estimate_of(bar)], [cube, bar]), ([], [bar]))
    assert result.rows == ("cube", "bar", NONE) and result.columns == ("cube", "bar", MISSED)
    np.testing.assert_array_equal(result.counts, [[1, 0, 0], [0, 1, 1], [0, 0, 0]])
    assert result.ignored.tolist() == [0, 0]


def test_a_bar_that_is_called_a_cube(confuse, true_object, estimate_of):
    bar = true_object("bar")
    result = confuse(([estimate_of(bar, name="cube")], [bar]))
    np.testing.assert_array_equal(result.counts, [[0, 0, 0], [1, 0, 0], [0, 0, 0]])


def test_an_estimate_on_nothing(confuse, true_object, estimate_of):
    cube = true_object("cube")
    result = confuse(([estimate_of(cube, shift=(0.3, 0, 0))], [cube]))
    np.testing.assert_array_equal(result.counts, [[0, 0, 1], [0, 0, 0], [1, 0, 0]])


def test_the_circle_is_half_a_diameter_wide(confuse, true_object, estimate_of, references):
    bar = true_object("bar")
    radius = references["bar"].model.diameter / 2
    for part, row in ((0.98, 1), (1.02, 2)):
        result = confuse(([estimate_of(bar, shift=(0, part * radius, 0), name="cube")], [bar]))
        assert result.counts[row, 0] == 1


def test_a_wrong_rotation_still_lies_on_its_object(confuse, true_object, estimate_of):
    cube = true_object("cube")
    turned = estimate_of(cube, turn=rotation_from_vector([1.5, 0, 0]))
    np.testing.assert_array_equal(confuse(([turned], [cube])).counts[0], [1, 0, 0])


def test_the_own_name_goes_before_the_nearer_object(confuse, true_object, estimate_of):
    cube, bar = true_object("cube", x=0.0), true_object("bar", x=0.07)
    between = estimate_of(cube, shift=(0.05, 0, 0))
    np.testing.assert_array_equal(confuse(([between], [cube, bar])).counts[0], [1, 0, 0])


def test_each_true_object_is_taken_once_and_the_right_estimate_takes_it(
    confuse, true_object, estimate_of
):
    bar = true_object("bar")
    estimates = [
        estimate_of(bar, name="cube", score=0.99),
        estimate_of(bar, score=0.2),
        estimate_of(bar, shift=(0.05, 0, 0), score=0.1),
    ]
    np.testing.assert_array_equal(
        confuse((estimates, [bar])).counts, [[0, 0, 0], [0, 1, 0], [1, 1, 0]]
    )


def test_estimates_on_hidden_objects_are_ignored(confuse, true_object, estimate_of):
    hidden = true_object("bar", visibility=0.2)
    result = confuse(([estimate_of(hidden), estimate_of(hidden, name="cube")], [hidden]))
    assert result.counts.sum() == 1, "the second one lies on nothing that is left"
    assert result.ignored.tolist() == [0, 1]


def test_objects_the_model_does_not_know_are_nothing(confuse, true_object, estimate_of):
    stranger = dataclasses.replace(true_object(), name="teapot")
    result = confuse(([estimate_of(true_object())], [stranger]))
    np.testing.assert_array_equal(result.counts, [[0, 0, 0], [0, 0, 0], [1, 0, 0]])


@pytest.mark.parametrize("t", [(np.nan, 0, 1), (0, 0, -0.6), (0, 0, 0)])
def test_what_cannot_be_seen_lies_on_nothing(confuse, true_object, estimate_of, t):
    cube = true_object("cube")
    broken = dataclasses.replace(estimate_of(cube), t_cam_obj=np.array(t, dtype=float))
    np.testing.assert_array_equal(
        confuse(([broken], [cube])).counts, [[0, 0, 1], [0, 0, 0], [1, 0, 0]]
    )


@pytest.mark.parametrize("seed", range(5))
def test_every_target_and_every_estimate_is_counted_once(confuse, true_object, estimate_of, seed):
    rng = np.random.default_rng(seed)
    frames, targets, said = [], np.zeros(2, int), np.zeros(2, int)
    for _ in range(30):
        truths = [
            true_object(rng.choice(NAMES), rng.uniform(-0.2, 0.2), visibility=rng.uniform())
            for _ in range(rng.integers(0, 5))
        ]
        estimates = [
            estimate_of(
                true_object("cube", rng.uniform(-0.2, 0.2)),
                name=rng.choice(NAMES),
                score=rng.uniform(),
            )
            for _ in range(rng.integers(0, 5))
        ]
        frames.append((estimates, truths))
        targets += [sum(t.name == n and t.visibility >= 0.4 for t in truths) for n in NAMES]
        said += [sum(e.name == n for e in estimates) for n in NAMES]
    result = confuse(*frames)
    np.testing.assert_array_equal(result.counts[:2].sum(axis=1), targets)
    np.testing.assert_array_equal(result.counts[:, :2].sum(axis=0) + result.ignored, said)


def test_no_frames(confuse):
    assert confuse().counts.tolist() == [[0] * 3] * 3

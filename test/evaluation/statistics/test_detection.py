"""Precision, recall and average precision."""

import dataclasses
import math

import numpy as np
import pytest
from judged_frames import judged_matches

from casapose_ros.evaluation.matching import Match, Outcome, match_frame
from casapose_ros.evaluation.statistics.detection import IGNORED_BELOW, THRESHOLDS, detect
from casapose_ros.evaluation.summary import TOTAL


@pytest.fixture
def match_frame_of(references, camera):
    return lambda estimates, truths: match_frame("0", estimates, truths, references, camera)


def cube_of(matches):
    return detect(judged_matches(matches), ["cube"], 0.4).objects[0]


def frames(*matches):
    """The same matches, each in an image of its own."""
    return [dataclasses.replace(match, frame=f"{i}") for i, match in enumerate(matches)]


def test_the_thresholds_are_the_fields():
    np.testing.assert_allclose(THRESHOLDS, np.arange(0.05, 0.501, 0.05))


def test_all_right_is_one(estimate):
    cube = cube_of(frames(*(estimate(relative=0.01, score=s) for s in (0.2, 0.9, 0.5))))
    assert cube.precision == cube.recall == cube.average_precision == 1
    assert cube.mean_average_precision == 1


def test_average_precision_by_hand(estimate, missed, absent):
    """Right, wrong, right; one target is missed: precisions 1, 1/2, 2/3 at recalls 1/4, 1/4, 2/4.

    The wrong pose answers for the fourth target.
    """
    matches = frames(
        estimate(score=0.9), estimate(relative=0.7, score=0.8), estimate(score=0.7), missed()
    )
    cube = cube_of(matches)
    np.testing.assert_allclose(cube.curve.recall, [1 / 4, 1 / 4, 2 / 4])
    np.testing.assert_allclose(cube.curve.precision, [1, 1 / 2, 2 / 3])
    np.testing.assert_allclose(cube.curve.scores, [0.9, 0.8, 0.7])
    assert cube.average_precision == pytest.approx(1 / 4 * 1 + 1 / 4 * 2 / 3)
    assert (cube.targets, cube.estimates) == (4, 3)
    assert cube.precision == pytest.approx(2 / 3) and cube.recall == 2 / 4


def test_precision_is_interpolated(estimate, absent):
    """A false positive in front costs; one behind the last right estimate does not."""
    behind = cube_of(frames(estimate(score=0.9), absent(score=0.1)))
    before = cube_of(frames(estimate(score=0.1), absent(score=0.9)))
    assert behind.average_precision == 1 and before.average_precision == 0.5
    assert behind.precision == before.precision == 0.5


def test_each_threshold_has_its_own_average_precision(estimate):
    cube = cube_of(frames(estimate(relative=0.12), estimate(relative=0.32, score=0.8)))
    np.testing.assert_allclose(cube.average_precisions, [0, 0, *[0.5] * 4, *[1] * 4])
    assert cube.mean_average_precision == pytest.approx((4 * 0.5 + 4 * 1) / 10)


def test_an_error_at_the_threshold_is_too_large(estimate):
    assert cube_of([estimate(relative=0.1)]).average_precision == 0


def test_equal_scores_enter_together_whatever_their_order(estimate, absent):
    matches = frames(*[estimate(score=0.5)] * 3, *[absent(score=0.5)] * 2)
    for order in (matches, matches[::-1]):
        cube = cube_of(order)
        assert cube.average_precision == pytest.approx(3 / 5) and len(cube.curve.recall) == 1


def test_hidden_objects_are_no_targets_and_their_estimates_do_not_count(estimate, missed):
    hidden = [
        estimate(relative=0.01, visibility=0.2),
        estimate(relative=IGNORED_BELOW - 0.01, visibility=0.2),
        missed(visibility=0.3),
    ]
    cube = cube_of(frames(estimate(), *hidden))
    assert (cube.targets, cube.estimates, cube.ignored) == (1, 1, 2)
    assert cube.precision == cube.recall == cube.mean_average_precision == 1


def test_an_estimate_elsewhere_than_the_hidden_object_is_wrong(estimate):
    cube = cube_of(frames(estimate(score=0.5), estimate(relative=0.6, score=0.9, visibility=0.2)))
    assert (cube.estimates, cube.ignored) == (2, 0)
    assert cube.average_precision == 0.5


def test_a_second_estimate_of_one_object_is_wrong(match_frame_of, true_object, estimate_of):
    truth = true_object()
    pair = [estimate_of(truth, score=0.9), estimate_of(truth, score=0.5)]
    cube = cube_of(match_frame_of(pair, [truth]))
    assert (cube.targets, cube.estimates, cube.precision) == (1, 2, 0.5)
    assert cube.average_precision == 1, "the better one comes first"


def test_at_a_strict_threshold_the_more_accurate_estimate_finds_the_target(
    match_frame_of, true_object, estimate_of
):
    """At 10 % the first claims the object; at 5 % it is wrong, and the second finds it."""
    truth = true_object()
    diameter = 0.1 * math.sqrt(3)
    rough = estimate_of(truth, shift=(0.08 * diameter, 0, 0), score=0.9)
    fine = estimate_of(truth, shift=(0.02 * diameter, 0, 0), score=0.5)
    cube = cube_of(match_frame_of([rough, fine], [truth]))
    np.testing.assert_allclose(cube.average_precisions, [0.5] + [1] * 9)


def test_two_instances_of_which_one_is_hidden(match_frame_of, true_object, estimate_of):
    seen, hidden = true_object(x=-0.15), true_object(x=0.15, visibility=0.2)
    estimates = [estimate_of(hidden, score=0.9), estimate_of(seen, score=0.3)]
    cube = cube_of(match_frame_of(estimates, [hidden, seen]))
    assert (cube.targets, cube.estimates, cube.ignored) == (1, 1, 1)
    assert cube.mean_average_precision == 1


def test_what_is_no_pose_is_wrong_and_a_score_that_is_no_number_comes_last(
    match_frame_of, true_object, estimate_of
):
    truth = true_object()
    nowhere = dataclasses.replace(estimate_of(truth, score=0.9), t_cam_obj=np.full(3, np.nan))
    cube = cube_of(match_frame_of([nowhere, estimate_of(truth, score=0.5)], [truth]))
    assert cube.average_precision == 0.5
    estimates = [estimate_of(truth, shift=(0.4, 0, 0), score=np.nan), estimate_of(truth, score=0.1)]
    assert cube_of(match_frame_of(estimates, [truth])).average_precision == 1


def test_the_total_is_the_mean_over_objects_that_were_asked_for(estimate, absent):
    matches = frames(estimate("cube"), estimate("bar", relative=0.7), absent("cup", score=0.95))
    detection = detect(judged_matches(matches), ["cube", "bar", "cup"], 0.4)
    cube, bar, cup, total = detection.objects
    assert total is detection.total and total.name == TOTAL
    assert (cube.average_precision, bar.average_precision, total.average_precision) == (1, 0, 0.5)
    assert math.isnan(cup.average_precision) and math.isnan(cup.recall) and cup.precision == 0
    assert (total.targets, total.estimates) == (2, 3)
    assert total.precision == pytest.approx(1 / 3) and total.recall == 0.5
    assert len(total.curve.recall) == 2  # 0.95, and two at 0.9


def test_nothing_said_or_nothing_asked(missed):
    silent = cube_of([missed()])
    assert silent.average_precision == 0 and silent.recall == 0 and math.isnan(silent.precision)
    empty = detect(judged_matches([]), ["cube"], 0.4)
    assert math.isnan(empty.total.average_precision) and empty.total.targets == 0
    assert detect(judged_matches([]), [], 0.4).total.curve.recall.size == 0


def test_matches_without_candidates_are_refused(estimate):
    match = estimate()
    bare = Match("0", "cube", Outcome.CORRECT, 0.9, 1.0, match.errors, truth=0)
    with pytest.raises(ValueError, match="without its candidates"):
        cube_of([bare])


def brute_force(images, min_visibility, threshold):
    """Average precision by going through all accepted scores one by one, straight from its text."""
    levels = sorted({score for image in images for score, _ in image[1]}, reverse=True)
    points, targets = [], sum(v >= min_visibility for vs, _ in images for v in vs)
    for level in levels:
        right = wrong = 0
        for visibilities, estimates in images:
            claimed = set()
            for score, errors in sorted(estimates, key=lambda e: -e[0]):
                if score < level:
                    break
                options = [
                    (errors[t], t)
                    for t, v in enumerate(visibilities)
                    if v >= min_visibility and t not in claimed and errors[t] < threshold
                ]
                if options:
                    claimed.add(min(options)[1])
                    right += 1
                elif not any(
                    v < min_visibility and errors[t] < IGNORED_BELOW
                    for t, v in enumerate(visibilities)
                ):
                    wrong += 1
        if right + wrong:
            points.append((right / targets, right / (right + wrong)))
    area, grid = 0.0, sorted({0.0, *(recall for recall, _ in points)})
    for low, high in zip(grid, grid[1:], strict=False):
        area += (high - low) * max(p for r, p in points if r >= high)
    return area


@pytest.mark.parametrize("seed", range(20))
def test_against_brute_force(estimate, missed, seed):
    rng = np.random.default_rng(seed)
    images, matches = [], []
    for i in range(12):
        visibilities = rng.uniform(0, 1, rng.integers(0, 4)).tolist()
        estimates = [
            (round(rng.uniform(), 1), rng.gamma(1, 0.2, len(visibilities)).tolist())
            for _ in range(rng.integers(0, 5))
        ]
        # No two equal scores in one image: who chooses first among them is not defined.
        estimates = list({score: (score, errors) for score, errors in estimates}.values())
        images.append((visibilities, estimates))
        for truth, visibility in enumerate(visibilities):
            matches.append(missed(visibility=visibility, frame=f"{i}", truth=truth))
        for score, errors in estimates:
            match = estimate(relative=1.0, score=score, frame=f"{i}")
            near = dict(enumerate(errors))
            matches.append(dataclasses.replace(match, visibility=None, truth=None, candidates=near))
    cube = cube_of(matches)
    expected = [brute_force(images, 0.4, threshold) for threshold in THRESHOLDS]
    np.testing.assert_allclose(cube.average_precisions, expected, atol=1e-12)

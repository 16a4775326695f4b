"""Confidence intervals over frames."""

import math

import numpy as np
import pytest
from judged_frames import judged

from casapose_ros.evaluation.matching import Judgement
from casapose_ros.evaluation.statistics import bootstrap
from casapose_ros.evaluation.statistics.bootstrap import MEASURES, RunSums, intervals, replicate
from casapose_ros.evaluation.summary import TOTAL, summarise


def interval_of(judgements, measure, name=TOTAL, seed=0, **options):
    rng = np.random.default_rng(seed)
    return intervals(judged(judgements), ["cube", "bar"], 0.4, rng, **options).of(name, measure)


@pytest.fixture
def random_run(estimate, missed, absent):
    """Frames with anything in them, some with nothing."""

    def make(frames=40, seed=1):
        rng = np.random.default_rng(seed)
        judgements = []
        for _ in range(frames):
            matches = []
            for name in ("cube", "bar"):
                relative, rotation, translation = rng.gamma(1, 0.08), *rng.gamma(1, (3, 0.03))
                errors = {"rotation": rotation, "translation": translation}
                errors |= {"keypoints": rng.gamma(2, 2), "projection": rng.gamma(2, 2)}
                matches += [
                    [estimate(name, relative, visibility=rng.uniform(0.2, 1), **errors)],
                    [missed(name)],
                    [absent(name)],
                    [],
                ][rng.choice(4, p=[0.6, 0.1, 0.1, 0.2])]
            judgements.append(Judgement(matches, {m.name: rng.uniform() for m in matches[:1]}))
        return judgements

    return make


def test_the_sums_of_the_frames_are_the_summaries(random_run):
    judgements = random_run()
    sums = RunSums(judged(judgements), ("cube", "bar"), 0.4)
    for summary in summarise(judged(judgements), ["cube", "bar"], 0.4):
        for measure in MEASURES:
            value = sums[summary.name].value(measure)
            assert value == pytest.approx(getattr(summary, measure)), (summary.name, measure)


def test_a_replicate_is_the_summary_of_the_frames_drawn(random_run):
    """Brute force: the same draws, each frame as often as it was drawn."""
    judgements, seed, resamples = random_run(), 5, 30
    sums = RunSums(judged(judgements), ("cube", "bar"), 0.4)
    (replicates,) = replicate([sums], resamples, np.random.default_rng(seed))
    rng = np.random.default_rng(seed)
    for draw in range(resamples):
        drawn = [judgements[i] for i in rng.integers(len(judgements), size=len(judgements))]
        for summary in summarise(judged(drawn), ["cube", "bar"], 0.4):
            for measure in MEASURES:
                expected = getattr(summary, measure)
                assert replicates[summary.name][measure][draw] == pytest.approx(expected)


@pytest.mark.parametrize("size", [1, 2, 7, 500, 4000])
def test_medians_of_any_number_of_errors_are_exact(size):
    """Also where the medians of the draws spread further than the first window."""
    rng = np.random.default_rng(size)
    frames = rng.integers(6, size=size)
    errors = np.sort(rng.gamma(1, 1, size))
    counts = rng.multinomial(6, [1 / 6] * 6, size=50).T.astype(float)
    medians = bootstrap._medians(errors, frames, counts)
    for draw, median in zip(counts.T, medians, strict=True):
        sample = np.repeat(errors, draw[frames].astype(int))
        expected = np.median(sample) if sample.size else np.nan
        np.testing.assert_equal(median, expected)


def test_the_interval_of_a_share_is_as_wide_as_theory_says(estimate):
    judgements = [Judgement([estimate(relative=0.5 * (i % 5 == 0))], {}) for i in range(400)]
    interval = interval_of(judgements, "recall_add_10", resamples=4000)
    half = 1.96 * math.sqrt(0.8 * 0.2 / 400)
    assert (interval.low, interval.high) == pytest.approx((0.8 - half, 0.8 + half), abs=0.005)
    narrower = interval_of(judgements, "recall_add_10", resamples=4000, level=0.5)
    assert narrower.high - narrower.low == pytest.approx(2 * 0.674 / 1.96 * half, abs=0.005)


def test_objects_that_fail_together_count_once(estimate):
    """Eight targets per frame that share its luck say no more than one."""
    one = [Judgement([estimate(relative=0.5 * (i % 5 == 0))], {}) for i in range(100)]
    eight = [Judgement(judgement.matches * 8, {}) for judgement in one]
    assert interval_of(one, "recall_add_10") == interval_of(eight, "recall_add_10")


@pytest.mark.parametrize("measure", ["recall_add_10", "mean_keypoints", "median_rotation"])
def test_the_interval_contains_the_truth_as_often_as_it_says(estimate, measure):
    rng = np.random.default_rng(3)
    truth = {"recall_add_10": 0.7, "mean_keypoints": 1.0, "median_rotation": math.log(2)}[measure]
    hits = 0
    for _ in range(200):
        judgements = [
            Judgement(
                [
                    estimate(
                        relative=0.5 * (rng.uniform() > 0.7),
                        keypoints=rng.exponential(),
                        rotation=rng.exponential(),
                    )
                ],
                {},
            )
            for _ in range(60)
        ]
        values = intervals(judged(judgements), [], 0.4, rng, level=0.9, resamples=200)
        interval = values.of(TOTAL, measure)
        hits += interval.low <= truth <= interval.high
    assert 0.83 < hits / 200 < 0.95  # 0.9, less a little for 60 frames


@pytest.mark.parametrize("frames", [2, 20, 500])
def test_all_right_or_all_wrong_is_not_certain(estimate, missed, frames):
    """Clopper and Pearson's lower end for n of n is 0.025^(1/n)."""
    limit = 0.025 ** (1 / frames)
    right = [Judgement([estimate(), estimate("bar")], {}) for _ in range(frames)]
    interval = interval_of(right, "recall_add_10")
    assert (interval.low, interval.high) == pytest.approx((limit, 1))
    wrong = [Judgement([missed()], {}) for _ in range(frames)]
    interval = interval_of(wrong, "recall_add_10")
    assert (interval.low, interval.high) == pytest.approx((0, 1 - limit))
    interval = interval_of(right, "absent_rate")
    assert (interval.low, interval.high) == pytest.approx((0, 1 - limit))


@pytest.mark.parametrize("frames", [0, 1])
def test_one_frame_does_not_show_how_frames_differ(estimate, frames):
    judgements = [Judgement([estimate(), estimate(relative=0.5)], {"cube": 0.5})] * frames
    for measure in MEASURES:
        interval = interval_of(judgements, measure)
        assert math.isnan(interval.low) and math.isnan(interval.high), measure


def test_only_frames_that_show_the_object_count_for_it(estimate):
    judgements = [Judgement([estimate("cube")], {}) for _ in range(50)]
    judgements.append(Judgement([estimate("bar")], {}))
    assert math.isnan(interval_of(judgements, "recall_add_10", "bar").low)
    low = 0.025 ** (1 / 50)
    assert interval_of(judgements, "recall_add_10", "cube").low == pytest.approx(low)


def test_a_rare_object_may_be_missing_from_a_draw(estimate):
    judgements = [Judgement([], {}) for _ in range(30)]
    for relative, rotation in ((0.0, 1.0), (0.5, 3.0)):
        judgements.append(Judgement([estimate("bar", relative, rotation=rotation)], {}))
    interval = interval_of(judgements, "recall_add_10", "bar")
    assert (interval.low, interval.high) == (0, 1)
    interval = interval_of(judgements, "median_rotation", "bar")
    assert (interval.low, interval.high) == (1, 3)


def test_errors_of_a_run_that_finds_nothing_are_unknown(missed):
    judgements = [Judgement([missed()], {}) for _ in range(10)]
    for measure in ("median_rotation", "mean_keypoints", "mean_mask_iou", "wrong_rate"):
        assert math.isnan(interval_of(judgements, measure).low), measure


def test_the_seed_decides_and_the_batches_do_not(random_run, monkeypatch):
    judgements = random_run()
    whole = interval_of(judgements, "median_rotation", resamples=100)
    monkeypatch.setattr(bootstrap, "BATCH", 7 * len(judgements))
    assert interval_of(judgements, "median_rotation", resamples=100) == whole
    assert interval_of(judgements, "median_rotation", resamples=100, seed=1) != whole


def test_what_has_no_interval_is_unknown(estimate):
    judgements = [Judgement([estimate()], {})] * 5
    assert math.isnan(interval_of(judgements, "targets").low)
    assert math.isnan(interval_of(judgements, "recall_add_10", name="teapot").low)

"""Two runs side by side, with outcomes that can be counted by hand."""

import dataclasses
import json
import math

import numpy as np
import pytest
from evaluated_folders import MISSED, write_run
from scipy.stats import binom

from casapose_ros.errors import ConfigError, DatasetError
from casapose_ros.evaluation.comparison.comparing import compare
from casapose_ros.evaluation.comparison.figures import FIGURES, MEASURES
from casapose_ros.evaluation.comparison.runs import read_run
from casapose_ros.evaluation.comparison.significance import holm
from casapose_ros.evaluation.summary import TOTAL

RIGHT, WRONG = 0.004, 0.06


@pytest.fixture
def comparison_of(tmp_path):
    """Compare two lists of shifts; options of the second run."""

    def run(before, after, resamples=300, **options):
        first = write_run(tmp_path / "a", before)
        second = write_run(tmp_path / "b", after, model="two", **options)
        runs = read_run(first), read_run(second)
        return compare(*runs, np.random.default_rng(0), resamples=resamples)

    return run


def change_of(comparison, key, name=TOTAL):
    (changes,) = (o.changes for o in comparison.objects if o.name == name)
    (change,) = (c for c in changes if c.figure is FIGURES[key])
    return change


def cubes(*shifts):
    return [{"cube": shift} for shift in shifts]


def test_a_run_and_itself_do_not_differ(comparison_of):
    shifts = [{"cube": RIGHT, "block": WRONG}, {"cube": MISSED}, {}, {"block": 0.3, "cube": 0.01}]
    comparison = comparison_of(shifts, shifts)
    assert comparison.frames == 4 and comparison.left_out == (0, 0)
    assert comparison.worse == comparison.better == ()
    for changes in comparison.objects:
        for change in changes.changes:
            assert change.difference == 0 or math.isnan(change.before), change.figure
            assert change.p_value == 1 or math.isnan(change.p_value), change.figure
    interval = change_of(comparison, "add").interval
    assert (interval.low, interval.high) == (0, 0)


def test_shares_by_hand(comparison_of):
    """Eight frames got worse, one got better, eleven stayed: McNemar's p is 20 / 512."""
    before = cubes(*[RIGHT] * 8, WRONG, *[RIGHT] * 11)
    after = cubes(*[WRONG] * 8, RIGHT, *[RIGHT] * 11)
    change = change_of(comparison_of(before, after, resamples=4000), "add")
    assert (change.before, change.after) == (pytest.approx(19 / 20), pytest.approx(12 / 20))
    assert change.p_value == pytest.approx(2 * binom.cdf(1, 9, 0.5)) == pytest.approx(20 / 512)
    assert change.worsening == pytest.approx(35)
    # The differences are -1 eight times and +1 once: their mean has this standard error.
    half = 1.96 * np.std([-1] * 8 + [1] + [0] * 11) / np.sqrt(20)
    assert change.interval.low == pytest.approx(-0.35 - half, abs=0.03)
    assert change.interval.high == pytest.approx(-0.35 + half, abs=0.03)


def test_p_values_are_corrected_apart_for_the_total_and_for_the_objects(comparison_of):
    before = [{"cube": RIGHT, "block": RIGHT}] * 8
    after = [{"cube": WRONG, "block": RIGHT}] * 7 + before[:1]
    *single, total = comparison_of(before, after).objects
    for objects in (single, [total]):
        changes = [change for one in objects for change in one.changes]
        corrected = [change.corrected for change in changes]
        np.testing.assert_array_equal(corrected, holm([change.p_value for change in changes]))
        assert np.nanmin(corrected) > np.nanmin([change.p_value for change in changes])


def test_objects_of_one_frame_are_one_witness(comparison_of):
    """Both objects got worse in each of five frames: five changes, not ten."""
    before = [{"cube": RIGHT, "block": RIGHT}] * 5
    after = [{"cube": WRONG, "block": WRONG}] * 5
    comparison = comparison_of(before, after)
    for name in ("cube", "block", TOTAL):
        assert change_of(comparison, "add", name).p_value == pytest.approx(2 / 2**5)


def test_gains_and_losses_within_a_frame_cancel(comparison_of):
    before, after = [{"cube": RIGHT, "block": WRONG}] * 6, [{"cube": WRONG, "block": RIGHT}] * 6
    comparison = comparison_of(before, after)
    assert change_of(comparison, "add").p_value == 1 and comparison.worse == ()
    assert change_of(comparison, "add", "cube").worsening == 100
    assert change_of(comparison, "add", "block").worsening == -100


def test_errors_by_hand(comparison_of):
    """All six translation errors grew: two of the 64 signs are as extreme."""
    before, after = cubes(*[0.004] * 6), cubes(*(0.005 + 0.001 * i for i in range(6)))
    comparison = comparison_of(before, after)
    change = change_of(comparison, "translation")
    assert (change.before, change.after) == (pytest.approx(0.004), pytest.approx(0.0075))
    assert change.p_value == pytest.approx(2 / 64)
    assert change.worsening == pytest.approx(3.5)
    assert 0 < change.interval.low < 0.0035 < change.interval.high
    assert change_of(comparison, "auc").p_value == pytest.approx(2 / 64)
    assert change_of(comparison, "iou").p_value == pytest.approx(2 / 64)


def test_errors_are_paired_over_what_both_found(comparison_of):
    """The second run's median falls as it misses the hard ones; the test is not fooled."""
    before = cubes(0.001, 0.002, 0.003, 0.010, 0.012)
    after = cubes(0.001, 0.002, 0.003, MISSED, MISSED)
    change = change_of(comparison_of(before, after), "translation")
    assert change.after < change.before and change.p_value == 1


def test_differences_are_paired(comparison_of):
    """Frames are hard or easy for both runs alike, which tells nothing about their difference."""
    rng = np.random.default_rng(0)
    hard = rng.uniform(size=60) < 0.5
    before = cubes(*np.where(hard, WRONG, RIGHT))
    after = cubes(*np.where(hard, 0.1, RIGHT))
    interval = change_of(comparison_of(before, after), "add").interval
    assert (interval.low, interval.high) == (0, 0)


def test_false_positives_are_compared(comparison_of):
    """Each wrong pose of the first run is a missed object of the second."""
    comparison = comparison_of(cubes(*[WRONG] * 6, RIGHT), cubes(*[MISSED] * 6, RIGHT))
    change = change_of(comparison, "wrong")
    assert (change.before, change.after) == (pytest.approx(6 / 7), 0)
    assert change.p_value == pytest.approx(2 / 64, abs=0.006) and change.worsening < 0


def test_shares_of_estimates_are_tested_as_shares(comparison_of):
    """As many wrong ones in every frame, of fewer estimates: only the share shows it."""
    before = [{"cube": RIGHT, "block": WRONG}] * 10
    after = [{"cube": MISSED, "block": WRONG}] * 10
    change = change_of(comparison_of(before, after), "wrong")
    assert (change.before, change.after) == (0.5, 1)
    assert change.p_value == pytest.approx(2 / 2**10, abs=0.002)


def test_the_order_of_the_lines_does_not_matter(tmp_path):
    """Processes write their frames as they are done."""
    generator = np.random.default_rng(1)
    before, after = (cubes(*generator.choice([RIGHT, WRONG], 30)) for _ in range(2))
    first, second = (read_run(write_run(tmp_path / n, s)) for n, s in (("a", before), ("b", after)))
    other = dataclasses.replace(first, frames=dict(reversed(first.frames.items())))
    one, two = (compare(run, second, rng(), resamples=50) for run in (first, other))
    assert str(one.objects) == str(two.objects)  # NaN is not equal to itself
    assert (one.worse, one.better) == (two.worse, two.better)


def test_a_run_that_finds_nothing_has_no_errors(comparison_of):
    comparison = comparison_of(cubes(*[RIGHT] * 5), cubes(*[MISSED] * 5))
    change = change_of(comparison, "translation")
    assert math.isnan(change.after) and math.isnan(change.p_value)
    assert math.isnan(change.interval.low) and math.isnan(change.worsening)
    assert change_of(comparison, "add").difference == -1


def test_an_object_that_is_nowhere_is_unknown(comparison_of):
    comparison = comparison_of(cubes(RIGHT, WRONG), cubes(RIGHT, RIGHT))
    for key in (figure.key for figure in MEASURES.values()):
        change = change_of(comparison, key, "block")
        assert math.isnan(change.before) and math.isnan(change.p_value), key


def test_only_common_frames_count(comparison_of):
    """Before: frames 0 to 3. After: frames 2 to 6."""
    before, after = cubes(WRONG, WRONG, RIGHT, RIGHT), cubes(RIGHT, WRONG, WRONG, WRONG, WRONG)
    comparison = comparison_of(before, after, first_frame=2)
    assert comparison.frames == 2 and comparison.left_out == (2, 3)
    change = change_of(comparison, "add")
    assert (change.before, change.after) == (1, 0.5)
    assert comparison.worse == (("000003", 1),) and comparison.total.targets == 2
    assert comparison.others == (), "figures of whole reports are about other frames"


def test_the_frames_that_changed_most(comparison_of):
    both = {"cube": RIGHT, "block": RIGHT}
    before = [{"cube": RIGHT}, both, {"cube": MISSED}, both]
    after = [{"cube": WRONG}, {"cube": WRONG, "block": MISSED}, {"cube": RIGHT}, both]
    comparison = comparison_of(before, after)
    assert comparison.worse == (("000001", 2), ("000000", 1))
    assert comparison.better == (("000002", 1),)


def test_figures_of_the_reports(comparison_of):
    comparison = comparison_of(cubes(RIGHT, RIGHT), cubes(RIGHT, MISSED), seconds=0.2)
    others = {change.figure.key: change for change in comparison.others}
    assert list(others) == ["map", "ece", "time"]
    assert (others["map"].before, others["map"].after) == (1, 0.5)
    assert others["time"].worsening == pytest.approx(100)
    assert all(math.isnan(change.p_value) for change in others.values())


def test_average_recalls_with_and_without_vsd_are_two_things(tmp_path):
    runs = []
    for name, without_vsd in (("a", ""), ("b", "no depth"), ("c", "no depth at all")):
        folder = write_run(tmp_path / name, cubes(RIGHT))
        values = json.loads((folder / "report.json").read_text())
        bop = {"total": {"average_recall": 0.5}, "without_vsd": without_vsd}
        (folder / "report.json").write_text(json.dumps(values | {"bop": bop}))
        runs.append(read_run(folder))
    with_vsd, without, without_too = runs
    keys = [
        [c.figure.key for c in compare(a, without, rng()).others] for a in (with_vsd, without_too)
    ]
    assert "ar" not in keys[0] and "ar" in keys[1]


def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"data": "spheres"}, "the data are boxes/test in the first, spheres/test in the second"),
        ({"min_visibility": 0.3}, "--min-visibility was 0.4 in the first, 0.3 in the second"),
        ({"names": ("cube",)}, "the objects are cube, block in the first, cube in the second"),
        ({"first_frame": 5}, "no frame in common"),
    ],
)
def test_runs_that_cannot_be_compared(comparison_of, tmp_path, options, words):
    with pytest.raises(ConfigError, match=words) as caught:
        comparison_of(cubes(RIGHT, RIGHT), cubes(RIGHT, RIGHT), **options)
    assert str(tmp_path / "a") in str(caught.value) and str(tmp_path / "b") in str(caught.value)


@pytest.mark.parametrize(
    ("after", "options"),
    [
        (cubes(RIGHT, RIGHT), {"hidden": ("cube",)}),
        ([{"cube": RIGHT}, {"cube": RIGHT, "block": RIGHT}], {}),
        ([{"cube": RIGHT}, {"block": RIGHT}], {}),
    ],
)
def test_a_ground_truth_that_changed(comparison_of, after, options):
    frame = "000000" if options else "000001"
    with pytest.raises(DatasetError, match=f"different true objects in frame {frame}"):
        comparison_of(cubes(RIGHT, RIGHT), after, **options)


def test_the_seed_decides(tmp_path):
    generator = np.random.default_rng(1)
    before, after = (cubes(*generator.choice([RIGHT, WRONG], 30)) for _ in range(2))
    runs = [read_run(write_run(tmp_path / n, s)) for n, s in (("a", before), ("b", after))]
    intervals = [
        change_of(compare(*runs, np.random.default_rng(seed), resamples=50), "translation").interval
        for seed in (0, 0, 1)
    ]
    assert intervals[0] == intervals[1] != intervals[2]

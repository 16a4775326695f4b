"""What is worse than allowed."""

import math

import pytest

from casapose_ros.errors import ConfigError
from casapose_ros.evaluation.comparison.figures import FIGURES, Change, Comparison, ObjectChanges
from casapose_ros.evaluation.comparison.regressions import Limit, find_regressions
from casapose_ros.evaluation.statistics.bootstrap import UNKNOWN
from casapose_ros.evaluation.summary import TOTAL


def comparison_of(key, before, after, p_value=0.01, *others):
    change = Change(FIGURES[key], before, after, UNKNOWN, p_value)
    total = ObjectChanges(TOTAL, 10, (change, *others))
    return Comparison("a", "b", ("boxes",), 10, (0, 0), 0.95, (total,), (), (), ())


def judge(key, before, after, allowed, alpha=None, p_value=0.01):
    comparison = comparison_of(key, before, after, p_value)
    return find_regressions(comparison, [Limit.parse(f"{key}={allowed}")], alpha)


@pytest.mark.parametrize(
    ("key", "before", "after", "allowed", "regressed"),
    [
        ("add", 0.90, 0.88, 1.0, True),  # two points
        ("add", 0.90, 0.88, 2.5, False),
        ("add", 0.90, 0.89, 1.0, False),  # exactly what is allowed
        ("add", 0.90, 0.95, 0.0, False),
        ("add", 0.90, 0.8999, 0.0, True),
        ("absent", 0.01, 0.03, 1.0, True),  # more is worse
        ("absent", 0.03, 0.01, 0.0, False),
        ("translation", 0.005, 0.0065, 1.0, True),  # millimetres
        ("rotation", 2.0, 2.4, 0.5, False),  # degrees
        ("iou", 0.9, 0.8, 0.05, True),
        ("time", 0.1, 0.15, 20, True),  # milliseconds
    ],
)
def test_worse_by_more_than_allowed(key, before, after, allowed, regressed):
    assert bool(judge(key, before, after, allowed)) == regressed


def test_the_sentence_says_what_happened():
    (sentence,) = judge("add", 0.913, 0.88, 1.0, p_value=0.0123)
    assert sentence == (
        "ADD 10 % went from 91.30 to 88.00, by 3.30 to the worse (p = 0.012); allowed are 1"
    )


def test_with_alpha_what_may_be_chance_passes():
    assert judge("add", 0.90, 0.80, 1.0, alpha=0.05, p_value=0.2) == []
    assert judge("add", 0.90, 0.80, 1.0, alpha=0.05, p_value=0.05) == []
    assert len(judge("add", 0.90, 0.80, 1.0, alpha=0.05, p_value=0.049)) == 1


def test_a_significant_drop_that_is_small_enough_passes():
    assert judge("add", 0.90, 0.895, 1.0, alpha=0.05, p_value=1e-9) == []


def test_a_figure_that_got_lost_is_a_regression():
    for alpha in (None, 0.05):
        (sentence,) = judge("rotation", 2.0, math.nan, 100, alpha, p_value=math.nan)
        assert "the second run has none" in sentence


def test_what_the_first_run_does_not_know_cannot_be_held():
    with pytest.raises(ConfigError, match="the first run has no rot"):
        judge("rotation", math.nan, 2.0, 1)


def test_what_no_report_has_cannot_be_held():
    with pytest.raises(ConfigError, match="has no BOP AR, or they are about different frames"):
        find_regressions(comparison_of("add", 1, 1), [Limit.parse("ar=1")])


def test_alpha_needs_a_test():
    with pytest.raises(ConfigError, match="no test for ms per image"):
        judge("time", 0.1, 0.2, 1, alpha=0.05, p_value=math.nan)


def test_every_limit_is_looked_at():
    comparison = comparison_of("add", 0.9, 0.5)
    limits = [Limit.parse("add=1"), Limit.parse("ADD=50"), Limit.parse(" add =2")]
    assert len(find_regressions(comparison, limits)) == 2
    assert find_regressions(comparison, []) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ad=1", "there is no figure 'ad'; did you mean"),
        ("zzz=1", "known: add, add20, auc"),
        ("add", "expected FIGURE=AMOUNT"),
        ("add=", "for example add=1.0"),
        ("add=much", "expected FIGURE=AMOUNT"),
        ("add=-1", "from 0 up"),
        ("add=nan", "from 0 up"),
        ("add=inf", "from 0 up"),
        ("", "there is no figure ''"),
    ],
)
def test_bad_limits(text, words):
    with pytest.raises(ConfigError, match=words):
        Limit.parse(text)


def test_the_more_figures_are_limited_the_clearer_a_drop_must_be():
    other = Change(FIGURES["absent"], 0.01, 0.01, UNKNOWN, 0.9)
    comparison = comparison_of("add", 0.9, 0.8, 0.03, other)
    one, two = Limit.parse("add=1"), Limit.parse("absent=1")
    (sentence,) = find_regressions(comparison, [one, one], alpha=0.05)[:1]
    assert "(p = 0.03)" in sentence, "the same limit twice is one figure"
    assert find_regressions(comparison, [one, two], alpha=0.05) == []
    assert len(find_regressions(comparison, [one, two], alpha=0.07)) == 1

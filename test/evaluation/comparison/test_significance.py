"""The tests behind the p-values, on counts whose chances are known."""

import math

import numpy as np
import pytest

from casapose_ros.evaluation.comparison.significance import (
    exact_test,
    holm,
    permutation_test,
    signed_rank_test,
)


@pytest.mark.parametrize("test", [exact_test, signed_rank_test])
def test_no_change_is_no_sign_of_one(test):
    for same in (np.zeros(5), np.zeros(0), np.arange(4.0)):
        assert test(same, same) == 1


@pytest.mark.parametrize("test", [exact_test, signed_rank_test])
def test_chance_is_seldom_taken_for_a_change(test):
    """Of runs that do not differ, about one in twenty has p below 0.05, or fewer."""
    generator = np.random.default_rng(2)
    draws = generator.choice([-1.0, 0, 1], (600, 30)) * generator.uniform(0.5, 1, (600, 30))
    low = np.mean([test(np.zeros(30), draw) < 0.05 for draw in draws])
    assert 0.005 < low < 0.08


def test_rounding_is_no_change():
    """Errors that differ in their last digits, all in one direction."""
    before = np.random.default_rng(0).uniform(1, 2, 50)
    assert signed_rank_test(before, before + 1e-12) == 1
    assert signed_rank_test(before, before * (1 + 1e-6)) < 0.001
    assert signed_rank_test(1e-12 * before, 2e-12 * before) < 0.001, "all is relative"


def test_shares_that_swap_by_hand():
    """Six frames of one estimate each, all wrong before and right after: 2 of 64 are as clear."""
    before, after = (np.stack([np.full(6, n), np.ones(6)], axis=1) for n in (1.0, 0.0))
    p_value = permutation_test(before, after, np.random.default_rng(0))
    assert p_value == pytest.approx(2 / 64, abs=0.006)


def test_more_wrong_ones_of_more_estimates_are_no_change():
    """Twice as many estimates in every frame, of which the same share is wrong."""
    before = np.tile([1.0, 4.0], (30, 1))
    assert permutation_test(before, 2 * before, np.random.default_rng(0)) == 1
    assert exact_test(before[:, 0], 2 * before[:, 0]) < 1e-6, "counts alone would mislead"


def test_swaps_are_seldom_taken_for_a_change():
    generator = np.random.default_rng(4)
    low = 0
    for _ in range(200):
        counts = generator.integers(0, 4, (2, 25))
        runs = [np.stack([generator.binomial(n, 0.3), n], axis=1).astype(float) for n in counts]
        low += permutation_test(*runs, generator, permutations=300) < 0.05
    assert 2 <= low <= 18


def test_a_share_of_nothing_is_unknown():
    some, none = np.tile([1.0, 2.0], (5, 1)), np.zeros((5, 2))
    for pair in ((some, none), (none, some), (none, none), (some[:0], some[:0])):
        assert math.isnan(permutation_test(*pair, np.random.default_rng(0)))


def test_the_seed_decides_and_the_p_value_is_never_zero():
    before, after = np.tile([1.0, 1.0], (60, 1)), np.tile([0.0, 1.0], (60, 1))
    rngs = [np.random.default_rng(seed) for seed in (0, 0)]
    first, second = (permutation_test(before, after, rng, permutations=99) for rng in rngs)
    assert first == second == 1 / 100


def test_holm_by_hand():
    """The example of Holm's step-down: 3 x 0.01, 2 x 0.02, 1 x 0.03, none below the one before."""
    assert holm([0.03, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])
    assert holm([0.6, 0.001]) == pytest.approx([0.6, 0.002])
    assert holm([0.9, 0.9]) == [1, 1] and holm([0.04]) == [0.04] and holm([]) == []


def test_what_was_not_tested_does_not_count():
    first, unknown, second = holm([0.01, math.nan, 0.02])
    assert (first, second) == pytest.approx((0.02, 0.02)) and math.isnan(unknown)


def test_among_many_figures_without_a_change_hardly_any_seems_to_have_one():
    """The family's error is held, also of values that depend on each other."""
    rng = np.random.default_rng(0)
    alone, shared = rng.uniform(size=(4000, 20)), rng.uniform(size=(4000, 1))
    for draws in (alone, np.where(rng.uniform(size=(4000, 20)) < 0.5, shared, alone)):
        any_below = np.mean([min(holm(draw)) < 0.05 for draw in draws])
        assert any_below < 0.06

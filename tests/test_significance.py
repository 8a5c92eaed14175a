"""Intervals, paired tests and their correction, held to scipy and to worked examples."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ragedu.evaluation import bootstrap_interval, holm, paired_test, significance

scores = st.lists(st.floats(0, 1), min_size=1, max_size=40)


def test_the_interval_is_scipys():
    values = np.random.default_rng(1).random(80)
    ours = bootstrap_interval(values)
    theirs = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=10_000, rng=0).confidence_interval
    assert ours.low == pytest.approx(theirs.low, abs=0.005)
    assert ours.high == pytest.approx(theirs.high, abs=0.005)


def test_the_p_value_is_scipys():
    rng = np.random.default_rng(2)
    a, b = rng.random(30) + 0.1, rng.random(30)
    theirs = stats.permutation_test(
        (a, b), lambda x, y, axis: np.mean(x - y, axis=axis), permutation_type="samples", vectorized=True, rng=0
    )
    assert paired_test(a, b).p_value == pytest.approx(theirs.pvalue, abs=0.01)


def test_exact_p_value_of_three_wins():
    # Three wins of the same size: of the 8 ways to toss three coins, 2 (all heads, all tails) are as extreme.
    assert paired_test([1, 1, 1], [0, 0, 0]).p_value == pytest.approx(2 / 8, abs=0.015)


def test_pairing_sees_what_overlapping_intervals_hide():
    """Questions differ far more than systems do; only the paired test can tell that a is always a little better."""
    hard_to_easy = np.linspace(0, 0.9, 50)
    a, b = hard_to_easy + 0.02, hard_to_easy
    assert bootstrap_interval(a).low < bootstrap_interval(b).high
    assert paired_test(a, b).p_value < 0.001


@given(scores)
def test_the_interval_holds_the_mean_and_stays_within_the_scores(values):
    interval = bootstrap_interval(values, resamples=200)
    assert min(values) - 1e-9 <= interval.low <= interval.high <= max(values) + 1e-9


@given(scores)
def test_a_system_does_not_differ_from_itself(values):
    result = paired_test(values, values, resamples=100)
    assert result.difference == 0
    assert result.p_value == 1


def test_differences_that_cancel_each_other_are_no_difference():
    # Added up, these four leave 1e-17, and other signs leave 0: still every toss is at least as large.
    assert paired_test([0.2, 0.63093, -0.63093, -0.2], [0] * 4).p_value == 1


def test_swapping_the_systems_flips_the_sign_only():
    rng = np.random.default_rng(3)
    a, b = rng.random(20), rng.random(20)
    forth, back = paired_test(a, b), paired_test(b, a)
    assert forth.difference == -back.difference
    assert forth.p_value == back.p_value


def test_the_same_seed_gives_the_same_interval():
    assert bootstrap_interval([0, 1, 1, 0.5], seed=4) == bootstrap_interval([0, 1, 1, 0.5], seed=4)


@pytest.mark.parametrize("n", [3, 40, 701])
def test_drawing_in_parts_draws_the_same(n, monkeypatch):
    rng = np.random.default_rng(n)
    a, b = rng.random(n), rng.random(n)
    whole = bootstrap_interval(a, resamples=1000), paired_test(a, b, resamples=1000)
    monkeypatch.setattr(significance, "PART_NUMBERS", 2000)
    assert (bootstrap_interval(a, resamples=1000), paired_test(a, b, resamples=1000)) == whole


def test_holm_by_hand():
    # In order .01, .02, .03, .04: times 4, 3, 2, 1 is .04, .06, .06, .04, and none may be below the one before.
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.6, 0.7]) == [1, 1]
    assert holm([0.03]) == [0.03] and holm([]) == []
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm([0.5, 1.5])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_lies_between_no_correction_and_bonferronis_and_keeps_the_order(p_values):
    corrected = holm(p_values)
    for p, after in zip(p_values, corrected, strict=True):
        assert p <= after <= min(1, len(p_values) * p) + 1e-12
    assert all(
        corrected[i] <= corrected[j]
        for i in range(len(p_values))
        for j in range(len(p_values))
        if p_values[i] < p_values[j]
    )


def test_holm_keeps_its_promise_where_nothing_differs():
    """The chance that any of ten comparisons of equal systems comes out significant is at most 5 %, not 40 %."""
    p_values = np.random.default_rng(5).random((2000, 10))
    assert np.mean((p_values < 0.05).any(axis=1)) > 0.35
    assert np.mean([min(holm(row)) < 0.05 for row in p_values]) == pytest.approx(0.05, abs=0.015)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bootstrap_interval([]), "at least one score"),
        (lambda: bootstrap_interval([0.5, float("nan")]), "numbers only"),
        (lambda: bootstrap_interval([0.5], level=1.5), "between 0 and 1"),
        (lambda: paired_test([1, 2], [1]), "a has 2 scores and b has 1"),
        (lambda: paired_test([[1, 2], [0, 1]], [1, 2]), "a must hold .* one for each question"),
        (lambda: paired_test([1, 2], [[1], [1, 2]]), "b must hold"),
        (lambda: bootstrap_interval(["a"]), "values must hold .* numbers only"),
        (lambda: bootstrap_interval([1, 0], resamples=0), "resamples must be at least 1, not 0"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_scores_by_query_are_not_taken_for_their_ids():
    a, b = {"1": 1.0, "3": 0.0, "5": 1.0}, {"1": 0.0, "3": 0.0, "5": 0.0}
    with pytest.raises(TypeError, match=r"a is a dictionary.*a\.values\(\)"):
        paired_test(a, b)
    with pytest.raises(TypeError, match=r"values\.values\(\)"):
        bootstrap_interval(a)
    assert paired_test(a.values(), b.values()).difference == pytest.approx(2 / 3)

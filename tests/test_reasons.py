"""What the outcomes of all cases say together: an example of each reason, and some where it must be silent."""

import numpy as np
import pytest

from ragedu.learn import check
from ragedu.learn.reasons import common_ground, exact_relation, nothing_computed, reason_of_error, relation

RIGHT = [0.5, 0.75, 2.25, 3.5]


def pairs(came, right=RIGHT):
    return list(zip(came, right, strict=True))


@pytest.mark.parametrize(
    "came, said",
    [
        ([-0.5, -0.75, -2.25, -3.5], "The sign is the wrong way round"),
        ([2, 4 / 3, 4 / 9, 2 / 7], "the fraction is upside down"),
        ([1.0, 1.5, 4.5, 7.0], "2 times the right number"),
        ([1.5, 1.75, 3.25, 4.5], "off by the same +1"),
        ([0.0, 0.0, 0.0, 0.0], "Only zeros come"),
        ([1.0, 1.5, 4.5, 7.1], ""),
    ],
)
def test_a_formula_holds_in_every_case(came, said):
    assert said in exact_relation(pairs(came)) and bool(said) == bool(exact_relation(pairs(came)))


@pytest.mark.parametrize(
    "came, said",
    [
        ([0, 0, 2, 3], "Only whole numbers come"),
        ([100, 300, 200, 900], "Too large wherever it is wrong"),
        ([0.25, 0.125, 2.25, 3.25], "Too small wherever it is wrong"),
        ([-1.0, -1.0, -1.0, 3.5], "there is a -1"),
        ([0.25, 1.0, 2.0, 4.0], ""),
    ],
)
def test_what_the_wrong_numbers_have_in_common(came, said):
    assert said in relation(pairs(came)) and bool(said) == bool(relation(pairs(came)))


@pytest.mark.parametrize(
    "came, right, said",
    [
        ([True, True], [True, False], "It is wrong only by saying True, in 1 of the 2 cases"),
        ([False, True], [True, False], "It says the opposite"),
        (["[0] a", "[1] b"], ["[1] a", "[2] b"], "Only digits differ"),
        (["a\nb", "c"], ["a\nb\nd", "c\ne"], "Lines are missing"),
        ([[1, 2], [3]], [[1, 2, 5], [3, 6]], "something is missing wherever it is wrong, such as 5"),
        ([{"a": 1, "luck": 2}, {"luck": 0}], [{"a": 1, "lucky": 2}, {"lucky": 0}], "such as 'luck' here"),
        ([["a", "b"], ["c"]], ["a\nb", "c"], "It gives a list where a string is asked for"),
        ([[1.0, 2.0], [3.0]], [np.array([1.0, 2.0]), np.array([3.0])], ""),  # right, but for what they stand in
    ],
)
def test_what_the_wrong_values_have_in_common(came, right, said):
    found = relation(pairs(came, right))
    assert said in found and bool(said) == bool(found)


def test_a_result_that_never_changes_or_is_an_argument():
    cases = [(np.array([1.0, 2.0]), 3), (np.array([4.0]), 5), (np.array([6.0]), 7)]
    given = [numbers for numbers, _ in cases]
    right = [numbers * 2 for numbers in given]
    names = ["numbers", "k"]
    assert "always `numbers` as it came" in nothing_computed(names, cases, pairs(given, right))
    assert "the same in every case" in nothing_computed(names, cases, pairs([0, 0, 0], [1, 2, 3]))
    assert not nothing_computed(names, cases, pairs(right, given))
    assert not nothing_computed(names, cases, pairs([np.nan] * 3, [1, 2, 3]))  # that it is nan says more
    assert not nothing_computed(names, cases, pairs([4, 4, 4], [9, 9, 9]))  # what is right is the same everywhere, too


def test_the_argument_that_all_wrong_cases_share():
    cases = [([1], 2), ([], 3), ([], 4), ([5, 6], 7)]
    assert "exactly where `sizes` is empty" in common_ground(["sizes", "k"], cases, [False, True, True, False])
    assert not common_ground(["sizes", "k"], cases[:2], [False, True])  # one case may be chance
    assert not common_ground(["sizes", "k"], cases, [False, True, False, False])
    assert not common_ground(["sizes", "k"], cases, [True] * 4)


@pytest.mark.parametrize(
    "code, said",
    [
        ("1 / 0", "divided by 0"),
        ("np.array([]).max()", "Something is empty here"),
        ("max([])", "Something is empty here"),
        ("np.zeros(2) + np.zeros(3)", "shapes do not fit"),
        ("bool(np.zeros(2))", "one truth value"),
        ("np.zeros((2, 3)).sum(axis=2)", "There is no such axis"),
        ("np.zeros(2)[7]", "An index reaches past the end"),
        ("math.log(-1)", "A logarithm or a root"),
        ("a, b = 1, 2, 3", "The number of names on the left"),
        ("raise RuntimeError('mine')", ""),
    ],
)
def test_what_an_error_usually_means(code, said):
    with pytest.raises(Exception) as caught:
        exec(f"import math\n{code}", {"np": np})
    found = reason_of_error(caught.value, str(caught.value))
    assert said in found and bool(said) == bool(found)


def test_of_two_mistakes_the_one_that_shows_in_this_case_is_named():
    def mentions_needed(share, k1, b, relative_length):
        return share * k1 * (1 - b + b)  # forgets the length, too

    card = str(check("02.mentions_needed", mentions_needed))
    assert "There may be two mistakes." in card and "never divides by what is left" in card

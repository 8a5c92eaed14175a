"""Numbers that are the same but for rounding: `difference` agrees with numpy's isclose, which it asks of arrays."""

import math

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from ragedu.learn.comparing import CLOSE, difference

NUMBERS = st.floats() | st.sampled_from([0.0, -0.0, 1.0, 1 + 1e-5, 1 + 2e-5, 1e-8, 2e-8, 1e300])


@given(NUMBERS, NUMBERS | st.integers(-(10**6), 10**6))
def test_one_number_is_compared_as_in_an_array(got, expected):
    assert (difference(got, expected) == "") == bool(np.isclose(got, expected, **CLOSE))
    in_arrays = difference(np.array([got, got]), np.array([expected, expected], dtype=float))
    assert (difference(got, expected) == "") == (in_arrays == "")


@given(NUMBERS, st.floats(-9e-6, 9e-6))
def test_rounding_is_no_difference_and_a_changed_digit_is_one(number, change):
    changed = number * (1 + change)
    assume(math.isfinite(changed) or not math.isfinite(number))  # an overflow is no rounding
    assert not difference(changed, number)
    if 1e-3 < abs(number) < 1e300:
        assert difference(number * 1.0001, number)


def test_an_overflow_is_a_difference():
    largest = np.finfo(float).max
    assert difference(math.inf, largest) and not difference(largest, largest)

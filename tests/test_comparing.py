"""Numbers that are the same but for rounding: `difference` agrees with numpy's isclose, which it asks of arrays."""

import numpy as np
from hypothesis import given
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
    assert not difference(number * (1 + change), number)
    if 1e-3 < abs(number) < 1e300:
        assert difference(number * 1.0001, number)

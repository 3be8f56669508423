"""The value transform and the two-hot support: worked numbers, round trips, refusals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mzpipe.errors import SearchInputError
from mzpipe.targets import (
    scalar_to_support,
    support_to_scalar,
    value_transform,
    value_transform_inverse,
)
from tests.naive.targets import two_hot


@pytest.mark.parametrize(("x", "y"), [(0.0, 0.0), (3.0, 1.003), (-3.0, -1.003), (99.0, 9.099), (-8.0, -2.008)])
def test_value_transform_equals_numbers_worked_by_hand(x, y):
    assert value_transform(np.array(x)) == pytest.approx(y, abs=1e-12)
    assert value_transform_inverse(np.array(y)) == pytest.approx(x, abs=1e-9)


def test_value_transform_round_trips_to_1e_4_when_within_1e5():
    x = np.concatenate([np.linspace(-1e5, 1e5, 100_001), np.geomspace(1e-9, 1e5, 1000)])
    assert np.abs(value_transform_inverse(value_transform(x)) - x).max() < 1e-4


@given(st.floats(-1e5, 1e5), st.floats(-1e5, 1e5))
def test_value_transform_keeps_order_and_sign(x, other):
    y, other_y = value_transform(np.array([x, other]))
    assert x * y >= 0.0
    assert x >= other or y <= other_y


def test_scalar_to_support_splits_between_neighbours_when_between_two_bins():
    x = value_transform_inverse(np.array(3.7))
    expected = np.zeros(11)
    expected[5 + 3], expected[5 + 4] = 0.3, 0.7
    assert scalar_to_support(x, 5) == pytest.approx(expected, abs=1e-6)


def test_scalar_to_support_splits_downwards_when_negative():
    x = value_transform_inverse(np.array(-3.7))
    expected = np.zeros(11)
    expected[5 - 4], expected[5 - 3] = 0.7, 0.3
    assert scalar_to_support(x, 5) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("x", "index"), [(1e6, 6), (np.inf, 6), (-1e6, 0), (-np.inf, 0), (0.0, 3)])
def test_scalar_to_support_puts_all_on_one_bin_when_clipped_or_whole(x, index):
    two_hot_S = scalar_to_support(np.array(x), 3)
    assert two_hot_S[index] == 1.0 and two_hot_S.sum() == 1.0


@given(st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=5), st.integers(1, 40))
def test_scalar_to_support_equals_its_twin_on_any_scalars(scalars, support_size):
    actual = scalar_to_support(np.array(scalars), support_size)
    expected = [two_hot(float(value_transform(np.array(x))), support_size) for x in scalars]
    assert actual == pytest.approx(np.array(expected), abs=1e-6)


def test_scalar_to_support_keeps_leading_axes_and_gives_float32():
    two_hot_BTS = scalar_to_support(np.zeros((2, 3), np.float32), 4)
    assert two_hot_BTS.shape == (2, 3, 9) and two_hot_BTS.dtype == np.float32


@given(st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=5))
def test_support_to_scalar_undoes_scalar_to_support_when_nothing_was_clipped(scalars):
    x = np.array(scalars)
    assert support_to_scalar(scalar_to_support(x, 300), 300) == pytest.approx(x, rel=1e-3, abs=1e-3)


def test_support_to_scalar_takes_the_expectation_before_the_inverse():
    probabilities_S = np.array([0.0, 0.0, 0.0, 0.5, 0.0, 0.0, 0.5])  # 0 and 3: expectation 1.5
    assert support_to_scalar(probabilities_S, 3) == pytest.approx(value_transform_inverse(np.array(1.5)))


def test_support_refuses_nan():
    with pytest.raises(SearchInputError, match="x holds NaN"):
        scalar_to_support(np.array([0.0, np.nan]), 3)


def test_support_refuses_a_size_without_room():
    with pytest.raises(SearchInputError, match="support_size=0 must be at least 1"):
        scalar_to_support(np.zeros(2), 0)


@pytest.mark.parametrize("shape", [(), (6,), (7, 2)])
def test_support_to_scalar_refuses_another_number_of_bins(shape):
    with pytest.raises(SearchInputError, match="the last axis must hold 7 bins"):
        support_to_scalar(np.zeros(shape), 3)

"""The arithmetic that all bits rest on, against float64 and Python's integers."""

import numpy as np
import pytest

from mzpipe.search.arithmetic import exp_nonpositive, from_order, order, to_fixed

exp, to_order, back, fixed = (
    getattr(kernel, "py_func", kernel) for kernel in (exp_nonpositive, order, from_order, to_fixed)
)
F = np.float32


def test_exp_is_within_3e_7_of_the_exponential_from_minus_87_to_0():
    xs = np.linspace(-87.0, 0.0, 20_001).astype(F)
    exact = np.exp(xs.astype(np.float64))
    assert np.array([exp(x) for x in xs]) == pytest.approx(exact, rel=3e-7)


def test_exp_is_one_at_zero_and_never_rises_as_x_falls():
    values = [float(exp(F(x))) for x in np.linspace(0.0, -2.0, 5_000)]
    assert values[0] == 1.0
    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize("x", [-87.5, -1e6, -3e38, -np.inf])
def test_exp_stays_a_normal_number_when_x_is_far_below_zero(x):
    assert exp(F(x)) == exp(F(-87.0)) > np.finfo(F).tiny


def test_order_sorts_as_floats_do_and_leads_back_to_them():
    floats = [-np.inf, -3e38, -1.0, -1e-38, 0.0, 1e-38, 0.5, 1.0, 3e38, np.inf]
    keys = [to_order(F(x)) for x in floats]
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)
    assert [back(key) for key in keys] == [F(x) for x in floats]


@pytest.mark.parametrize("weight", [0.0, 1.0, 1.0 + 2.0**-13, 0.75, 1e-3, 2.0**-46, 2.0**-47, 1e-20])
def test_fixed_point_is_the_nearest_multiple_of_two_to_the_minus_46(weight):
    assert abs(int(fixed(F(weight))) - float(F(weight)) * 2**46) <= 0.5

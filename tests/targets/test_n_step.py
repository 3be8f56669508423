"""n-step values: trajectories worked by hand, the naive twin, circular storage, refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mzpipe.errors import SearchInputError
from mzpipe.targets import n_step_value_at, n_step_values
from tests.naive.targets import n_step_value

REWARDS = np.array([1, 0, 2, 4], np.float32)
VALUES = np.array([10, 20, 30, 40], np.float32)


def test_n_step_values_bootstrap_inside_and_end_at_zero_when_terminated():
    # z_0 = 1 + 0/2 + 30/4; z_1 = 0 + 2/2 + 40/4; z_2 = 2 + 4/2 + 0; z_3 = 4 + 0
    assert n_step_values(REWARDS, VALUES, 0.5, 2).tolist() == [8.5, 11.0, 4.0, 4.0]


def test_n_step_values_bootstrap_from_the_final_value_when_truncated():
    # z_2 = 2 + 4/2 + 80/4; z_3 = 4 + 80/2
    assert n_step_values(REWARDS, VALUES, 0.5, 2, final_value=80.0).tolist() == [8.5, 11.0, 24.0, 44.0]


def test_n_step_values_carry_the_outcome_with_alternating_sign_when_two_players_move():
    # The last mover wins: +1 for moves 3 and 1, -1 for moves 2 and 0.
    assert n_step_values(np.float32([0, 0, 0, 1]), VALUES, -1.0, 100).tolist() == [-1.0, 1.0, -1.0, 1.0]


def test_n_step_values_turn_the_bootstrap_around_when_two_players_and_odd_steps():
    # One step: the value after it is the opponent's.
    assert n_step_values(np.float32([0, 0.5]), np.float32([9, 0.25]), -1.0, 1).tolist() == [-0.25, 0.5]


def test_n_step_values_read_no_root_value_when_td_steps_reach_the_end():
    assert n_step_values(REWARDS, VALUES, 1.0, 4).tolist() == n_step_values(REWARDS, 0 * VALUES, 1.0, 9).tolist()


def test_n_step_values_are_empty_when_the_episode_is():
    assert n_step_values(np.float32([]), np.float32([]), 0.9, 5).shape == (0,)


@settings(max_examples=50)
@given(st.data())
def test_n_step_values_equal_their_twin_on_any_episode(data):
    numbers = st.floats(-10, 10, width=32)
    length, td_steps = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 15))
    discount = data.draw(st.sampled_from([1.0, 0.997, 0.3, -1.0, -0.99, 0.0]))
    final_value = data.draw(numbers)
    reward_T, root_value_T = (np.float32(data.draw(st.lists(numbers, min_size=length, max_size=length))) for _ in "rv")
    expected = [n_step_value(reward_T, root_value_T, t, discount, td_steps, final_value) for t in range(length)]
    assert n_step_values(reward_T, root_value_T, discount, td_steps, final_value) == pytest.approx(expected, abs=1e-4)


@settings(max_examples=50)
@given(st.integers(0, 100), st.integers(1, 6), st.integers(1, 8), st.integers(0, 3))
def test_n_step_value_at_reads_the_same_when_the_episode_wraps_around(first, length, td_steps, spare):
    capacity = length + spare
    rng = np.random.default_rng(first)
    reward_T, root_value_T = rng.normal(size=(2, length)).astype(np.float32)
    reward_C, root_value_C = np.full((2, capacity), np.nan, np.float32)
    places = (first + np.arange(length)) % capacity
    reward_C[places], root_value_C[places] = reward_T, root_value_T
    for t in range(length):
        actual = n_step_value_at(reward_C, root_value_C, first + t, first + length, capacity, 0.9, td_steps, 0.5)
        assert actual == pytest.approx(n_step_value(reward_T, root_value_T, t, 0.9, td_steps, 0.5), abs=1e-5)


def test_n_step_values_refuse_arrays_of_unequal_length():
    with pytest.raises(SearchInputError, match=r"reward_T of shape \(4,\) and root_value_T of shape \(3,\): both must"):
        n_step_values(REWARDS, VALUES[:3], 0.5, 2)


def test_n_step_values_refuse_td_steps_below_one():
    with pytest.raises(SearchInputError, match="td_steps=0 must be at least 1"):
        n_step_values(REWARDS, VALUES, 0.5, 0)


@pytest.mark.parametrize("spoil", ["reward", "root_value", "final_value"])
def test_n_step_values_refuse_numbers_that_are_not_finite(spoil):
    reward_T, root_value_T = REWARDS.copy(), VALUES.copy()
    if spoil != "final_value":
        {"reward": reward_T, "root_value": root_value_T}[spoil][1] = np.nan
    with pytest.raises(SearchInputError, match="reward_T, root_value_T or final_value holds NaN or infinity"):
        n_step_values(reward_T, root_value_T, 0.5, 2, np.inf if spoil == "final_value" else 0.0)

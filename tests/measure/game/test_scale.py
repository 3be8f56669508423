"""Returns of random play, worked out by hand, and the supports that they need."""

import numpy as np
import pytest

from mzpipe.games import GameSpec, StepResult
from mzpipe.measure.game.random_play import Move, RandomPlay
from mzpipe.measure.game.scale import describe_episodes, discounted_returns, suggest_supports
from mzpipe.targets import value_transform_inverse

SPEC = GameSpec("game", "a game", (1,), "float32", 1, 2, 1)


def play(*moves):
    """One game's (reward, ended) in turn."""
    nothing = np.zeros((1, 1), np.float32)
    steps = [
        StepResult(nothing, np.array([reward], np.float32), np.array([ended]), np.array([False]))
        for reward, ended in moves
    ]
    return RandomPlay(
        SPEC,
        nothing,
        [Move(np.ones((1, 2), np.bool_), np.zeros(1), np.zeros(1, np.int64), step) for step in steps],
        False,
    )


def test_returns_are_discounted_within_their_episode():
    returns = discounted_returns(play((1, False), (2, True), (4, False), (8, False)), 0.5)
    assert returns.ravel().tolist() == [2.0, 2.0, 8.0, 8.0]


def test_returns_of_two_players_change_their_sign_at_every_move():
    assert discounted_returns(play((0, False), (0, False), (1, True)), -1.0).ravel().tolist() == [1.0, -1.0, 1.0]


def test_episodes_are_counted_with_their_lengths_and_returns():
    assert describe_episodes(play((1, False), (2, True), (5, True), (8, False))) == "2 of 1 to 2 moves, return 4 +- 1"


@pytest.mark.parametrize(
    ("discount", "least", "most"),
    [(0.9, 10.0, 10.0), (0.999, 20.0, 20.0), (1.0, 20.0, 20.0)],  # ten times a return of 2, or the sum of all discounts
)
def test_the_value_support_holds_ten_times_the_returns_but_no_more_than_rewards_can_add_up_to(discount, least, most):
    supports = suggest_supports(play((1, False), (1, True)), discount)
    assert value_transform_inverse(np.array(supports.value)) >= least * discount
    assert value_transform_inverse(np.array(supports.value - 1)) < most


def test_the_reward_support_holds_twice_the_greatest_reward():
    supports = suggest_supports(play((-100.0, False), (3.0, True)), 0.9)
    assert (
        value_transform_inverse(np.array(supports.reward))
        >= 200.0
        > value_transform_inverse(np.array(supports.reward - 1))
    )


def test_no_supports_are_suggested_without_rewards():
    assert suggest_supports(play((0, False), (0, True)), 0.9) is None

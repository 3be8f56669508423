"""Lengths and rewards of episodes in random play, and the support sizes that they need."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...format import count
from ...targets import value_transform
from .random_play import RandomPlay

# A good player's rewards and returns may be this many times as large as in random play.
_REWARD_MARGIN, _RETURN_MARGIN = 2.0, 10.0


class Supports(NamedTuple):
    """The smallest support sizes for the expected values and rewards."""

    value: int
    reward: int


def describe_episodes(play: RandomPlay) -> str:
    """The number of episodes that ended, with their lengths and returns."""
    lengths, returns = _episodes(play)
    if not lengths:
        return f"none ended in {count(len(play.moves))} moves: set game.max_episode_moves if none ever does"
    return (
        f"{count(len(lengths))} of {min(lengths)} to {max(lengths)} moves, "
        f"return {np.mean(returns):.4g} +- {np.std(returns):.4g}"
    )


def describe_numbers(values: np.ndarray) -> str:
    """The least, the greatest and the mean, in words."""
    return f"{values.min():.4g} to {values.max():.4g}, mean {values.mean():.4g}"


def discounted_returns(play: RandomPlay, discount: float) -> NDArray[np.float64]:
    """[T, B]: the discounted return from each position; a truncated episode adds nothing after its end."""
    reward_TB, ended_TB = play.reward_TB.astype(np.float64), play.ended_TB
    return_TB = reward_TB.copy()
    for move in reversed(range(len(return_TB) - 1)):
        return_TB[move] += discount * np.where(ended_TB[move], 0.0, return_TB[move + 1])
    return return_TB


def suggest_supports(play: RandomPlay, discount: float) -> Supports | None:
    """Supports for rewards twice and returns ten times as large, but no larger than the seen rewards can add up to.

    None if no reward was seen.
    """
    greatest_reward = float(np.abs(play.reward_TB).max())
    if greatest_reward == 0.0:
        return None
    greatest_return = float(np.abs(discounted_returns(play, discount)).max())
    sum_of_discounts = math.inf if abs(discount) == 1.0 else 1.0 / (1.0 - abs(discount))
    value = min(_RETURN_MARGIN * greatest_return, greatest_reward * sum_of_discounts)
    return Supports(_support_size(max(value, greatest_return)), _support_size(_REWARD_MARGIN * greatest_reward))


def _support_size(greatest: float) -> int:
    """Bins on either side of zero for numbers up to `greatest`."""
    return math.ceil(value_transform(np.array(greatest)).item())


def _episodes(play: RandomPlay) -> tuple[list[int], list[float]]:
    """Moves and returns of the episodes that ended."""
    reward_TB, ended_TB = play.reward_TB, play.ended_TB
    lengths, returns = [], []
    for game in range(ended_TB.shape[1]):
        start = 0
        for end in np.flatnonzero(ended_TB[:, game]) + 1:
            lengths.append(int(end) - start)
            returns.append(float(reward_TB[start:end, game].sum()))
            start = int(end)
    return lengths, returns

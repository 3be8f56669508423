"""Checks that play a game again: each returns a line, or raises GameError, which says what is wrong."""

import dataclasses
from collections.abc import Callable

import numpy as np

from ...config import GameConfig
from ...errors import GameError
from ...format import count
from ...games import StepResult
from .random_play import NUM_GAMES, RandomPlay, play_at_random

SEED = 0
_OTHER_SEED = 1
_SHORT_LIMIT = 7


def _repeats(config: GameConfig, play: RandomPlay) -> str:
    same, other = (play_at_random(config, seed, num_moves=len(play.moves)) for seed in (SEED, _OTHER_SEED))
    difference = _first_difference(play, same)
    if difference is not None:
        raise GameError(f"two games of one seed differ {difference}: all randomness must come from the seed of reset()")
    if _first_difference(play, other) is None:
        return f"from its seed; another seed plays the same game: in {count(len(play.moves))} moves nothing was random"
    return "from its seed; another seed plays another game"


def _first_difference(left: RandomPlay, right: RandomPlay) -> str | None:
    if not np.array_equal(left.start_BF, right.start_BF):
        return "in their first frame"
    for number_of_move, (one, other) in enumerate(zip(left.moves, right.moves, strict=True), start=1):
        if not np.array_equal(one.legal_BA, other.legal_BA):
            return f"in the legal actions before move {number_of_move}"
        for name in StepResult._fields:
            if not np.array_equal(getattr(one.result, name), getattr(other.result, name)):
                return f"at move {number_of_move}, in {name.rpartition('_')[0]}"
    return None


def _time_limit(config: GameConfig, play: RandomPlay) -> str:
    limited = dataclasses.replace(config, max_episode_moves=_SHORT_LIMIT)
    short = play_at_random(limited, SEED, num_moves=3 * _SHORT_LIMIT)
    num_moves_B, was_reached = np.zeros(NUM_GAMES, np.int64), False
    for move, ended_B in zip(short.moves, short.ended_TB, strict=True):
        num_moves_B += 1
        if (num_moves_B > _SHORT_LIMIT).any():
            raise GameError(f"an episode continued past game.max_episode_moves={_SHORT_LIMIT}")
        at_limit_B = num_moves_B == _SHORT_LIMIT
        was_reached |= bool(at_limit_B.any())
        if (at_limit_B & ~move.result.terminated_B & ~move.result.truncated_B).any():
            raise GameError(f"game.max_episode_moves={_SHORT_LIMIT} did not truncate an episode")
        num_moves_B[ended_B] = 0
    if not was_reached:
        return f"not seen: no episode was as long as game.max_episode_moves={_SHORT_LIMIT}"
    return f"game.max_episode_moves={_SHORT_LIMIT} truncates"


REPLAYS: dict[str, Callable[[GameConfig, RandomPlay], str]] = {"repeats": _repeats, "time limit": _time_limit}

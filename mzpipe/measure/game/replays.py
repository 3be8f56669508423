"""Checks that play a game again: each returns a line, or raises GameError, which says what is wrong."""

import dataclasses
from collections.abc import Callable

import numpy as np

from ...config import GameConfig
from ...errors import GameError
from ...format import count
from ...games import StepResult, Symmetry, make_game, opened
from ...games.board import BoardGame
from .random_play import NUM_GAMES, RandomPlay, play_at_random

SEED = 0
_OTHER_SEED = 1
_SHORT_LIMIT = 7
# Forbidden actions that are tried, in the first moves: each try plays the game again up to there.
_MASKED_TRIES, _MASKED_MOVES = 8, 100
# Moves that are turned by each symmetry.
_TURNED_MOVES = 200


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


def _masks(config: GameConfig, play: RandomPlay) -> str:
    """Plays what the mask forbids: an honest mask forbids what the game refuses, ends with, or ignores."""
    with opened(make_game(config, 1, SEED)) as game:
        if play.spec.num_players == 2 or isinstance(game, BoardGame):
            return "the rules' own"
    if all(move.legal_BA.all() for move in play.moves):
        return "forbids nothing"
    places = [
        (number, game, action)
        for number, move in enumerate(play.moves[:_MASKED_MOVES])
        for game, action in np.argwhere(~move.legal_BA)[:1]
    ]
    if not places:
        return f"not seen: the first {_MASKED_MOVES} moves forbade nothing"
    chosen = places[:: -(-len(places) // _MASKED_TRIES)]
    had_effect = [place for place in chosen if _has_effect(config, play, *place)]
    if not had_effect:
        return f"{len(chosen)} forbidden actions were tried: the game refused, ignored or ended with each"
    number, game, action = had_effect[0]
    return (
        f"action {action} was forbidden before move {number + 1} of game {game}, but it changes the game, as "
        f"{len(had_effect)} of {len(chosen)} tried ones do: is the mask right?"
    )


def _has_effect(config: GameConfig, play: RandomPlay, number: int, index: int, action: int) -> bool:
    """Whether a forbidden action, played instead of the move with this number, continues with another frame."""
    with opened(make_game(config, NUM_GAMES, SEED)) as game:
        frame_BF = game.reset()
        for move in play.moves[:number]:
            game.step(move.action_B)
            frame_BF = game.reset(move.result.terminated_B | move.result.truncated_B)
        action_B = play.moves[number].action_B.copy()
        action_B[index] = action
        try:
            result = game.step(action_B)
        except GameError:
            return False
    ended = result.terminated_B[index] or result.truncated_B[index]
    return not ended and not np.array_equal(result.frame_BF[index], frame_BF[index])


def _symmetries(config: GameConfig, play: RandomPlay) -> str:
    """Plays the turned games: they must show the turned frames, and reward and end alike."""
    declared = play.spec.symmetries
    if not declared:
        return "none declared"
    if play.spec.has_chance:
        return f"{count(len(declared))} declared, not tried: chance would play otherwise in a turned game"
    if not all(np.array_equal(each.turned_frames(play.start_BF), play.start_BF) for each in declared):
        return f"{count(len(declared))} declared, not tried: a turned game would have to begin at another frame"
    for index, symmetry in enumerate(declared):
        difference = _first_asymmetry(config, play, symmetry)
        if difference is not None:
            raise GameError(f"symmetries[{index}] is none of its rules: the turned game differs {difference}")
    return f"{count(len(declared))} declared, each turned {count(len(play.moves[:_TURNED_MOVES]))} moves"


def _first_asymmetry(config: GameConfig, play: RandomPlay, symmetry: Symmetry) -> str | None:
    with opened(make_game(config, NUM_GAMES, SEED)) as game:
        game.reset()
        for number, move in enumerate(play.moves[:_TURNED_MOVES], start=1):
            if not np.array_equal(game.legal_actions(), move.legal_BA[:, list(symmetry.actions)]):
                return f"in the legal actions before move {number}"
            result = game.step(symmetry.turned_actions(move.action_B))
            expected = move.result._replace(frame_BF=symmetry.turned_frames(move.result.frame_BF))
            for name, found, wanted in zip(StepResult._fields, result, expected, strict=True):
                if not np.array_equal(found, wanted):
                    return f"at move {number}, in {name.rpartition('_')[0]}"
            game.reset(result.terminated_B | result.truncated_B)
    return None


REPLAYS: dict[str, Callable[[GameConfig, RandomPlay], str]] = {
    "repeats": _repeats,
    "time limit": _time_limit,
    "mask": _masks,
    "symmetries": _symmetries,
}

"""Plays a game at random and records every move.

Shape legend    B games   T moves   A actions   F... one frame
"""

import time
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...config import GameConfig
from ...games import Game, GameSpec, StepResult, make_game, opened
from ...games.closing import going_on

NUM_GAMES = 4
_MAX_MOVES, _MIN_MOVES = 1000, 16
_MAX_SECONDS, _MAX_BYTES = 3.0, 200 << 20
_NUM_COPIES = 16
_SPEED_SECONDS = 1.0
# A move of all games, or their start, that takes so long will hardly ever end.
_HANG_S = 60.0


class Move(NamedTuple):
    """One move of all games."""

    legal_BA: np.ndarray  # before it
    to_play_B: np.ndarray  # who makes it
    action_B: np.ndarray
    result: StepResult


@dataclass(frozen=True)
class RandomPlay:
    """The outputs of the games; every array is the one that the game returned."""

    spec: GameSpec
    start_BF: np.ndarray
    moves: list[Move]
    overwritten: bool  # a later call wrote into an array of an earlier one
    notes: tuple[str, ...] = ()  # what the game says of itself that is no fault

    @property
    def reward_TB(self) -> NDArray[np.float32]:
        """The rewards of all moves."""
        return np.stack([move.result.reward_B for move in self.moves])

    @property
    def ended_TB(self) -> NDArray[np.bool_]:
        """The moves at which episodes ended."""
        return np.stack([move.result.terminated_B | move.result.truncated_B for move in self.moves])


def play_at_random(config: GameConfig, seed: int, *, num_moves: int | None = None) -> RandomPlay:
    """Plays legal moves, the same draws for every seed; `num_moves` None allows 3 s and 200 MiB of frames.

    Raises GameError, among others for a game that hangs.
    """
    moves: list[Move] = []
    with going_on(config.name, lambda: len(moves), _HANG_S), opened(make_game(config, NUM_GAMES, seed)) as game:
        return _play(game, moves, num_moves)


def _play(game: Game, moves: list[Move], num_moves: int | None) -> RandomPlay:
    rng, start_BF = np.random.default_rng(0), game.reset()
    notes: dict[str, None] = {}
    copies: list[list[np.ndarray]] = []
    limit = num_moves or max(_MIN_MOVES, min(_MAX_MOVES, _MAX_BYTES // max(1, start_BF.nbytes)))
    deadline_s = time.monotonic() + (_MAX_SECONDS if num_moves is None else np.inf)
    while len(moves) < limit and (len(moves) < _MIN_MOVES or time.monotonic() < deadline_s):
        moves.append(_move(game, rng))
        if len(copies) < _NUM_COPIES:
            copies.append([array.copy() for array in moves[-1].result])
        result = moves[-1].result
        notes |= dict.fromkeys(getattr(game, "notes", list)())
        game.reset(result.terminated_B | result.truncated_B)
    return RandomPlay(game.spec, start_BF, moves, _overwritten(moves, copies), tuple(notes))


def measure_moves_per_s(config: GameConfig) -> float:
    """Moves per second of one game, resets included."""
    rng, num_moves = np.random.default_rng(0), 0
    with going_on(config.name, lambda: num_moves, _HANG_S), opened(make_game(config, 1, seed=0)) as game:
        game.reset()
        start_s = time.monotonic()
        while (passed_s := time.monotonic() - start_s) < _SPEED_SECONDS:
            result = _move(game, rng).result
            game.reset(result.terminated_B | result.truncated_B)
            num_moves += 1
    return num_moves / passed_s


def _move(game: Game, rng: np.random.Generator) -> Move:
    legal_BA, to_play_B = game.legal_actions(), game.to_play()
    preference_BA = 1.0 + rng.random((game.num_games, game.spec.num_actions))
    action_B = (preference_BA * legal_BA).argmax(axis=1)
    if game.spec.action_size:
        action_B = rng.uniform(-1.0, 1.0, (game.num_games, game.spec.action_size)).astype(np.float32)
    return Move(legal_BA, to_play_B, action_B, game.step(action_B))


def _overwritten(moves: list[Move], copies: list[list[np.ndarray]]) -> bool:
    pairs = zip(moves, copies, strict=False)
    return not all(
        np.array_equal(array, copy, equal_nan=array.dtype.kind == "f")
        for move, kept in pairs
        for array, copy in zip(move.result, kept, strict=True)
    )

"""Round-robin tournaments among checkpoints of a run and fixed opponents.

Greedy agents repeat themselves, so games begin with a few random moves; each
such opening is played twice, with the seats exchanged.
"""

from collections.abc import Iterator
from itertools import combinations
from typing import NamedTuple

import numpy as np

from ..errors import UsageError
from ..evaluator.opponents import Opponent
from ..games import TwoPlayerGame
from ..games.board import BoardGame
from . import Progress
from .elo import Match
from .player import Player

# If this many random openings in a row end the game, nearly all openings of that length do.
_MAX_TRIES = 1_000
_WON, _DRAWN, _LOST = 1.0, 0.5, 0.0


class Contestant(NamedTuple):
    """A player in the tournament, and its name."""

    name: str
    opponent: Opponent


class CheckpointOpponent(Opponent):
    """A trained agent as an opponent."""

    def __init__(self, player: Player) -> None:
        self._player = player

    def choose(self, games: TwoPlayerGame, game: int) -> int:
        """The agent's greedy move."""
        assert isinstance(games, BoardGame)
        return self._player.move(games.history(game))


def play_tournament(
    contestants: list[Contestant],
    game: BoardGame,
    *,
    openings: int,
    opening_moves: int,
    seed: int,
    progress: Progress,
) -> list[Match]:
    """Plays every pair's games, two from each of `openings` random openings; `game` holds one board.

    Raises UsageError when every random game is over within `opening_moves`.
    """
    rng, matches = np.random.default_rng(seed), []
    pairs = list(combinations(range(len(contestants)), 2))
    for number, (first, second) in enumerate(pairs):
        progress(number, len(pairs))
        seats = contestants[first].opponent, contestants[second].opponent
        scores = [
            score
            for _ in range(openings)
            for score in play_both_seats(game, seats, draw_opening(game, opening_moves, rng))
        ]
        matches.append(Match(first, second, np.array(scores)))
    progress(len(pairs), len(pairs))
    return matches


def play_both_seats(game: BoardGame, players: tuple[Opponent, Opponent], opening: list[int]) -> Iterator[float]:
    """The first player's scores in two games from one opening: first in seat 0, then in seat 1."""
    yield play_game(game, players, opening)
    yield 1.0 - play_game(game, players[::-1], opening)


def play_game(game: BoardGame, seats: tuple[Opponent, Opponent], opening: list[int]) -> float:
    """The score of the player in seat 0; a game that reaches its move limit is drawn."""
    game.reset()
    moves = 0
    while True:
        seat = int(game.to_play()[0])
        action = opening[moves] if moves < len(opening) else seats[seat].choose(game, 0)
        step = game.step(np.array([action]))
        moves += 1
        if step.terminated_B[0] or step.truncated_B[0]:
            return _score(float(step.reward_B[0]), seat)


def draw_opening(game: BoardGame, num_moves: int, rng: np.random.Generator) -> list[int]:
    """Random legal actions that do not end the game; raises UsageError when it finds none."""
    for _ in range(_MAX_TRIES):
        game.reset()
        opening: list[int] = []
        is_over = False
        while len(opening) < num_moves and not is_over:
            opening.append(int(rng.choice(np.flatnonzero(game.legal_actions()[0]))))
            step = game.step(np.array(opening[-1:]))
            is_over = bool(step.terminated_B[0] or step.truncated_B[0])
        if not is_over:
            return opening
    raise UsageError(f"openings of {num_moves} random moves end {game.spec.name}: take fewer")


def _score(reward: float, mover: int) -> float:
    """The score of seat 0, from the reward of the player who made the last move."""
    outcome = reward if mover == 0 else -reward
    return _DRAWN if outcome == 0.0 else _WON if outcome > 0.0 else _LOST

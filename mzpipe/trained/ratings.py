"""Elo ratings of a run's checkpoints, from a tournament with random play and tree search with random playouts."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import UsageError
from ..evaluator.opponents import RandomOpponent, RolloutOpponent
from ..games import make_game
from ..games.board import BoardGame
from ..planning import derive_seed
from ..runs.checkpoint import CheckpointStore
from ..runs.directory import RunDirectory
from ..telemetry import TensorBoardWriter
from ..telemetry.metrics import RATING_METRICS, read
from . import Progress
from .elo import Match, elo_intervals, elo_ratings
from .player import Player
from .tournament import CheckpointOpponent, Contestant, play_tournament

# The rating of random play is 0.
_ANCHOR = 0


class Terms(NamedTuple):
    """How a tournament is played."""

    # Directories under checkpoints/; none: all of them.
    checkpoints: tuple[str, ...] = ()
    # Simulations per move of each opponent that searches with random playouts.
    rollouts: tuple[int, ...] = (100,)
    # Random openings per pair; each is played twice.
    openings: int = 10
    opening_moves: int = 2
    seed: int = 0


class Rating(NamedTuple):
    """One contestant's result; env_steps is None for an untrained opponent."""

    name: str
    elo: float
    low: float
    high: float
    games: int
    score: float  # mean over its games: 1 won, 0.5 drawn, 0 lost
    env_steps: int | None


def rate(run: RunDirectory, terms: Terms, progress: Progress) -> list[Rating]:
    """Every contestant's rating with its 95 % interval, best first.

    Raises UsageError when there is no run or its game is not a board game; CheckpointError as Player.load does.
    """
    names: tuple[str | None, ...] = terms.checkpoints or tuple(CheckpointStore(run.checkpoints).names()) or (None,)
    players = {player.agent.checkpoint: player for player in (Player.load(run.path, name, leaves=1) for name in names)}
    game = _board(next(iter(players.values())), run.path)
    contestants = _contestants(players, terms)
    matches = play_tournament(
        contestants,
        game,
        openings=terms.openings,
        opening_moves=terms.opening_moves,
        seed=derive_seed(terms.seed, "ratings"),
        progress=progress,
    )
    ratings = _ratings(contestants, matches, terms.seed)
    trained = {name: player.agent.env_steps for name, player in players.items()}
    rated = [rating._replace(env_steps=trained.get(rating.name)) for rating in ratings]
    return sorted(rated, key=lambda rating: -rating.elo)


def write_ratings(run: RunDirectory, ratings: list[Rating]) -> None:
    """Writes the checkpoints' ratings as TensorBoard curves eval/elo, eval/elo_low and eval/elo_high."""
    writer = TensorBoardWriter(run.tensorboard)
    for rating in sorted(
        (each for each in ratings if each.env_steps is not None), key=lambda each: each.env_steps or 0
    ):
        writer.write_scalars(rating.env_steps or 0, read(RATING_METRICS, rating))
    writer.close()


def _board(player: Player, path: Path) -> BoardGame:
    config = player.agent.profile.game
    game = make_game(config, 1, seed=0, training=False)
    if not isinstance(game, BoardGame):
        game.close()
        raise UsageError(
            f"{path}: {game.spec.name} is not a board game: only two-player games have ratings (use mzpipe eval)"
        )
    return game


def _contestants(players: dict[str, Player], terms: Terms) -> list[Contestant]:
    fixed = [Contestant("random", RandomOpponent(derive_seed(terms.seed, "random")))]
    for simulations in terms.rollouts:
        seed = derive_seed(terms.seed, "rollouts", simulations)
        fixed.append(Contestant(f"rollouts-{simulations}", RolloutOpponent(simulations, seed)))
    return fixed + [Contestant(name, CheckpointOpponent(player)) for name, player in players.items()]


def _ratings(contestants: list[Contestant], matches: list[Match], seed: int) -> list[Rating]:
    elo_P = elo_ratings(len(contestants), matches, anchor=_ANCHOR)
    interval_P2 = elo_intervals(len(contestants), matches, anchor=_ANCHOR, seed=seed)
    scores_P: list[list[float]] = [[] for _ in contestants]
    for first, second, score_G in matches:
        scores_P[first] += list(score_G)
        scores_P[second] += list(1.0 - score_G)
    return [
        Rating(each.name, float(elo), float(low), float(high), len(scores), float(np.mean(scores)), None)
        for each, elo, (low, high), scores in zip(contestants, elo_P, interval_P2, scores_P, strict=True)
    ]

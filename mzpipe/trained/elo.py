"""Elo ratings of players from their matches, with intervals.

Ratings maximise the likelihood of the Bradley-Terry model: i beats j with
probability 1 / (1 + 10^((R_j - R_i) / 400)), and a draw is half a win for
each. They are found by minorisation-maximisation (Hunter 2004, "MM algorithms
for generalized Bradley-Terry models", equation 3). Each pair that met gets one
extra drawn game, so a player who won every game has a finite rating.

Shape legend    P players   G games of one match
"""

from typing import NamedTuple

import numpy as np

from ..errors import UsageError

_POINTS_PER_FACTOR_TEN = 400.0
_ITERATIONS = 2_000
_CONVERGED = 1e-6
_INTERVAL = (2.5, 97.5)


class Match(NamedTuple):
    """Games between two players."""

    first: int
    second: int
    score_G: np.ndarray  # the first player's: 1 won, 0.5 drawn, 0 lost


def elo_ratings(num_players: int, matches: list[Match], *, anchor: int = 0) -> np.ndarray:
    """Rating of each player, [P] float64; the anchor's is 0.

    Raises UsageError when a player's games do not connect them with the anchor.
    """
    wins_P, games_PP = _tally(num_players, matches)
    _check_connected(games_PP, anchor)
    return _ratings(wins_P, games_PP, anchor)


def elo_intervals(
    num_players: int, matches: list[Match], *, anchor: int = 0, seed: int = 0, num_resamples: int = 500
) -> np.ndarray:
    """95 % bootstrap interval of each rating, [P, 2]: games are resampled within each match."""
    rng = np.random.default_rng(seed)
    resampled = [
        elo_ratings(
            num_players,
            [match._replace(score_G=rng.choice(match.score_G, len(match.score_G))) for match in matches],
            anchor=anchor,
        )
        for _ in range(num_resamples)
    ]
    return np.percentile(resampled, _INTERVAL, axis=0).T


def _tally(num_players: int, matches: list[Match]) -> tuple[np.ndarray, np.ndarray]:
    """Wins of each player and games of each pair, including the extra drawn game."""
    wins_P, games_PP = np.zeros(num_players), np.zeros((num_players, num_players))
    for first, second, score_G in matches:
        if not games_PP[first, second]:
            wins_P[[first, second]] += 0.5
            games_PP[[first, second], [second, first]] += 1
        wins_P[first] += score_G.sum()
        wins_P[second] += len(score_G) - score_G.sum()
        games_PP[[first, second], [second, first]] += len(score_G)
    return wins_P, games_PP


def _check_connected(games_PP: np.ndarray, anchor: int) -> None:
    reached, frontier = {anchor}, [anchor]
    while frontier:
        met = set(map(int, np.flatnonzero(games_PP[frontier.pop()]))) - reached
        reached |= met
        frontier += met
    missing = sorted(set(range(len(games_PP))) - reached)
    if missing:
        raise UsageError(f"players {missing} are not connected with player {anchor} by games: they have no rating")


def _ratings(wins_P: np.ndarray, games_PP: np.ndarray, anchor: int) -> np.ndarray:
    strength_P = np.ones(len(wins_P))
    for _ in range(_ITERATIONS):
        met_P = (games_PP / (strength_P[:, None] + strength_P[None, :])).sum(axis=1)
        improved_P = wins_P / np.where(met_P > 0.0, met_P, 1.0)
        improved_P /= improved_P[anchor]
        done = np.abs(np.log(improved_P / strength_P)).max() < _CONVERGED
        strength_P = improved_P
        if done:
            break
    return _POINTS_PER_FACTOR_TEN * np.log10(strength_P)

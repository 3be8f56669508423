"""Aggregates: one number for many runs of many games, with its interval (Agarwal et al. 2021, "Deep
Reinforcement Learning at the Edge of the Statistical Precipice").

Shape legend    R resamples   N runs of one game; games may have different numbers of runs
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

CONFIDENCE = 0.95
NUM_RESAMPLES = 10_000
# Scores to draw at a time, which bounds the memory.
_AT_ONCE = 1 << 20

# One array of scores per game, [R, N] each.
Strata = Sequence[np.ndarray]
Statistic = Callable[[Strata], np.ndarray]
Interval = tuple[float, float]


class Aggregate(NamedTuple):
    """A statistic and its interval; None as the interval if a game has a single run."""

    name: str
    value: float
    interval: Interval | None


def mean(strata: Strata) -> np.ndarray:
    """[R]: the mean over games of each game's mean."""
    return np.mean([scores_RN.mean(axis=1) for scores_RN in strata], axis=0)


def median(strata: Strata) -> np.ndarray:
    """[R]: the median over games of each game's mean."""
    return np.median([scores_RN.mean(axis=1) for scores_RN in strata], axis=0)


def iqm(strata: Strata) -> np.ndarray:
    """[R]: the mean of the middle half of all runs of all games; a quarter, rounded down, is cut from each end."""
    pooled = np.sort(np.concatenate(strata, axis=1), axis=1)
    cut = pooled.shape[1] // 4
    return pooled[:, cut : pooled.shape[1] - cut].mean(axis=1)


def optimality_gap(strata: Strata) -> np.ndarray:
    """[R]: the runs' mean shortfall from 1, a person's score; a run above 1 counts as 1."""
    return 1.0 - np.minimum(np.concatenate(strata, axis=1), 1.0).mean(axis=1)


AGGREGATES: dict[str, Statistic] = {"IQM": iqm, "optimality gap": optimality_gap, "median": median, "mean": mean}


def aggregate(scores: Sequence[Sequence[float]], seed: int = 0) -> tuple[Aggregate, ...]:
    """All aggregates of the runs' scores, game by game, each with its interval."""
    return tuple(
        Aggregate(name, value_of(statistic, scores), interval_of(statistic, scores, seed))
        for name, statistic in AGGREGATES.items()
    )


def value_of(statistic: Statistic, scores: Sequence[Sequence[float]]) -> float:
    """The statistic of the scores as they are."""
    return float(statistic([np.array([runs], float) for runs in scores])[0])


def interval_of(
    statistic: Statistic, scores: Sequence[Sequence[float]], seed: int = 0, num_resamples: int = NUM_RESAMPLES
) -> Interval | None:
    """The stratified bootstrap's percentile interval: runs are resampled within each game, games are not resampled.

    None if a game has a single run: the spread of its runs is unknown.
    """
    if min(map(len, scores)) < 2:
        return None
    rng, left, values = np.random.default_rng(seed), num_resamples, []
    while left:
        now = min(left, max(1, _AT_ONCE // sum(map(len, scores))))
        values.append(statistic([_drawn(np.array(runs, float), now, rng) for runs in scores]))
        left -= now
    low, high = np.quantile(np.concatenate(values), [(1.0 - CONFIDENCE) / 2.0, (1.0 + CONFIDENCE) / 2.0])
    return float(low), float(high)


def _drawn(runs_N: np.ndarray, num_resamples: int, rng: np.random.Generator) -> np.ndarray:
    """[R, N]: resamples of all N runs, with replacement."""
    return runs_N[rng.integers(len(runs_N), size=(num_resamples, len(runs_N)))]

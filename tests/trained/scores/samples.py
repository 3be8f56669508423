"""Made-up runs: curves that rise from random play towards a score."""

import numpy as np

from mzpipe.games.figures import atari_figures
from mzpipe.trained.scores import Run

BUDGET = 100_000
# By game: the score that runs reach, and by how much they differ.
ATARI = {"Breakout": (212.0, 60.0), "Freeway": (21.5, 2.5), "MsPacman": (3_300.0, 900.0), "Pong": (4.0, 6.0)}


def make_run(name="seed0", game="Pong", return_mean=12.0, env_steps=BUDGET, protocol="greedy", curve=None):
    """One run; without a curve it has its score only."""
    std = 0.2 * abs(return_mean)
    return Run(name, game, protocol, env_steps, 32, return_mean, std, curve or ((env_steps, return_mean),))


def rising_run(name, game, first, last, rng):
    """A run of ten evaluations that rise from `first` to `last`."""
    steps = np.linspace(BUDGET / 10, BUDGET, 10).astype(int).tolist()
    rise = 1.0 / (1.0 + np.exp(-rng.uniform(7.0, 11.0) * (np.linspace(0.1, 1.0, 10) - rng.uniform(0.4, 0.6))))
    values = first + (last - first) * rise / rise[-1] * np.append(1.0 + rng.normal(0.0, 0.04, 9), 1.0)
    return make_run(name, game, float(values[-1]), curve=tuple(zip(steps, values.tolist(), strict=True)))


def atari_runs(num_runs=5, seed=0):
    """`num_runs` runs of each of four games."""
    rng = np.random.default_rng(seed)
    return [
        rising_run(f"{game.lower()}-seed{place}", game, atari_figures()[game].random, rng.normal(*ATARI[game]), rng)
        for game in ATARI
        for place in range(num_runs)
    ]


def cartpole_runs(num_runs=3, seed=0):
    """`num_runs` runs of a game without figures."""
    rng = np.random.default_rng(seed)
    return [
        rising_run(f"cartpole-seed{place}", "CartPole-v1", 20.0, rng.uniform(470.0, 500.0), rng)
        for place in range(num_runs)
    ]

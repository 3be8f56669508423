"""Aggregates against numbers worked by hand, against scipy, and their intervals against simulation."""

import random
import statistics

import numpy as np
import pytest
from scipy import stats

from mzpipe.trained.scores.aggregates import (
    AGGREGATES,
    aggregate,
    interval_of,
    iqm,
    mean,
    median,
    optimality_gap,
    value_of,
)

# Three games; means 0.2, 1.0 and 4.5.
SCORES = [[0.1, 0.3], [0.0, 1.0, 2.0], [4.0, 5.0]]


@pytest.mark.parametrize(
    ("statistic", "value"),
    [
        (mean, 5.7 / 3),
        (median, 1.0),
        (iqm, (0.1 + 0.3 + 1.0 + 2.0 + 4.0) / 5),  # 7 runs: one is cut from either end
        (optimality_gap, (0.9 + 0.7 + 1.0) / 7),  # the runs below 1
    ],
)
def test_aggregates_are_those_worked_by_hand(statistic, value):
    assert value_of(statistic, SCORES) == pytest.approx(value)


def test_iqm_is_scipys_trimmed_mean_for_any_number_of_runs():
    rng = np.random.default_rng(0)
    for number in range(1, 30):
        runs = rng.normal(size=number)
        assert value_of(iqm, [runs]) == pytest.approx(stats.trim_mean(runs, 0.25))
        assert value_of(iqm, [[run] for run in runs]) == pytest.approx(stats.trim_mean(runs, 0.25))


def test_optimality_gap_counts_nothing_beyond_a_person():
    assert value_of(optimality_gap, [[1.0, 50.0], [2.0]]) == 0.0
    assert value_of(optimality_gap, [[0.0], [50.0]]) == 0.5


def test_every_aggregate_is_computed_for_each_resample_apart():
    first, second = [np.array([[0.1, 0.3]]), np.array([[1.0]])], [np.array([[0.2, 0.2]]), np.array([[5.0]])]
    both = [np.concatenate(pair) for pair in zip(first, second, strict=True)]
    for statistic in AGGREGATES.values():
        assert statistic(both).tolist() == [statistic(first)[0], statistic(second)[0]]


def test_interval_repeats_bit_for_bit_by_its_seed():
    runs = np.random.default_rng(2).normal(size=(3, 5))
    assert interval_of(iqm, runs, seed=1) == interval_of(iqm, runs, seed=1)
    assert interval_of(iqm, runs, seed=1) != interval_of(iqm, runs, seed=2)


def test_interval_does_not_depend_on_how_many_are_drawn_at_a_time(monkeypatch):
    whole = interval_of(mean, SCORES, num_resamples=4000)
    monkeypatch.setattr("mzpipe.trained.scores.aggregates._AT_ONCE", 100)
    assert interval_of(mean, SCORES, num_resamples=4000) == pytest.approx(whole, rel=0.03)


def test_there_is_no_interval_where_a_game_has_a_single_run():
    assert interval_of(mean, [[0.1, 0.3], [1.0]]) is None
    assert [each.interval for each in aggregate([[0.5]])] == [None] * 4
    assert aggregate([[0.5]])[0].value == 0.5


def test_interval_of_runs_that_agree_has_no_width():
    assert interval_of(iqm, [[0.5, 0.5], [0.7, 0.7]]) == pytest.approx((0.6, 0.6))


def test_runs_are_drawn_again_within_their_game_only():
    apart = [[0.0, 0.0, 0.0], [10.0, 10.0, 10.0]]  # drawn across games, the mean would go from 0 to 10
    assert interval_of(mean, apart) == (5.0, 5.0)


def test_interval_of_one_game_is_scipys():
    runs = np.random.default_rng(3).lognormal(size=8)
    theirs = stats.bootstrap(
        (runs,), np.mean, method="percentile", n_resamples=10_000, rng=np.random.default_rng(4)
    ).confidence_interval
    assert interval_of(mean, [runs]) == pytest.approx(tuple(theirs), rel=0.02)


def test_interval_is_that_of_a_naive_bootstrap():
    draw = random.Random(5)
    values = []
    for _ in range(4000):
        games = [[draw.choice(runs) for _ in runs] for runs in SCORES]
        values.append(statistics.median(statistics.fmean(runs) for runs in games))
    low, high = np.quantile(values, [0.025, 0.975])
    assert interval_of(median, SCORES) == pytest.approx((low, high), abs=0.05)


def covered(statistic, num_runs, simulations=400, num_games=4):
    """How often the interval held the truth, which is 1 for any symmetric statistic."""
    rng = np.random.default_rng(7)
    hits = 0
    for seed in range(simulations):
        low, high = interval_of(statistic, rng.normal(1.0, 0.5, (num_games, num_runs)), seed, num_resamples=400)
        hits += low <= 1.0 <= high
    return hits / simulations


@pytest.mark.parametrize("statistic", [mean, iqm])
def test_about_95_of_100_intervals_hold_the_truth_when_there_are_ten_runs_a_game(statistic):
    assert 0.90 <= covered(statistic, num_runs=10) <= 0.98


@pytest.mark.parametrize(("num_runs", "fraction"), [(2, 0.72), (3, 0.85), (5, 0.90)])
def test_intervals_of_few_runs_hold_the_truth_as_seldom_as_the_documentation_says(num_runs, fraction):
    assert covered(mean, num_runs) == pytest.approx(fraction, abs=0.05)

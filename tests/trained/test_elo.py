"""Elo ratings against numbers worked by hand and against a simulation."""

import numpy as np
import pytest

from mzpipe.errors import UsageError
from mzpipe.trained.elo import Match, elo_intervals, elo_ratings


def match(first, second, wins, draws, losses):
    """A match as the first player's results."""
    return Match(first, second, np.repeat([1.0, 0.5, 0.0], [wins, draws, losses]))


def test_two_players_differ_by_the_logarithm_of_their_odds():
    """30 of 40 points, and one drawn game more, are odds of 30.5 to 10.5."""
    ratings = elo_ratings(2, [match(1, 0, wins=25, draws=10, losses=5)])
    assert ratings[0] == 0.0
    assert ratings[1] == pytest.approx(400.0 * np.log10(30.5 / 10.5), abs=1e-3)


def test_a_draw_is_half_a_win_of_either():
    drawn = elo_ratings(2, [match(0, 1, wins=0, draws=20, losses=0)])
    shared = elo_ratings(2, [match(0, 1, wins=10, draws=0, losses=10)])
    assert drawn == pytest.approx([0.0, 0.0], abs=1e-6) and shared == pytest.approx([0.0, 0.0], abs=1e-6)


def test_a_player_who_won_every_game_has_a_finite_rating_that_grows_with_the_games():
    few, many = (elo_ratings(2, [match(1, 0, wins=wins, draws=0, losses=0)])[1] for wins in (5, 50))
    assert 0.0 < few < many < 1_000.0


def test_ratings_do_not_depend_on_who_is_named_first_or_on_how_a_match_is_cut():
    whole = elo_ratings(3, [match(0, 1, 3, 2, 5), match(1, 2, 6, 0, 4)])
    turned = elo_ratings(3, [match(1, 0, 5, 2, 3), match(2, 1, 4, 0, 6)])
    parts = elo_ratings(3, [match(0, 1, 3, 0, 5), match(0, 1, 0, 2, 0), match(1, 2, 6, 0, 4)])
    assert turned == pytest.approx(whole, abs=1e-3) and parts == pytest.approx(whole, abs=1e-3)


def test_the_anchor_only_shifts_the_ratings():
    matches = [match(0, 1, 3, 2, 5), match(1, 2, 6, 0, 4), match(0, 2, 2, 2, 6)]
    assert np.diff(elo_ratings(3, matches, anchor=2)) == pytest.approx(np.diff(elo_ratings(3, matches)), abs=1e-3)
    assert elo_ratings(3, matches, anchor=2)[2] == 0.0


def simulated(true_ratings, games, seed):
    """A round robin without draws."""
    rng, players = np.random.default_rng(seed), range(len(true_ratings))
    return [
        Match(i, j, (rng.random(games) < 1.0 / (1.0 + 10.0 ** ((true_ratings[j] - true_ratings[i]) / 400.0))) * 1.0)
        for i in players
        for j in players
        if i < j
    ]


def test_ratings_come_back_from_simulated_games():
    truth = np.array([0.0, 120.0, 300.0, -80.0])
    assert elo_ratings(4, simulated(truth, 3_000, seed=0)) == pytest.approx(truth, abs=20.0)


def test_intervals_hold_the_true_rating_about_as_often_as_they_say():
    truth, held = np.array([0.0, 100.0]), 0
    for seed in range(60):
        low, high = elo_intervals(2, simulated(truth, 80, seed), seed=seed, num_resamples=120)[1]
        held += low <= truth[1] <= high
    assert 50 <= held <= 60  # 57 expected


def test_intervals_shrink_with_more_games_and_repeat_with_the_seed():
    few, many = (elo_intervals(2, simulated(np.array([0.0, 50.0]), games, 0), num_resamples=100) for games in (20, 500))
    assert np.ptp(many[1]) < np.ptp(few[1]) / 3
    again = elo_intervals(2, simulated(np.array([0.0, 50.0]), 20, 0), num_resamples=100)
    assert np.array_equal(few, again)


def test_a_player_without_games_is_refused():
    with pytest.raises(UsageError, match=r"players \[2\] are not connected with player 0 by games"):
        elo_ratings(3, [match(0, 1, 1, 1, 1)])

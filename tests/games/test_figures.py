"""The published figures, and scores normalised by them."""

import csv
from pathlib import Path

import pytest

import mzpipe.games
from mzpipe.games.figures import AGENTS_100K, MUZERO_20B, atari_figures, game_of, human_normalised, normalised_fields
from mzpipe.games.names import atari_names, canonical_name
from mzpipe.trained.scores.aggregates import mean, median, value_of

DATA = Path(mzpipe.games.__file__).parent / "data"


def normalised_of(agent):
    """A published agent's normalised scores, one run per game."""
    figures = atari_figures()
    return [
        [human_normalised(game, figures[game].published[agent])] for game in figures if agent in figures[game].published
    ]


def test_every_game_of_the_files_is_one_that_mzpipe_plays():
    canonical = {canonical_name(rom) for rom in atari_names().values()}
    assert len(atari_figures()) == 57
    assert set(atari_figures()) <= canonical
    assert sum("BBF" in figures.published for figures in atari_figures().values()) == 26


def test_figures_are_those_of_the_files():
    pong, venture = atari_figures()["Pong"], atari_figures()["Venture"]
    assert (pong.random, pong.human) == (-20.7, 14.6)
    assert dict(pong.published) == {"MuZero": -6.7, "EfficientZero": 20.1, "BBF": 16.7, MUZERO_20B: 21.0}
    assert (venture.random, venture.human, dict(venture.published)) == (0.0, 1187.5, {MUZERO_20B: 0.4})


@pytest.mark.parametrize(
    ("spelt", "game"),
    [
        ("Pong", "Pong"),
        ("ALE/MsPacman-v5", "MsPacman"),
        ("PongNoFrameskip-v4", "Pong"),
        ("Atari UpNDown: 84x84 grey, frame skip 4", "UpNDown"),
        ("Atari Pong (named 'ALE/Pong-v5'): 84x84 grey", "Pong"),
        ("CartPole-v1: 4 float32 values, stack 1", "CartPole-v1"),
        ("MinAtar/Breakout-v1", "MinAtar/Breakout-v1"),
        ("go: 9x9 board, 4 planes, stack 1, 82 actions, 2 players, cap 162 moves", "go 9x9"),
        ("tic_tac_toe: 3x3 board, 3 planes, stack 1, 9 actions, 2 players, cap 9 moves", "tic_tac_toe"),
        ("my_games:Maze", "my_games:Maze"),
        ("my_games:Maze: 3 float32 values, stack 1", "my_games:Maze"),
        ("", ""),
    ],
)
def test_game_of_finds_the_name_in_any_spelling_and_in_a_description(spelt, game):
    assert game_of(spelt) == game


def test_human_normalised_is_0_for_random_play_1_for_a_person_and_linear_between_and_beyond():
    assert human_normalised("Breakout", 1.7) == 0.0
    assert human_normalised("ALE/Breakout-v5", 30.5) == 1.0
    assert human_normalised("Breakout", 1.7 + 0.25 * 28.8) == pytest.approx(0.25)
    assert human_normalised("Breakout", 1.7 - 28.8) == pytest.approx(-1.0)


def test_human_normalised_is_none_for_games_without_figures():
    assert human_normalised("CartPole-v1", 500.0) is None
    assert human_normalised("Adventure", 1.0) is None  # an Atari game that is in no table
    assert normalised_fields("CartPole-v1", 500.0) == {}
    assert normalised_fields("Pong", 14.6) == {"human_normalised": 1.0}


def test_human_normalised_is_what_the_paper_printed_for_its_own_scores():
    with (DATA / "muzero57.csv").open() as file:
        printed = {canonical_name(row["game"].replace(" ", "_")): row for row in csv.DictReader(file)}
    # The others are normalised with the other file's random and human scores, which have one digit fewer.
    exact = [game for game, figures in atari_figures().items() if list(figures.published) == [MUZERO_20B]]
    assert len(exact) == 31
    for game in exact:
        percent = 100.0 * human_normalised(game, float(printed[game]["MuZero20B"]))
        assert percent == pytest.approx(float(printed[game]["MuZero_HNS_percent"]), abs=0.06)


@pytest.mark.parametrize(
    ("agent", "published_mean", "published_median"), [("EfficientZero", 1.943, 1.090), ("BBF", 2.247, 0.917)]
)
def test_mean_and_median_over_26_games_are_the_published_ones(agent, published_mean, published_median):
    assert value_of(mean, normalised_of(agent)) == pytest.approx(published_mean, abs=1e-3)
    assert value_of(median, normalised_of(agent)) == pytest.approx(published_median, abs=1e-3)


def test_agents_stand_in_the_order_in_which_they_are_shown():
    assert tuple(atari_figures()["Alien"].published) == (*AGENTS_100K, MUZERO_20B)

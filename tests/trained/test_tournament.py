"""Tournaments: seats, openings and scores, with players whose games are known."""

import numpy as np
import pytest

from mzpipe.config import GameConfig
from mzpipe.errors import UsageError
from mzpipe.evaluator.opponents import PerfectOpponent, RandomOpponent
from mzpipe.games import make_game
from mzpipe.trained.player import Player
from mzpipe.trained.tournament import (
    CheckpointOpponent,
    Contestant,
    draw_opening,
    play_both_seats,
    play_game,
    play_tournament,
)

from .runs import BOARD, make_run


class Listed:
    """Plays the first legal action of a list."""

    def __init__(self, *actions):
        self.actions = actions

    def choose(self, games, game):
        legal_A = games.legal_actions()[game]
        return next(action for action in self.actions if legal_A[action])


ROW, OTHERS = Listed(0, 1, 2, *range(3, 9)), Listed(3, 4, 8, 6, 7, 5, 2, 1, 0)


@pytest.fixture
def board():
    return make_game(GameConfig(name="tic_tac_toe"), 1, seed=0)


def test_score_is_that_of_the_player_in_the_first_seat(board):
    assert play_game(board, (ROW, OTHERS), []) == 1.0
    assert play_game(board, (OTHERS, ROW), []) == 0.0


def test_a_game_without_a_winner_is_half_a_point_for_either(board):
    perfect = PerfectOpponent(seed=0)
    assert play_game(board, (perfect, perfect), []) == 0.5


def test_both_seats_are_played_and_scored_for_the_same_player(board):
    assert list(play_both_seats(board, (ROW, OTHERS), [])) == [1.0, 1.0]
    assert list(play_both_seats(board, (OTHERS, ROW), [])) == [0.0, 0.0]


def test_the_players_continue_after_an_opening_that_neither_has_played(board):
    """The opening gives the first seat two of the row's squares, and ROW then takes the third."""
    assert play_game(board, (ROW, OTHERS), [0, 3, 1, 4]) == 1.0
    assert board.states[0].history() == [0, 3, 1, 4, 2]


def test_openings_are_legal_do_not_end_the_game_and_repeat_with_the_seed(board):
    openings = [draw_opening(board, 6, np.random.default_rng(seed)) for seed in range(30)]
    assert openings == [draw_opening(board, 6, np.random.default_rng(seed)) for seed in range(30)]
    assert len({tuple(opening) for opening in openings}) > 20
    for opening in openings:
        board.reset()
        for action in opening:
            step = board.step(np.array([action]))
        assert len(opening) == 6 and not step.terminated_B[0]


@pytest.mark.timeout(100)
def test_openings_as_long_as_the_game_are_refused(board):
    with pytest.raises(UsageError, match="openings of 9 random moves end tic_tac_toe: take fewer"):
        draw_opening(board, 9, np.random.default_rng(0))


def test_every_player_meets_every_other_twice_per_opening(board):
    contestants = [Contestant(str(seed), RandomOpponent(seed)) for seed in range(3)]
    seen = []
    matches = play_tournament(
        contestants, board, openings=4, opening_moves=2, seed=0, progress=lambda *done: seen.append(done)
    )
    assert [(match.first, match.second) for match in matches] == [(0, 1), (0, 2), (1, 2)]
    assert all(len(match.score_G) == 8 for match in matches)
    assert seen == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_a_checkpoint_plays_its_greedy_move(board, tmp_path):
    player = Player.load(make_run(tmp_path / "run", *BOARD))
    opponent = CheckpointOpponent(player)
    board.reset()
    board.step(np.array([4]))
    assert opponent.choose(board, 0) == player.move([4])

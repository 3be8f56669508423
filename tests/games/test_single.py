"""A batch of single games, and which faults in them it refuses."""

import numpy as np
import pytest

from mzpipe.errors import GameError
from mzpipe.games.game import GameSpec
from mzpipe.games.single import BatchedGame

from . import own_games
from .own_games import Nim, Walk


def spec_of(game, num_players=1, dtype="float32"):
    return GameSpec("walk", "a walk", tuple(game.frame_shape), dtype, 1, game.num_actions, num_players)


def batch(make, num_games=3, seed=0, max_moves=0, **spec):
    games = [make() for _ in range(num_games)]
    return BatchedGame(spec_of(games[0], **spec), games, seed, max_moves=max_moves)


def play_one_move(game):
    game.reset()
    game.legal_actions()
    game.step(np.zeros(game.num_games, np.int64))


def test_games_of_a_batch_begin_from_seeds_of_their_own_and_repeat():
    starts = [batch(Walk, 16, seed).reset() for seed in (0, 0, 1)]
    assert np.array_equal(starts[0], starts[1])
    assert not np.array_equal(starts[0], starts[2])
    assert len(np.unique(starts[0], axis=0)) > 1


def test_later_episodes_of_a_game_do_not_depend_on_the_moves_of_former_ones():
    short, long = batch(Walk, 1), batch(Walk, 1)
    for game, moves in ((short, 1), (long, 2)):
        game.reset()
        for _ in range(moves):
            game.step(np.array([0]))
    assert np.array_equal(short.reset(), long.reset())


def test_a_batch_is_truncated_at_its_limit_and_each_game_counts_for_itself():
    game = batch(Walk, 2, max_moves=2)
    game.reset()
    assert not game.step(np.array([1, 0])).truncated_B.any()
    game.reset(np.array([False, True]))
    result = game.step(np.array([0, 1]))
    assert result.truncated_B.tolist() == [True, False]
    assert not result.terminated_B.any()


def test_a_game_that_ends_on_its_last_allowed_move_is_terminated_only():
    game = batch(Nim, 1, max_moves=3, num_players=2)
    game.reset()
    result = [game.step(np.array([action])) for action in (2, 2, 0)][-1]
    assert result.terminated_B[0] and not result.truncated_B[0]
    assert result.reward_B[0] == 1.0


def test_players_and_legal_actions_are_the_games_own():
    game = batch(lambda: Nim(4), 2, num_players=2)
    game.reset()
    assert game.to_play().tolist() == [0, 0]
    game.step(np.array([1, 0]))
    assert game.to_play().tolist() == [1, 1]
    assert game.legal_actions().tolist() == [[True, True, False], [True, True, True]]


def test_players_who_do_not_move_in_turn_are_refused():
    """Search and targets change signs with every move."""
    game = batch(own_games.MovesTwice, 2, num_players=2)
    game.reset()
    game.step(np.array([1, 2]))
    with pytest.raises(GameError, match=r"walk: to_play\(\) said the same player twice in a row"):
        game.step(np.array([1, 0]))


def test_a_game_that_ended_is_not_asked_who_moves_next():
    class Forgetful(Nim):
        def to_play(self):
            assert self.left > 0
            return super().to_play()

    game = batch(lambda: Forgetful(2), 1, num_players=2)
    game.reset()
    assert game.step(np.array([1])).terminated_B[0]


def test_a_step_of_a_mask_leaves_the_other_games_as_they_are():
    game = batch(lambda: Nim(4), 3, num_players=2, max_moves=1)
    before_BF = game.reset()
    result = game.step(np.array([1, 0, 2]), np.array([True, False, False]))
    assert game.to_play().tolist() == [1, 0, 0]
    assert np.array_equal(result.frame_BF[1:], before_BF[1:]) and not np.array_equal(result.frame_BF[0], before_BF[0])
    assert result.truncated_B.tolist() == [True, False, False]
    game.reset(result.truncated_B)
    assert game.step(np.array([0, 0, 2])).truncated_B.all()


def test_an_ended_game_allows_everything_so_that_it_can_still_be_searched():
    game = batch(lambda: Nim(1), 2, num_players=2)
    game.reset()
    game.step(np.array([0, 0]))
    assert game.legal_actions().all()


def test_frames_are_the_callers_and_of_the_specs_kind():
    game = batch(Walk, 2)
    start_BF = game.reset()
    kept = start_BF.copy()
    result = game.step(np.array([0, 1]))
    game.reset(result.terminated_B | True)
    assert np.array_equal(start_BF, kept)
    assert start_BF.dtype == result.frame_BF.dtype == np.float32


def test_close_closes_every_game_once():
    games = [Walk(), Walk()]
    batched = BatchedGame(spec_of(games[0]), games, 0)
    batched.close()
    batched.close()
    assert [game.closed for game in games] == [1, 1]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("FiveValues", r"step\(\) must return \(frame, reward, terminated, truncated\), it returned 5 values"),
        ("WrongShape", r"reset\(\) returned a frame of shape \(9,\), frame_shape=\(8,\)"),
        ("NotANumber", r"reset\(\) returned a frame with numbers that are not finite"),
        ("BadReward", r"step\(\) returned the reward inf, which is not a finite number"),
        ("Endless", r"step\(\) said terminated and truncated at once"),
        ("Stuck", "walk: no legal action though the game continues"),
    ],
)
def test_a_game_that_breaks_the_protocol_is_named_in_one_line(name, text):
    with pytest.raises(GameError, match=text) as caught:
        play_one_move(batch(getattr(own_games, name), 2))
    assert "\n" not in str(caught.value)


def test_fractions_are_refused_as_bytes():
    with pytest.raises(GameError, match=r"returned a frame of float64, frame_dtype='uint8'"):
        batch(Walk, 2, dtype="uint8").reset()


@pytest.mark.parametrize(
    ("frame", "dtype", "text"),
    [
        (np.full(9, 300, np.uint16), "uint8", "a frame of uint16, frame_dtype='uint8'"),
        (np.full(9, 1e300), "float32", "a frame with numbers that are not finite"),
    ],
)
def test_a_frame_that_does_not_fit_its_kind_is_refused(frame, dtype, text):
    class Large(Walk):
        def reset(self, seed):
            return frame

    with pytest.raises(GameError, match=text):
        batch(Large, 1, dtype=dtype).reset()


@pytest.mark.parametrize("reward", [1e39, -1e39, np.nan, np.float64(1e39)])
def test_a_reward_that_float32_does_not_hold_is_refused(reward):
    class Rich(Walk):
        def step(self, action):
            frame, _, terminated, truncated = super().step(action)
            return frame, reward, terminated, truncated

    with pytest.raises(GameError, match="which is not a finite number"):
        play_one_move(batch(Rich, 1))


@pytest.mark.parametrize("legal", [np.ones(2, np.int8), np.ones(3, np.bool_), [True]])
def test_a_legal_mask_of_another_kind_is_refused(legal):
    class Odd(Walk):
        def legal_actions(self):
            return legal

    game = batch(Odd, 1)
    game.reset()
    with pytest.raises(GameError, match="not a bool for each of num_actions=2"):
        game.legal_actions()


def test_a_player_that_the_game_does_not_have_is_refused():
    class Odd(Walk):
        def to_play(self):
            return 1

    with pytest.raises(GameError, match=r"to_play\(\) returned 1, num_players=1"):
        batch(Odd, 1).to_play()

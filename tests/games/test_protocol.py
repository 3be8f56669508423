"""What every family promises beyond shapes and seeds: masks, arrays that keep their values, misuse refused."""

import numpy as np
import pytest

from mzpipe.config import GameConfig
from mzpipe.games import describe_game, make_game
from mzpipe.games.game import game_seeds

from .helpers import ALL_GAMES, assert_same_results, play, random_actions

pytestmark = pytest.mark.slow  # emulators take a tenth of a second each to boot

B = 2
each_game = pytest.mark.parametrize("config", ALL_GAMES, ids=lambda config: config.name)


@each_game
def test_every_legal_action_can_be_played_when_the_game_is_live(config):
    game = make_game(config, 1, seed=0)
    game.reset()
    for action in np.flatnonzero(game.legal_actions()[0]):
        assert np.isfinite(game.step(np.array([action])).reward_B).all()


@each_game
def test_reset_of_a_mask_leaves_the_other_games_untouched(config):
    kept, disturbed = (make_game(config, 2, seed=5) for _ in range(2))
    mask_B = np.array([False, True])
    others = slice(0, 1)
    action_TB = random_actions(kept, 12)
    for game in (kept, disturbed):
        game.reset()
    assert_same_results(play(kept, action_TB[:4]), play(disturbed, action_TB[:4]))
    before_BF = disturbed.step(action_TB[4]).frame_BF
    kept.step(action_TB[4])
    after_BF = disturbed.reset(mask_B)
    assert np.array_equal(before_BF[others], after_BF[others])
    assert not np.array_equal(before_BF[mask_B], after_BF[mask_B])
    assert_same_results(play(kept, action_TB[5:]), play(disturbed, action_TB[5:]), others)


@each_game
def test_reset_returns_the_current_frames_when_the_mask_is_empty(config):
    game = make_game(config, B, seed=0)
    game.reset()
    frame_BF = game.step(np.zeros(B, np.int64)).frame_BF
    assert np.array_equal(game.reset(np.zeros(B, np.bool_)), frame_BF)


@each_game
def test_returned_arrays_keep_their_values_when_the_game_goes_on(config):
    game = make_game(config, B, seed=0)
    start_BF = game.reset()
    results = [game.step(np.zeros(B, np.int64))]
    copies = [start_BF.copy(), *(array.copy() for array in results[0])]
    play(game, random_actions(game, 20))
    game.reset(np.array([True, False]))
    game.reset()
    for returned, copy in zip([start_BF, *results[0]], copies, strict=True):
        assert np.array_equal(returned, copy)


@each_game
def test_step_refuses_an_action_when_it_is_out_of_range(config):
    game = make_game(config, B, seed=0)
    game.reset()
    for action in (-1, game.spec.num_actions):
        with pytest.raises(AssertionError, match="leave 0"):
            game.step(np.array([0, action]))


@each_game
def test_step_refuses_to_play_when_a_game_has_ended(config):
    game = make_game(GameConfig(name=config.name, atari=config.atari, max_episode_moves=1), B, seed=0)
    game.reset()
    assert game.step(np.zeros(B, np.int64)).truncated_B.all()
    game.reset(np.array([True, False]))
    with pytest.raises(AssertionError, match=r"games \[1\] have ended"):
        game.step(np.zeros(B, np.int64))


@each_game
def test_close_does_nothing_when_called_twice(config):
    game = make_game(config, 1, seed=0)
    game.reset()
    game.close()
    game.close()


@each_game
def test_describe_game_gives_the_spec_of_the_built_game(config):
    assert describe_game(config) == make_game(config, 2, seed=1).spec


@each_game
def test_games_of_one_batch_and_later_episodes_differ_when_the_seed_is_one(config):
    game = make_game(config, 4, seed=7)
    # Pong's screen stands still until the serve; two of its no-op counts may agree.
    num_moves, num_distinct = (30, 6) if config.name == "Pong" else (3, 8)
    episodes = set()
    for _ in range(2):
        game.reset()
        frames = np.stack([game.step(np.zeros(4, np.int64)).frame_BF for _ in range(num_moves)], axis=1)
        episodes |= {one.tobytes() for one in frames}
    assert len(episodes) >= num_distinct


def test_seeds_are_shared_by_no_two_games_when_batches_have_neighbouring_seeds():
    seeds = [game_seed for seed in range(20) for game_seed in game_seeds(seed, 16)]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= game_seed < 2**31 for game_seed in seeds)

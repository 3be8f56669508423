"""Atari: the cap, no-ops, sticky actions and lives."""

import numpy as np
import pytest

from mzpipe.config import AtariConfig, GameConfig
from mzpipe.games import describe_game, make_game
from mzpipe.games.atari import AtariGame
from tests.processes import threads
from tests.waiting import eventually

from .helpers import PONG, SERVE_AND_WAIT, assert_same_results, breakout, play, random_actions

pytestmark = pytest.mark.slow  # emulators take a tenth of a second each to boot


def _steps_until_truncated(game) -> int:
    game.reset()
    for num_steps in range(1, 1000):
        result = game.step(np.zeros(game.num_games, np.int64))
        assert not result.terminated_B.any()
        if result.truncated_B.any():
            assert result.truncated_B.all()
            return num_steps
    raise AssertionError("never truncated")


def test_another_spelling_plays_the_same_game_when_seed_and_settings_agree():
    reference = make_game(PONG, 2, seed=1)
    named = make_game(GameConfig(name="ALE/Pong-v5", atari=PONG.atari), 2, seed=1)
    assert np.array_equal(reference.reset(), named.reset())
    action_TB = random_actions(reference, 25)
    assert_same_results(play(reference, action_TB), play(named, action_TB))


def test_description_says_rgb_and_all_actions_when_configured():
    config = GameConfig(
        name="Pong", atari=AtariConfig(grayscale=False, full_action_space=True, image_size=96, frame_skip=1)
    )
    said = describe_game(config)
    assert said.frame_shape == (3, 96, 96)
    assert said.num_actions == 18
    assert said.description.startswith("Atari Pong: 96x96 RGB, frame skip 1, stack 1,")


def test_rgb_frames_carry_three_different_channels_first():
    game = make_game(GameConfig(name="Pong", atari=AtariConfig(grayscale=False, image_size=42)), 2, seed=0)
    frame_BF = game.reset()
    assert frame_BF.shape == (2, 3, 42, 42) and frame_BF.flags.c_contiguous
    red, green, blue = frame_BF[0]
    assert not np.array_equal(red, green) and not np.array_equal(green, blue)


def test_frame_cap_truncates_and_does_not_terminate():
    game = make_game(GameConfig(name="Pong", atari=AtariConfig(max_episode_frames=100, image_size=42)), 3, seed=0)
    assert _steps_until_truncated(game) == 25
    assert _steps_until_truncated(game) == 25, "the count begins anew with the episode"


@pytest.mark.parametrize(("max_episode_moves", "num_steps"), [(7, 7), (1000, 25)])
def test_the_nearer_of_both_caps_truncates_when_moves_are_capped_too(max_episode_moves, num_steps):
    settings = AtariConfig(max_episode_frames=100, image_size=42)
    config = GameConfig(name="Pong", max_episode_moves=max_episode_moves, atari=settings)
    assert f"cap {4 * num_steps} frames" in describe_game(config).description
    assert _steps_until_truncated(make_game(config, 2, seed=0)) == num_steps


@pytest.mark.parametrize("noop_max", [0, 3])
def test_no_ops_reach_their_maximum_and_never_pass_it(noop_max):
    config = GameConfig(name="Pong", atari=AtariConfig(noop_max=noop_max, image_size=42))
    game = AtariGame(config, 1, seed=0, training=True)
    num_no_ops = set()
    for _ in range(60):
        game.reset()
        # The emulator's own frame count where the episode starts.
        num_no_ops.add(int(game._start_frame_B[0]))
    assert num_no_ops == set(range(noop_max + 1))


def test_sticky_actions_change_the_game_when_set():
    sticky = GameConfig(name="Pong", atari=AtariConfig(image_size=42, sticky_actions=0.5, noop_max=0))
    plain = GameConfig(name="Pong", atari=AtariConfig(image_size=42, noop_max=0))
    action_TB = np.tile(np.array([[2], [3]]), (40, 2))
    final = {}
    for config in (sticky, plain):
        game = make_game(config, 2, seed=0)
        game.reset()
        final[config] = play(game, action_TB)[-1].frame_BF
    assert np.array_equal(final[plain][0], final[plain][1])
    assert not np.array_equal(final[sticky][0], final[sticky][1])


def _episode_ends(game, num_steps: int) -> list[int]:
    game.reset()
    results = play(game, np.tile(np.array(SERVE_AND_WAIT)[:, None], (num_steps // 2, 1)))
    return [step for step, result in enumerate(results) if result.terminated_B[0]]


def test_a_lost_life_ends_the_episode_in_training_games_only_and_the_game_goes_on():
    config = breakout(life_loss_terminates=True)
    lives = _episode_ends(make_game(config, 1, seed=0, training=True), 140)
    whole = _episode_ends(make_game(config, 1, seed=0, training=False), 140)
    assert (len(lives), len(whole)) == (5, 1)
    assert lives[-1] == whole[0], "the fifth life ends when the whole game does"


def test_a_lost_life_ends_nothing_in_training_games_when_not_configured():
    assert len(_episode_ends(make_game(breakout(), 1, seed=0, training=True), 140)) == 1


def test_reset_returns_the_frame_of_the_lost_life_when_the_game_goes_on():
    game = make_game(breakout(life_loss_terminates=True), 1, seed=0)
    game.reset()
    for step in range(60):
        result = game.step(np.array([SERVE_AND_WAIT[step % 2]]))
        if result.terminated_B[0]:
            assert np.array_equal(game.reset(np.array([True])), result.frame_BF)
            assert not game.step(np.array([0])).terminated_B[0]
            return
    raise AssertionError("no life was lost")


def test_reset_restarts_the_cartridge_when_no_mask_is_given_after_a_lost_life():
    game = make_game(breakout(life_loss_terminates=True), 1, seed=0)
    start_BF = game.reset()
    for step in range(60):
        if game.step(np.array([SERVE_AND_WAIT[step % 2]])).terminated_B[0]:
            break
    assert np.array_equal(game.reset(), start_BF)


def test_close_ends_the_emulator_threads():
    before = threads()
    game = make_game(PONG, 2, seed=0)
    game.reset()
    emulators = threads() - before
    game.close()
    assert emulators
    assert eventually(lambda: not emulators & threads())

"""EnvPool's environments: episodes, seeds and names; its Atari beside an emulator that is stepped frame by frame."""

import ale_py
import numpy as np
import pytest
from ale_py import roms

from mzpipe.config import GameConfig, GymnasiumConfig
from mzpipe.errors import ConfigError, UsageError
from mzpipe.games import make_game

pytestmark = pytest.mark.slow  # importing EnvPool takes seconds


def pool(name, num_games=3, seed=0, *, max_episode_moves=0, **arguments):
    gymnasium = GymnasiumConfig(arguments=arguments)
    return make_game(
        GameConfig(name=f"envpool:{name}", max_episode_moves=max_episode_moves, gymnasium=gymnasium), num_games, seed
    )


def test_episodes_begin_anew_only_when_they_are_reset_and_repeat_from_the_seed():
    games, rng, ends = [pool("CartPole-v1", seed=seed) for seed in (1, 1, 2)], np.random.default_rng(0), 0
    first, again, other = (game.reset() for game in games)
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    for _ in range(200):
        action_B = rng.integers(0, 2, 3)
        step, same = games[0].step(action_B), games[1].step(action_B)
        np.testing.assert_array_equal(step.frame_BF, same.frame_BF)
        ended_B = step.terminated_B
        # The pole of a final frame lies: nothing of the next episode is in it.
        np.testing.assert_array_equal(
            ended_B, (np.abs(step.frame_BF[:, 2]) > 0.20943) | (np.abs(step.frame_BF[:, 0]) > 2.4)
        )
        frame_BF = games[0].reset(ended_B)
        games[1].reset(ended_B)
        assert (np.abs(frame_BF[ended_B]) <= 0.05).all()
        np.testing.assert_array_equal(frame_BF[~ended_B], step.frame_BF[~ended_B])
        ends += ended_B.sum()
    assert ends > 10


def test_a_game_that_is_reset_in_its_middle_begins_a_new_episode():
    game = pool("CartPole-v1", max_episode_moves=5)
    game.reset()
    for _ in range(4):
        assert not game.step(np.zeros(3, np.int64)).truncated_B.any()
    assert game.step(np.zeros(3, np.int64)).truncated_B.all()
    assert (np.abs(game.reset(np.ones(3, np.bool_))) <= 0.05).all()


@pytest.mark.parametrize("name", ["Pong", "MsPacman"])
def test_atari_equals_an_emulator_stepped_frame_by_frame_after_one_no_op(name):
    rom = {"Pong": "pong", "MsPacman": "ms_pacman"}[name]
    arguments = {"stack_num": 1, "use_fire_reset": False, "noop_max": 1, "img_height": 210, "img_width": 160}
    game, rng = pool(f"{name}-v5", 1, **arguments), np.random.default_rng(0)
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    ale = ale_py.ALEInterface()
    ale.setFloat("repeat_action_probability", 0.0)
    ale.loadROM(roms.get_rom_path(rom))
    ale.reset_game()
    actions = ale.getMinimalActionSet()
    ale.act(actions[0])
    np.testing.assert_array_equal(game.reset()[0, 0], ale.getScreenGrayscale())
    for _ in range(200):
        action = int(rng.integers(len(actions)))
        reward, screens = 0, []
        for _ in range(4):
            reward += ale.act(actions[action])
            screens.append(ale.getScreenGrayscale())
        step = game.step(np.array([action]))
        np.testing.assert_array_equal(step.frame_BF[0, 0], np.maximum(*screens[-2:]))
        assert step.reward_B[0] == reward and not ale.game_over()


@pytest.mark.parametrize(
    ("name", "arguments", "text"),
    [
        ("Pogn-v5", {}, "EnvPool has no such environment; did you mean envpool:Pong-v5?"),
        ("CartPole-v1", {"gravity_of_the_moon": 1.6}, "with game.gymnasium.arguments={'gravity_of_the_moon': 1.6}"),
        ("Pendulum-v1", {}, "actions are Box"),
    ],
)
def test_what_cannot_be_played_is_refused_in_one_line(name, arguments, text):
    with pytest.raises(ConfigError) as caught:
        pool(name, **arguments)
    assert text in str(caught.value) and "\n" not in str(caught.value)


def test_the_line_says_what_to_install_where_envpool_is_missing(monkeypatch):
    monkeypatch.setattr("mzpipe.extras.is_installed", lambda package: False)
    with pytest.raises(UsageError, match=r"pip install 'mzpipe\[envpool\]'"):
        pool("CartPole-v1")

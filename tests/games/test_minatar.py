"""MinAtar's games against the package's own environment, and how they end."""

import subprocess
import sys

import numpy as np
import pytest

from mzpipe.config import GameConfig, MinAtarConfig
from mzpipe.errors import ConfigError
from mzpipe.games import describe_game, make_game, minatar
from mzpipe.games.names import MINATAR_GAMES, minatar_names

STEADY = MinAtarConfig(sticky_actions=0.0)


def single(name, settings=STEADY):
    return minatar.MinAtarGame(
        minatar_names()[name],
        sticky_actions=settings.sticky_actions,
        difficulty_ramping=settings.difficulty_ramping,
    )


@pytest.mark.parametrize(
    ("name", "planes", "num_actions"),
    [("Asterix", 4, 5), ("Breakout", 4, 3), ("Freeway", 7, 3), ("Seaquest", 10, 6), ("SpaceInvaders", 6, 4)],
)
def test_every_game_has_its_planes_and_its_actions(name, planes, num_actions):
    spec = describe_game(GameConfig(name=f"MinAtar/{name}"))
    assert (spec.frame_shape, spec.frame_dtype, spec.num_actions) == ((planes, 10, 10), "uint8", num_actions)
    assert spec.name == f"MinAtar/{name}-v1"
    assert describe_game(GameConfig(name=f"MinAtar/{name}-v0")).num_actions == 6


def test_description_says_what_was_built():
    config = GameConfig(name="minatar/breakout", minatar=STEADY, max_episode_moves=9)
    assert describe_game(config).description == (
        "MinAtar/Breakout-v1 (named 'minatar/breakout'): 4 planes of 10x10, stack 1, sticky 0.0, 3 actions, cap 9 moves"
    )


@pytest.mark.slow  # the package's own __init__ loads matplotlib and seaborn
@pytest.mark.parametrize("name", MINATAR_GAMES)
@pytest.mark.parametrize("sticky", [0.0, 0.3])
def test_moves_are_those_of_the_packages_environment(name, sticky):
    from minatar import Environment

    theirs, ours = Environment(name, sticky_action_prob=sticky), single(f"minatar/{name}", MinAtarConfig(sticky))
    theirs.seed(5)
    theirs.reset()
    assert np.array_equal(ours.reset(5), 255 * np.moveaxis(theirs.state(), -1, 0))
    actions = theirs.minimal_action_set()
    for action in np.random.default_rng(0).integers(0, len(actions), 300):
        reward, ended = theirs.act(actions[action])
        frame, our_reward, terminated, truncated = ours.step(int(action))
        assert np.array_equal(frame, 255 * np.moveaxis(theirs.state(), -1, 0))
        assert (our_reward, terminated or truncated) == (reward, ended)
        if ended:
            break


def test_planes_hold_0_and_255_only():
    assert set(np.unique(single("MinAtar/Freeway").reset(0)).tolist()) == {0, 255}


def test_freeway_is_truncated_by_its_2501_moves_and_breakout_terminated_by_a_lost_ball():
    ends = {}
    for name in ("MinAtar/Freeway", "MinAtar/Breakout"):
        game, num_moves, terminated, truncated = single(name), 0, False, False
        game.reset(0)
        while not terminated and not truncated:
            _, _, terminated, truncated = game.step(0)
            num_moves += 1
        ends[name] = (num_moves, terminated, truncated)
    assert ends["MinAtar/Freeway"] == (2501, False, True)
    assert ends["MinAtar/Breakout"][1:] == (True, False)


def test_sticky_actions_repeat_the_last_action_unless_their_probability_is_0():
    def moves(sticky):
        game = single("MinAtar/Freeway-v1", MinAtarConfig(sticky_actions=sticky))
        game.reset(1)
        return np.stack([game.step(move % 2)[0] for move in range(40)])

    assert np.array_equal(moves(0.0), moves(0.0))
    assert not np.array_equal(moves(0.0), moves(0.9))


def test_games_repeat_from_their_seed_and_differ_from_one_another():
    def frames(seed):
        game = make_game(GameConfig(name="MinAtar/Freeway"), 3, seed)
        game.reset()
        return np.stack([game.step(np.ones(3, np.int64)).frame_BF for _ in range(20)])

    first, second, other = frames(1), frames(1), frames(2)
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first[:, 0], first[:, 1])


def test_the_pip_command_is_named_where_the_package_is_missing(monkeypatch):
    minatar._game_module.cache_clear()
    monkeypatch.setattr(minatar.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"need the minatar package: pip install 'mzpipe\[minatar\]'"):
        make_game(GameConfig(name="MinAtar/Breakout"), 1, 0)


@pytest.mark.slow
def test_games_load_no_plotting_library():
    code = (
        "from mzpipe.config import GameConfig; from mzpipe.games import make_game; import sys;"
        "make_game(GameConfig(name='MinAtar/Seaquest'), 2, seed=0).reset();"
        "sys.exit(bool({'matplotlib', 'seaborn', 'torch'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=250).returncode == 0

"""Gymnasium's environments: how episodes end, what their spaces become, and what is refused."""

import subprocess
import sys
from typing import get_args

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete
from hypothesis import given
from hypothesis import strategies as st

from mzpipe.config import GameConfig, GymnasiumConfig, load_profile, parse_profile
from mzpipe.config.game import GymnasiumWrapper
from mzpipe.errors import ConfigError
from mzpipe.games import Game, describe_game, make_game
from mzpipe.games.gymnasium_family import GymnasiumGame
from mzpipe.games.gymnasium_wrappers import WRAPPERS
from mzpipe.games.names import gymnasium_names
from mzpipe.runs.directory import save_profile

from .own_games import Spaced

CARTPOLE, LUNAR_LANDER = GameConfig(name="CartPole-v1"), GameConfig(name="LunarLander-v3")


def _balance(frame_BF: np.ndarray) -> np.ndarray:
    """Pushes the cart under the falling pole; holds it up for good."""
    position, velocity, angle, angular_velocity = frame_BF.T
    return (angle + 0.25 * angular_velocity + 0.05 * position + 0.1 * velocity > 0).astype(np.int64)


def _balance_until_the_end(game: Game) -> tuple[int, np.ndarray, np.ndarray]:
    frame_BF = game.reset()
    for num_moves in range(1, 10_000):
        frame_BF, _, terminated_B, truncated_B = game.step(_balance(frame_BF))
        if (terminated_B | truncated_B).any():
            return num_moves, terminated_B, truncated_B
    raise AssertionError("never ended")


def test_cartpole_is_truncated_and_not_terminated_when_500_moves_are_played():
    num_moves, terminated_B, truncated_B = _balance_until_the_end(make_game(CARTPOLE, 2, seed=0))
    assert num_moves == 500
    assert truncated_B.all() and not terminated_B.any()


def test_cartpole_is_truncated_when_max_episode_moves_are_played():
    config = GameConfig(name="CartPole-v1", max_episode_moves=40)
    num_moves, terminated_B, truncated_B = _balance_until_the_end(make_game(config, 2, seed=0))
    assert num_moves == 40
    assert truncated_B.all() and not terminated_B.any()
    assert describe_game(config).description == "CartPole-v1: 4 float32 values, stack 1, 2 actions, cap 40 moves"


def test_cartpole_lasts_longer_than_500_when_max_episode_moves_allows_it():
    config = GameConfig(name="CartPole-v1", max_episode_moves=600)
    assert _balance_until_the_end(make_game(config, 2, seed=0))[0] == 600


def test_cartpole_is_terminated_and_not_truncated_when_it_falls_on_the_last_allowed_move():
    free = make_game(CARTPOLE, 1, seed=0)
    free.reset()
    num_moves = 1
    while not free.step(np.array([1])).terminated_B[0]:
        num_moves += 1
    capped = make_game(GameConfig(name="CartPole-v1", max_episode_moves=num_moves), 1, seed=0)
    capped.reset()
    result = [capped.step(np.array([1])) for _ in range(num_moves)][-1]
    assert result.terminated_B[0] and not result.truncated_B[0]


def test_lunar_lander_lands_or_crashes_when_the_engines_stay_off():
    game = make_game(LUNAR_LANDER, 1, seed=0)
    frame_BF = game.reset()
    assert frame_BF.shape == (1, 8) and game.spec.num_actions == 4
    rewards = []
    terminated = False
    while not terminated:
        result = game.step(np.array([0]))
        terminated = bool(result.terminated_B[0])
        rewards.append(result.reward_B[0])
    assert len(rewards) < 1000
    assert rewards[-1] == -100.0


def test_nothing_is_printed_and_no_display_opened_when_a_game_is_built():
    code = (
        "from mzpipe.config import GameConfig; from mzpipe.games import make_game; import sys;"
        "[make_game(GameConfig(name=name), 1, seed=0).reset() for name in ('LunarLander-v3', 'Pong')];"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=250)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_arguments_reach_the_environment():
    walk = np.array([2, 2, 1, 1, 1, 2])  # right, right, down, down, down, right: around the holes, where nothing slips
    config = GameConfig(
        name="FrozenLake-v1", gymnasium=GymnasiumConfig(arguments={"map_name": "4x4", "is_slippery": False})
    )
    game = make_game(config, 1, seed=0)
    game.reset()
    results = [game.step(np.array([action])) for action in walk]
    assert [float(result.reward_B[0]) for result in results] == [0.0] * 5 + [1.0]
    assert results[-1].terminated_B[0]
    assert results[-1].frame_BF[0].argmax() == 15


@pytest.mark.parametrize(
    ("name", "options", "text"),
    [
        (
            "Pendulum-v1",
            {},
            r"its actions are Box\(-2.0, 2.0, \(1,\), float32\), but game.gymnasium.action_bins=0: say",
        ),
        ("Pendulum-v1", {"action_bins": 1}, r"game.gymnasium.action_bins=1: say how many values .*, 2 or more"),
        (
            "FrozenLake-v1",
            {"arguments": {"slippy": True}},
            r"with game.gymnasium.arguments=\{'slippy': True\}: TypeError",
        ),
        ("FrozenLake-v1", {"arguments": {"map_name": "9x9"}}, "KeyError: '9x9'"),
        ("CartPole-v1", {"arguments": {"max_episode_steps": 3}}, "TypeError: .*multiple values for keyword"),
        ("CartPole-v1", {"wrappers": ("grayscale",)}, "'grayscale' does not suit CartPole-v1: .*3 channels"),
        ("CartPole-v1", {"wrappers": ("halve",)}, r"'halve' does not suit CartPole-v1: it takes images, not Box"),
    ],
)
def test_what_cannot_be_searched_or_made_is_refused_in_one_line(name, options, text):
    with pytest.raises(ConfigError, match=text) as caught:
        make_game(GameConfig(name=name, gymnasium=GymnasiumConfig(**options)), 1, seed=0)
    assert "\n" not in str(caught.value)


def test_wrappers_show_drawn_images_greyed_and_halved():
    config = GameConfig(
        name="FrozenLake-v1",
        gymnasium=GymnasiumConfig(wrappers=("pixels", "grayscale", "halve", "halve")),
        frame_stack=2,
    )
    game = make_game(config, 2, seed=0)
    start_BF = game.reset()
    assert (game.spec.frame_shape, game.spec.frame_dtype) == ((1, 64, 64), "uint8")
    assert start_BF.min() < start_BF.max()
    assert "1x64x64 uint8 image, pixels, grayscale, halve, halve, stack 2" in game.spec.description


def test_halving_takes_means_of_four_and_drops_an_odd_column():
    image = np.array([[[0], [4], [9]], [[8], [12], [9]]], np.uint8)
    assert WRAPPERS["halve"](_Still(image)).reset()[0].tolist() == [[[6]]]


class _Still(gymnasium.Env):
    def __init__(self, image: np.ndarray) -> None:
        self.observation_space, self.image = Box(0, 255, image.shape, np.uint8), image

    def reset(self, **options):
        return self.image, {}


def test_every_wrapper_that_a_profile_may_name_is_there():
    assert set(WRAPPERS) == set(get_args(GymnasiumWrapper))


def test_names_leave_out_what_other_families_play():
    assert "Acrobot-v1" in gymnasium_names()
    assert [name for name in gymnasium_names() if name.startswith(("ALE/", "Pong", "MinAtar/", "GymV"))] == []


@pytest.mark.parametrize(
    "options",
    [
        "arguments = { Slippery = true }",
        "arguments = { is_slippery = [1] }",
        'wrappers = ["normalize"]',
        "argments = {}",
    ],
)
def test_odd_options_are_refused_with_their_field(options):
    with pytest.raises(ConfigError, match=r"^game.gymnasium\.(arguments|wrappers|argments)"):
        parse_profile(f"[game.gymnasium]\n{options}\n[stop]\nminutes = 1")


def test_arguments_are_kept_with_a_saved_profile(tmp_path):
    profile = parse_profile("", ["stop.minutes=1", "game.gymnasium.arguments.is_slippery=false"])
    save_profile(profile, tmp_path / "profile.toml")
    assert load_profile(tmp_path / "profile.toml").game.gymnasium.arguments == {"is_slippery": False}


def test_description_says_that_the_limit_counts_steps_under_the_wrapper_twice():
    config = GameConfig(max_episode_moves=5, gymnasium=GymnasiumConfig(wrappers=("twice",)))
    assert describe_game(config).description.endswith("twice, stack 1, 2 actions, cap 5 steps of its own")
    game = make_game(config, 1, seed=0)
    game.reset()
    assert [game.step(np.array([0])).truncated_B[0] for _ in range(3)] == [False, False, True]


def test_twice_plays_every_action_two_times_and_adds_up_the_rewards_to_the_end():
    plain, doubled = (
        make_game(GameConfig(name="CartPole-v1", gymnasium=GymnasiumConfig(wrappers=wrappers)), 1, seed=0)
        for wrappers in ((), ("twice",))
    )
    plain.reset()
    doubled.reset()
    ended, rewards = False, []
    while not ended:
        once = [plain.step(np.array([1]))]
        if not once[0].terminated_B[0]:
            once.append(plain.step(np.array([1])))
        both = doubled.step(np.array([1]))
        assert np.array_equal(both.frame_BF, once[-1].frame_BF)
        assert both.reward_B[0] == len(once)
        ended = bool(both.terminated_B[0])
        rewards.append(both.reward_B[0])
    assert ended == once[-1].terminated_B[0]
    assert len(rewards) > 1


def _boxes():
    kinds = st.sampled_from([np.float32, np.float64, np.uint8, np.int8, np.int64, np.bool_])
    shapes = st.one_of(
        st.just(()),
        st.tuples(st.integers(1, 5)),
        st.tuples(*2 * [st.integers(1, 5)]),
        st.tuples(*3 * [st.integers(1, 5)]),
    )
    return st.builds(lambda kind, shape: Box(0, 1 if kind == np.bool_ else 100, shape, kind), kinds, shapes)


SPACES = st.one_of(
    _boxes(),
    st.builds(lambda n, start: Discrete(n, start=start), st.integers(1, 5), st.integers(-3, 3)),
    st.builds(
        lambda parts: MultiDiscrete([n for n, _ in parts], start=[start for _, start in parts]),
        st.lists(st.tuples(st.integers(1, 4), st.integers(-3, 3)), min_size=1, max_size=3),
    ),
    st.builds(MultiBinary, st.one_of(st.integers(1, 4), st.tuples(st.integers(1, 3), st.integers(1, 3)))),
)


@given(space=SPACES, channels=st.sampled_from(["auto", "first", "last"]), seed=st.integers(0, 100))
def test_what_a_caller_shows_becomes_the_frame_that_training_sees_and_an_action_becomes_the_environments(
    space, channels, seed
):
    env = Spaced(space)
    config = GameConfig(name="spaced", gymnasium=GymnasiumConfig(image_channels=channels))
    game = GymnasiumGame(config, 1, seed, lambda config: env)
    outside = game.outside
    frames = [game.reset(), *(game.step(np.array([action])).frame_BF for action in range(3))]
    for frame_BF, observation in zip(frames, env.seen, strict=True):
        shown = outside.frame(observation)
        assert shown.dtype == frame_BF.dtype and np.array_equal(shown, frame_BF[0])
        assert np.array_equal(outside.frame(np.asarray(observation).tolist()), shown) or space.dtype == np.uint8
    assert env.played == [action + game.spec.first_action for action in range(3)] == [5, 6, 7]


@pytest.mark.parametrize("observation", [[3, 0], [0, 0], [1.5, 0], None, [1], [1, np.nan]])
def test_what_is_no_observation_of_the_space_is_no_frame(observation):
    assert GymnasiumGame(GameConfig(name="spaced"), 1, 0, lambda config: Spaced()).outside.frame(observation) is None

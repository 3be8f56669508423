"""Masks of legal actions, and spaces that become plainer ones: what is searched is what the environment allows."""

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, MultiBinary, MultiDiscrete
from gymnasium.spaces.utils import flatten

from mzpipe.config import GameConfig, GymnasiumConfig
from mzpipe.errors import ConfigError, GameError
from mzpipe.games import describe_game, make_game
from mzpipe.games.gymnasium_family import GymnasiumGame
from mzpipe.games.gymnasium_wrappers import wrapped

from .own_games import Countdown, Masked, Parted

TAXI = GameConfig(name="Taxi-v4")


def game_of(make, *, num_games=1, **settings):
    config = GameConfig(name="own", gymnasium=GymnasiumConfig(**settings))
    return GymnasiumGame(config, num_games, 0, lambda config: wrapped(make(), config))


def test_taxis_mask_is_that_of_its_table_at_every_move():
    game, rng = make_game(TAXI, 3, seed=0), np.random.default_rng(0)
    frame_BF = game.reset()
    table = gymnasium.make("Taxi-v4").unwrapped
    for _ in range(100):
        legal_BA = game.legal_actions()
        expected = [table.action_mask(int(frame_F.argmax())) for frame_F in frame_BF]
        np.testing.assert_array_equal(legal_BA, np.array(expected, np.bool_))
        action_B = (legal_BA * (1 + rng.random(legal_BA.shape))).argmax(axis=1)
        frame_BF, _, terminated_B, truncated_B = game.step(action_B)
        frame_BF = game.reset(terminated_B | truncated_B)


def test_every_action_is_legal_where_a_profile_says_so():
    game = make_game(GameConfig(name="Taxi-v4", gymnasium=GymnasiumConfig(action_masks=False)), 2, seed=0)
    game.reset()
    assert game.legal_actions().all()


@pytest.mark.parametrize("tells", ["observation", "info", "method"])
def test_mask_is_found_wherever_an_environment_tells_it(tells):
    game = game_of(lambda: Countdown(tells))
    assert game.reset().tolist() == [[6.0]]
    seen = [game.legal_actions()[0].tolist()]
    for action in (2, 0, 0):
        assert not game.step(np.array([action])).terminated_B[0]
        seen.append(game.legal_actions()[0].tolist())
    assert seen == [[True] * 3, [True] * 3, [True, True, False], [True, False, False]]
    assert game.step(np.array([0])).terminated_B[0]
    assert game.legal_actions().all()  # nothing is to be chosen in a game that has ended
    source = {"observation": "info['action_mask']", "info": "info['action_mask']", "method": "action_masks()"}[tells]
    assert game.notes() == [f"legal actions come from {source}"]


@pytest.mark.parametrize(
    ("mask", "text"),
    [
        ([1, 0, 1], r"told the legal actions as \[1, 0, 1\], not as a 0 or 1 for each of its 2 actions"),
        ([1, 2], r".*, not as a 0 or 1"),
        ([0.5, 1.0], r".*, not as a 0 or 1"),
        ("no", r"told the legal actions as 'no'"),
        ([0, 0], "told that no action is legal, though the episode continues"),
    ],
)
def test_what_is_no_mask_is_refused_in_one_line(mask, text):
    class Wrong(Masked):
        def step(self, action):
            observation, reward, terminated, truncated, _ = super().step(action)
            return observation, reward, terminated, truncated, {"action_mask": mask}

    game = game_of(Wrong)
    game.reset()
    with pytest.raises(GameError, match=rf"own: step\(\) {text}"):
        game.step(np.array([0]))


def test_mask_that_is_told_once_must_be_told_until_the_episode_ends():
    class Forgets(Masked):
        def step(self, action):
            return *super().step(action)[:4], {}

    game = game_of(Forgets)
    game.reset()
    with pytest.raises(GameError, match=r"step\(\) returned no info\['action_mask'\], which an earlier call did"):
        game.step(np.array([0]))


def test_dict_of_one_array_is_that_array_and_others_are_flattened():
    assert "own: 1 float32 values, the heap of a Dict, stack 1" in game_of(Countdown).spec.description
    game = game_of(Parted)
    assert "own: 5 float32 values, a Tuple, flattened, stack 1, 6 combinations of actions" in game.spec.description
    np.testing.assert_array_equal(game.reset()[0], flatten(Parted.observation_space, (0, [100.0, -1.0])))
    assert describe_game(GameConfig(name="Blackjack-v1")).frame_shape == (45,)


def test_combinations_of_parts_are_played_as_the_environments_own_actions():
    env = Parted()
    game = game_of(lambda: env)
    game.reset()
    for action in range(6):
        game.step(np.array([action]))
    assert env.played == [[1, -1], [1, 0], [1, 1], [2, -1], [2, 0], [2, 1]]
    assert [game.spec.own_action(action).tolist() for action in range(6)] == env.played


def test_bits_are_combined_too():
    env = Parted(MultiBinary((2, 1)))
    game = game_of(lambda: env)
    game.reset()
    game.step(np.array([2]))
    assert env.played == [[[1], [0]]]


@pytest.mark.parametrize("mask", [[1, 0, 1, 1, 0], [1, 1, 0, 0, 0, 0]])
def test_masks_of_parts_are_joined_and_those_of_combinations_are_taken_as_they_are(mask):
    game = game_of(lambda: Parted(mask=np.array(mask, np.int8)))
    game.reset()
    assert game.legal_actions()[0].tolist() == [True, True, False, False, False, False]


def test_too_many_combinations_are_refused_with_their_number():
    with pytest.raises(ConfigError, match=r"have 10,000 combinations: at most 4,672 can be listed: set"):
        game_of(lambda: Parted(MultiDiscrete([100, 100])))


def test_numbers_of_a_box_take_evenly_spaced_values_with_both_bounds():
    env = Parted(Box(np.array([-1.0, 0.0], np.float32), np.array([1.0, 0.3], np.float32)))
    game = game_of(lambda: env, action_bins=3)
    game.reset()
    for action in range(9):
        game.step(np.array([action]))
    first, second = env.action_space.low[1], env.action_space.high[1]
    grid = [[x, y] for x in (-1.0, 0.0, 1.0) for y in (first, np.float32((first + second) / 2), second)]
    assert env.played == grid
    own = [game.spec.own_action(action) for action in range(9)]
    assert [action.tolist() for action in own] == grid and own[0].dtype == np.float32
    assert game.action_names()[:2] == ("-1 0", "-1 0.15") and len(game.action_names()) == 9
    assert "9 combinations of actions" in game.spec.description and not game.spec.objections


def test_box_of_integers_needs_no_bins():
    env = Parted(Box(-1, 1, (2, 1), np.int8))
    game = game_of(lambda: env)
    game.reset()
    game.step(np.array([5]))
    assert env.played == [[[0], [1]]]


@pytest.mark.parametrize(
    ("space", "bins", "text"),
    [
        (Box(-1.0, 1.0, (2,)), 0, r"own.*Box\(.*, but game.gymnasium.action_bins=0: say how many values"),
        (Box(np.array([-1.0, -np.inf]), np.array([1.0, 1.0])), 3, r"number 1 lies in -inf .. 1, and it needs finite"),
        (Box(-1.0, 1.0, (8,)), 3, r"6,561 combinations: at most 4,672 .*, lower game.gymnasium.action_bins=3"),
        (Box(0, 255, (2,), np.uint8), 0, r"65,536 combinations: at most 4,672 can be listed: set"),
    ],
)
def test_box_that_becomes_no_list_is_refused_in_one_line(space, bins, text):
    with pytest.raises(ConfigError, match=text) as caught:
        game_of(lambda: Parted(space), action_bins=bins)
    assert "\n" not in str(caught.value)


def test_bins_without_a_box_are_an_objection():
    (objection,) = game_of(Parted, action_bins=3).spec.objections
    assert objection == "game.gymnasium.action_bins=3: own has no continuous actions: leave it out"


def test_symlog_shrinks_large_numbers_and_keeps_signs():
    frame_F = game_of(Parted, wrappers=("symlog",)).reset()[0]
    np.testing.assert_allclose(frame_F, [np.log(2), 0, 0, np.log(101), -np.log(2)], rtol=1e-6)


def test_observations_of_a_callers_environment_become_the_frames_of_training():
    env = Countdown()
    game = game_of(lambda: env)
    frame_BF = game.reset()
    observation, _ = Countdown().reset(seed=0)
    np.testing.assert_array_equal(game.outside.frame(observation), frame_BF[0])
    assert game.outside.mask(observation).tolist() == [1, 1, 1]
    assert game.outside.frame({"other": 1}) is None


def test_environments_with_plain_spaces_are_not_wrapped():
    env = gymnasium.make("CartPole-v1")
    assert wrapped(env, GameConfig()) is env

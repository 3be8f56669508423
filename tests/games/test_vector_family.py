"""One object that plays all games of a batch is reset, limited, masked and checked as single environments are."""

from types import MethodType

import numpy as np
import pytest
from gymnasium.spaces import Box
from gymnasium.vector import SyncVectorEnv

from mzpipe.config import GameConfig, GymnasiumConfig
from mzpipe.errors import ConfigError, GameError
from mzpipe.games import make_game
from mzpipe.games.vector_family import VectorGame
from mzpipe.own_code import allow_own_code

from .own_vectors import AllTogether, Countdowns

VECTORS = "tests.games.own_vectors"


@pytest.fixture(autouse=True)
def _allowed(monkeypatch):
    monkeypatch.setenv("MZPIPE_ALLOW_ENV_IMPORT", "1")
    allow_own_code(True)


def own(name, num_games=4, seed=3, *, max_episode_moves=0, **arguments):
    gymnasium = GymnasiumConfig(arguments=arguments)
    config = GameConfig(name=f"{VECTORS}:{name}", max_episode_moves=max_episode_moves, gymnasium=gymnasium)
    return make_game(config, num_games, seed)


@pytest.mark.parametrize("mode", ["DISABLED", "SAME_STEP"])
def test_every_episode_is_counted_down_from_its_first_frame_to_its_final_one(mode):
    game, rng, episodes = own("Countdowns", mode=mode), np.random.default_rng(0), 0
    frame_BF = game.reset()
    for _ in range(200):
        action_B = rng.integers(0, 3, 4)
        step = game.step(action_B)
        np.testing.assert_array_equal(step.frame_BF[:, 0], frame_BF[:, 0] - action_B - 1)
        ended_B = step.terminated_B
        np.testing.assert_array_equal(ended_B, step.frame_BF[:, 0] < 1)
        np.testing.assert_array_equal(step.reward_B, step.frame_BF[:, 0] == 0)
        frame_BF = game.reset(ended_B)
        assert (frame_BF[ended_B] >= 3).all()
        np.testing.assert_array_equal(frame_BF[~ended_B], step.frame_BF[~ended_B])
        episodes += ended_B.sum()
    assert episodes > 100


def test_games_repeat_from_their_seed_and_differ_with_another():
    first, again, other = (own("Countdowns", 64, seed).reset() for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_a_limit_of_moves_truncates_each_game_on_its_own():
    game = own("Countdowns", 2, max_episode_moves=2)
    game.reset()
    game.step(np.array([0, 0]))
    game.step(np.array([0, 0]))
    frame_BF = game.reset(np.array([True, True]))
    assert frame_BF.min() >= 3
    game.step(np.array([0, 0]))
    assert game.step(np.array([0, 2])).truncated_B[0]


def test_rules_that_end_a_game_on_its_last_allowed_move_terminate_it():
    game = own("Countdowns", 1, max_episode_moves=1)
    frame_BF = game.reset()
    while frame_BF[0, 0] != 3:
        frame_BF = game.reset(np.array([True]))
    step = game.step(np.array([2]))
    assert step.terminated_B[0] and not step.truncated_B[0]


def test_only_masked_actions_are_legal_when_info_tells_them():
    game = own("Countdowns", 3, masks=True)
    frame_BF = game.reset()
    for _ in range(30):
        legal_BA = game.legal_actions()
        np.testing.assert_array_equal(legal_BA, np.arange(3) < np.maximum(frame_BF, 1))
        step = game.step(legal_BA.sum(axis=1) - 1)
        frame_BF = game.reset(step.terminated_B)
    assert game.notes() == ["legal actions come from info['action_mask']"]


def test_dict_observations_with_a_mask_and_actions_of_parts_are_made_plain():
    game = own("AllTogether", 3)
    frame_BF = game.reset()
    assert game.spec.num_actions == 6 and game.spec.frame_shape == (1 + 4,)
    np.testing.assert_array_equal(frame_BF[:, 1:].argmax(axis=1), frame_BF[:, 0] % 4)
    np.testing.assert_array_equal(game.legal_actions(), np.tile(np.arange(3) < np.maximum(frame_BF[:, :1], 1), (1, 2)))
    after_BF = game.step(np.array([0, 4, 5])).frame_BF  # parts (0, 0), (1, 1), (1, 2)
    np.testing.assert_array_equal(frame_BF[:, 0] - after_BF[:, 0], [1, 2, 3])


def test_a_callers_observation_becomes_the_same_frame():
    game = own("AllTogether", 1)
    frame_BF = game.reset()
    count = int(frame_BF[0, 0])
    observation = {"action_mask": np.ones(6, np.int8), "count": np.array([count]), "place": 1 + count % 4}
    np.testing.assert_array_equal(game.outside.frame(observation), frame_BF[0])


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ("four", "step() must return (observations, rewards, terminations, truncations, infos), it returned 4 values"),
        ("rows", "step() returned an observation of shape (1, 1) for 4 games"),
        ("reward", "step() returned the rewards [nan nan nan nan], not a finite number for each of 4 games"),
        ("rewards", "step() returned the rewards 1.0, not a finite number for each of 4 games"),
        ("flags", "not a bool for each of 4 games"),
        ("info", "step() must return (observations, rewards, terminations, truncations, infos)"),
        ("mask", "step() returned no info['action_mask'], which an earlier call did"),
        ("nothing", "step() told that no action is legal, though the episode continues"),
        ("final", "step() ended an episode without info['final_obs'], which SAME_STEP promises"),
        ("raises", "step() raised ZeroDivisionError"),
    ],
)
def test_one_line_says_what_a_step_broke(fault, text):
    game = own("Faulty", fault=fault)
    game.reset()
    with pytest.raises(GameError) as caught:
        game.step(np.zeros(4, np.int64))
    assert text in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "settings", "text"),
    [
        ("Countdowns", {"mode": "NEXT_STEP"}, "must be gymnasium's AutoresetMode.DISABLED or SAME_STEP"),
        ("Countdowns", {"mode": "SAME_STEP", "max_episode_moves": 5}, "game.max_episode_moves=5"),
        ("Alone", {}, "it made num_envs=1 games, not 4"),
        ("Countdowns", {"speed": 1}, "game.gymnasium.arguments={'speed': 1}"),
    ],
)
def test_an_environment_that_cannot_be_played_is_refused_in_one_line(name, settings, text):
    with pytest.raises(ConfigError) as caught:
        own(name, **settings)
    assert text in str(caught.value) and "\n" not in str(caught.value)


def test_an_environment_is_closed_once_and_also_where_its_spaces_are_refused():
    made = []

    def make(num_envs, seed):
        made.append(Countdowns(num_envs))
        return made[-1]

    game = VectorGame(GameConfig(name="own"), 2, 0, make)
    game.close()
    game.close()

    def make_wrong(num_envs, seed):
        make(num_envs, seed).single_action_space = AllTogether.single_observation_space
        return made[-1]

    with pytest.raises(ConfigError, match="only Discrete, MultiDiscrete, MultiBinary and Box"):
        VectorGame(GameConfig(name="own"), 2, 0, make_wrong)
    assert [each.closed_times for each in made] == [1, 1]


def test_gymnasiums_own_vector_plays_as_its_single_environments(monkeypatch):
    import gymnasium
    from gymnasium.vector import AutoresetMode

    config = GameConfig(name="CartPole-v1")
    single = make_game(config, 3, seed=7)
    vector = SyncVectorEnv([lambda: gymnasium.make("CartPole-v1")] * 3, autoreset_mode=AutoresetMode.DISABLED)
    reset, seeds = vector.reset, single._seeds
    monkeypatch.setattr(
        vector,
        "reset",
        MethodType(
            lambda self, *, seed, options: reset(seed=seeds if seed is not None else None, options=options), vector
        ),
    )
    together, rng = VectorGame(config, 3, 7, lambda num_envs, seed: vector), np.random.default_rng(0)
    np.testing.assert_array_equal(single.reset(), together.reset())
    for _ in range(120):
        action_B = rng.integers(0, 2, 3)
        steps = single.step(action_B), together.step(action_B)
        for one, other in zip(*steps, strict=True):
            np.testing.assert_array_equal(one, other)
        ended_B = steps[0].terminated_B | steps[0].truncated_B
        np.testing.assert_array_equal(single.reset(ended_B), together.reset(ended_B))


class Continuous(Countdowns):
    """Countdowns that take two numbers, and keep them."""

    single_action_space = Box(-1.0, 3.0, (2,), np.float32)

    def step(self, actions):
        self.seen = actions
        return super().step(np.zeros(self.num_envs, np.float32))


def continuous(**settings):
    """A game of two, and its environment."""
    made = []

    def make(num_envs, seed):
        made.append(Continuous(num_envs))
        return made[0]

    game = VectorGame(GameConfig(name="own", gymnasium=GymnasiumConfig(**settings)), 2, 0, make)
    game.reset()
    return game, made[0]


def test_continuous_actions_reach_the_environment_as_values_of_the_grid():
    game, env = continuous(action_bins=3)
    game.step(np.array([0, 5]))
    np.testing.assert_array_equal(env.seen, np.array([[-1.0, -1.0], [1.0, 3.0]], np.float32))
    assert game.action_names()[5] == "1 3"


def test_sampled_actions_reach_the_environment_within_its_own_bounds():
    game, env = continuous(sampled_actions=4)
    assert (game.spec.num_actions, game.spec.action_size) == (4, 2)
    game.step(np.array([[-1.0, 0.0], [1.0, 0.5]], np.float32))
    np.testing.assert_array_equal(env.seen, np.array([[-1.0, 1.0], [3.0, 2.0]], np.float32))

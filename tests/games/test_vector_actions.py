"""Actions that are vectors: what environments are given, and what is refused."""

import numpy as np
import pytest
from gymnasium.spaces import Box, MultiBinary, MultiDiscrete

from mzpipe.config import GameConfig, GymnasiumConfig, parse_profile
from mzpipe.errors import ConfigError, GameError
from mzpipe.games import describe_game
from mzpipe.games.gymnasium_family import GymnasiumGame
from mzpipe.games.gymnasium_wrappers import wrapped

from .own_games import Parted


def game_of(make, **settings):
    config = GameConfig(name="own", gymnasium=GymnasiumConfig(sampled_actions=5, **settings))
    return GymnasiumGame(config, 1, 0, lambda config: wrapped(make(), config))


def played(space, *vectors):
    env = Parted(space)
    game = game_of(lambda: env)
    game.reset()
    for vector in vectors:
        game.step(np.array([vector], np.float32))
    return game, env.played


def test_numbers_of_a_box_are_scaled_to_its_bounds_and_cut_off_there():
    space = Box(np.array([[-2.0], [0.0]], np.float32), np.array([[2.0], [0.1]], np.float32))
    game, actions = played(space, [-1.0, 1.0], [0.5, 0.0], [7.0, -7.0])
    assert actions == [[[-2.0], [space.high[1, 0]]], [[1.0], [np.float32(space.high[1, 0] / 2)]], [[2.0], [0.0]]]
    assert (game.spec.num_actions, game.spec.action_size) == (5, 2)
    assert game.legal_actions().tolist() == [[True] * 5]
    assert "5 sampled actions of 2 numbers" in game.spec.description and not game.spec.objections


def test_parts_have_equal_shares_of_the_range():
    _, actions = played(MultiDiscrete([2, 3], start=[1, -1]), [-1.0, -1.0], [-0.01, -0.3], [0.01, 0.4], [1.0, 1.0])
    assert actions == [[1, -1], [1, 0], [2, 1], [2, 1]]


def test_parts_with_too_many_combinations_for_a_list_are_played_as_vectors():
    game, actions = played(MultiBinary(40), [1.0] * 40)
    assert actions == [[1] * 40] and game.spec.action_size == 40


def test_own_action_of_a_vector_is_in_the_type_of_the_environment():
    numbers = describe_game(GameConfig(name="Pendulum-v1", gymnasium=GymnasiumConfig(sampled_actions=4))).action_numbers
    action = numbers.action(np.array([0.25], np.float32))
    assert action.dtype == np.float32 and action.tolist() == [0.5] and numbers.name(np.array([0.25])) == "0.5"


@pytest.mark.parametrize("bound", [np.inf, np.nan])
def test_bound_that_is_not_finite_is_refused_in_one_line(bound):
    space = Box(-1.0, 1.0, (2,))
    space.high = np.array([1.0, bound], np.float32)
    with pytest.raises(ConfigError, match=r"number 1 lies in -1 .. (inf|nan), and it needs finite bounds") as caught:
        game_of(lambda: Parted(space))
    assert "\n" not in str(caught.value)


def test_list_of_actions_is_an_objection():
    config = GameConfig(name="CartPole-v1", gymnasium=GymnasiumConfig(sampled_actions=5))
    assert describe_game(config).objections == (
        "game.gymnasium.sampled_actions=5: the actions of CartPole-v1 are a list: leave it out",
    )


def test_mask_of_parts_that_are_sampled_is_refused_in_one_line():
    game = game_of(lambda: Parted(mask=np.ones(5, np.int8)))
    with pytest.raises(GameError, match=r"sampled_actions cannot obey: set game.gymnasium.action_masks=false"):
        game.reset()
    game_of(lambda: Parted(mask=np.ones(5, np.int8)), action_masks=False).reset()


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (["network.action_head=bins"], "network.action_head='bins': no actions are sampled: leave it out"),
        (["learner.entropy_loss_weight=0.1"], "learner.entropy_loss_weight=0.1: no actions are sampled"),
        (["game.gymnasium.sampled_actions=5", "game.gymnasium.action_bins=3"], "action_bins=3 too: leave one of them"),
        (
            ["game.gymnasium.sampled_actions=5", "network.value_prefix=true"],
            "network.value_prefix=true: it does not go",
        ),
        (
            ["game.gymnasium.sampled_actions=5", "network.chance_codes=4"],
            "network.chance_codes=4: it does not go together",
        ),
        (
            ["game.gymnasium.sampled_actions=5", "network.action_bins=3"],
            "'squashed-gaussian' has no bins: leave it out",
        ),
        (["game.gymnasium.sampled_actions=5", "network.kind=a:B"], "network.kind='a:B' draws no actions: set 'mlp'"),
    ],
)
def test_settings_that_contradict_each_other_are_refused_in_one_line(settings, text):
    with pytest.raises(ConfigError) as caught:
        parse_profile("[stop]\nminutes = 1", settings)
    assert text in str(caught.value) and "\n" not in str(caught.value)

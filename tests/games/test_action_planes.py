"""Action planes: one more channel that says which action led to each frame."""

import numpy as np
import pytest

from mzpipe.config import AtariConfig, GameConfig
from mzpipe.errors import ConfigError
from mzpipe.games import FrameStack, GameSpec, StepResult, describe_game, make_game
from mzpipe.games.action_planes import ActionPlanes

B, A = 3, 4


class CountingGame:
    """Frames that hold the number of steps so far; game 2 ends at every fifth step."""

    num_games = B

    def __init__(self, frame_dtype="uint8"):
        self.spec = GameSpec("counting", "a test game", (2, 5, 6), frame_dtype, 2, num_actions=A, num_players=1)
        self.steps = 0

    def frames(self):
        return np.full((B, 2, 5, 6), self.steps, self.spec.frame_dtype)

    def reset(self, mask_B=None):
        return self.frames()

    def step(self, action_B):
        self.steps += 1
        ended_B = np.array([False, False, self.steps % 5 == 0])
        return StepResult(self.frames(), np.ones(B, np.float32), ended_B, np.zeros(B, np.bool_))

    def legal_actions(self):
        return np.eye(B, A) > 0

    def to_play(self):
        return np.arange(B, dtype=np.int8)

    def close(self):
        self.steps = -1


def test_planes_are_one_more_channel_of_every_frame():
    spec = ActionPlanes(CountingGame()).spec
    assert spec.frame_shape == (3, 5, 6) and spec.observation_shape == (6, 5, 6)
    assert spec.description == "a test game, with action planes"


@pytest.mark.parametrize(
    ("frame_dtype", "level_A"), [("uint8", [64, 128, 191, 255]), ("float32", [0.25, 0.5, 0.75, 1.0])]
)
def test_plane_holds_the_action_that_led_to_the_frame(frame_dtype, level_A):
    game = ActionPlanes(CountingGame(frame_dtype))
    assert not game.reset()[:, -1].any()
    for action_B in np.array([[0, 1, 2], [3, 2, 1], [1, 1, 1]]):
        frame_BF = game.step(action_B).frame_BF
        assert frame_BF.dtype == frame_dtype
        np.testing.assert_array_equal(frame_BF[:, :-1], game._game.frames())
        for frame, action in zip(frame_BF, action_B, strict=True):
            assert (frame[-1] == level_A[action]).all()


def test_plane_is_zero_where_an_episode_begins_and_stays_elsewhere():
    game = ActionPlanes(CountingGame())
    game.reset()
    final_BF = game.step(np.array([0, 1, 2])).frame_BF
    frame_BF = game.reset(np.array([False, False, True]))
    assert frame_BF[:, -1, 0, 0].tolist() == [64, 128, 0]
    assert final_BF[:, -1, 0, 0].tolist() == [64, 128, 191], "the caller's arrays are not written to"
    assert not game.reset()[:, -1].any()


def test_what_planes_do_not_concern_is_the_games_own():
    inner = CountingGame()
    game = ActionPlanes(inner)
    game.reset()
    np.testing.assert_array_equal(game.legal_actions(), inner.legal_actions())
    np.testing.assert_array_equal(game.to_play(), inner.to_play())
    result = game.step(np.zeros(B, np.int64))
    assert result.reward_B.tolist() == [1.0] * B and not result.terminated_B.any()
    game.close()
    assert inner.steps == -1


def test_planes_are_refused_where_observations_are_vectors():
    with pytest.raises(ConfigError) as caught:
        make_game(GameConfig(action_planes=True), 1, seed=0)
    assert str(caught.value) == (
        "game.action_planes=True: CartPole-v1 has frames of 4 values, not images: leave it out"
    )


@pytest.mark.slow
def test_the_papers_atari_observation_has_128_channels():
    atari = AtariConfig(grayscale=False, image_size=96, full_action_space=True)
    config = GameConfig(name="Pong", frame_stack=32, action_planes=True, atari=atari)
    spec = describe_game(config)
    assert spec.observation_shape == (128, 96, 96)
    game, stack = make_game(config, 1, seed=0), FrameStack(spec, 1)
    stack.reset(game.reset())
    actions = [0, 17, 8]
    for action in actions:
        stack.push(game.step(np.array([action])).frame_BF)
    planes = stack.view()[0, 3::4]
    assert planes.shape == (32, 96, 96)
    assert planes[-4:, 0, 0].tolist() == [0, *(round(255 * (action + 1) / 18) for action in actions)]
    assert (planes == planes[:, :1, :1]).all()


def test_planes_are_refused_for_games_of_two():
    with pytest.raises(ConfigError, match=r"tic_tac_toe has two players: leave it out, game.frame_stack shows"):
        make_game(GameConfig(name="tic_tac_toe", action_planes=True), 1, seed=0)

"""The promises that all families of games keep, and what each family adds."""

import numpy as np
import pytest

from mzpipe.config import AtariConfig, GameConfig
from mzpipe.errors import ConfigError
from mzpipe.games import FrameStack, describe_game, make_game

CONFIGS = {
    "CartPole": GameConfig(name="CartPole-v1"),
    "LunarLander": GameConfig(name="LunarLander-v3", frame_stack=2),
    "Pong": GameConfig(name="Pong", frame_stack=4),
    "Breakout RGB": GameConfig(name="ALE/Breakout-v5", atari=AtariConfig(image_size=96, grayscale=False)),
}


def play(config, moves, seed, num_games=3):
    """Frames, rewards and ends of random play."""
    game = make_game(config, num_games, seed)
    rng = np.random.default_rng(0)
    frames, seen = game.reset(), []
    for _ in range(moves):
        step = game.step(rng.integers(0, game.spec.num_actions, num_games).astype(np.int32))
        seen.append((frames.copy(), step.reward_B.copy(), step.terminated_B.copy(), step.truncated_B.copy()))
        frames = step.frame_BF
        ended = step.terminated_B | step.truncated_B
        if ended.any():
            frames = game.reset(ended)
    game.close()
    return seen


@pytest.mark.parametrize("name", CONFIGS)
def test_game_keeps_its_shapes_and_kinds(name):
    game = make_game(CONFIGS[name], 3, seed=0)
    spec, frames = game.spec, game.reset()
    assert frames.shape == (3, *spec.frame_shape)
    assert frames.dtype == spec.frame_dtype
    assert game.legal_actions().shape == (3, spec.num_actions)
    assert game.legal_actions().dtype == np.bool_
    np.testing.assert_array_equal(game.to_play(), np.zeros(3, np.int8))
    step = game.step(np.zeros(3, np.int32))
    assert step.frame_BF.shape == frames.shape
    assert (step.reward_B.dtype, step.terminated_B.dtype, step.truncated_B.dtype) == (np.float32, np.bool_, np.bool_)
    assert spec.observation_shape[0] == spec.frame_stack * spec.frame_shape[0]
    game.close()


@pytest.mark.parametrize("name", CONFIGS)
def test_game_repeats_from_its_seed_and_differs_from_another(name):
    first, second, other = (play(CONFIGS[name], 40, seed) for seed in (1, 1, 2))
    for a, b in zip(first, second, strict=True):
        for x, y in zip(a, b, strict=True):
            np.testing.assert_array_equal(x, y)
    assert any((a[0] != c[0]).any() for a, c in zip(first, other, strict=True))


@pytest.mark.parametrize("name", ["CartPole", "Pong"])
def test_reset_of_one_game_leaves_the_others_as_they_would_have_been(name):
    config = CONFIGS[name]
    alone, together = make_game(config, 2, 5), make_game(config, 2, 5)
    alone.reset()
    together.reset()
    for _ in range(3):
        alone.step(np.zeros(2, np.int32))
        together.step(np.zeros(2, np.int32))
    together.reset(np.array([True, False]))
    for _ in range(4):
        a, b = alone.step(np.ones(2, np.int32)), together.step(np.ones(2, np.int32))
        np.testing.assert_array_equal(a.frame_BF[1], b.frame_BF[1])


def test_frames_of_a_step_are_not_overwritten_by_the_next():
    for config in CONFIGS.values():
        game = make_game(config, 2, 0)
        first = game.reset()
        kept = first.copy()
        second = game.step(np.zeros(2, np.int32)).frame_BF
        kept_second = second.copy()
        for _ in range(3):
            game.step(np.ones(2, np.int32))
        np.testing.assert_array_equal(first, kept)
        np.testing.assert_array_equal(second, kept_second)
        game.close()


def test_cartpole_is_terminated_when_it_falls_and_truncated_at_the_limit():
    game = make_game(GameConfig(name="CartPole-v1"), 1, 0)
    game.reset()
    step = game.step(np.zeros(1, np.int32))
    while not step.terminated_B[0]:
        step = game.step(np.zeros(1, np.int32))
    assert not step.truncated_B[0]
    short = make_game(GameConfig(name="CartPole-v1", max_episode_moves=5), 1, 0)
    short.reset()
    ends = [short.step(np.array([move % 2], np.int32)) for move in range(5)]
    assert [bool(step.truncated_B[0]) for step in ends] == [False] * 4 + [True]
    assert not ends[-1].terminated_B[0]


@pytest.mark.parametrize("name", ["Pong", "ALE/Pong-v5", "PongNoFrameskip-v4"])
def test_every_spelling_builds_the_same_atari_game_and_says_so(name):
    spec = describe_game(GameConfig(name=name, frame_stack=4))
    assert spec.name == "Pong"
    assert spec.frame_shape == (1, 84, 84)
    assert (
        "84x84 grey, frame skip 4 max-pooled over 2, stack 4, sticky 0.0, no-ops <= 30, 6 actions" in spec.description
    )
    assert "\n" not in spec.description


@pytest.mark.parametrize("skip", [1, 4, 7])
def test_atari_plays_exactly_the_configured_emulator_frames_per_action(skip):
    config = GameConfig(name="PongNoFrameskip-v4", atari=AtariConfig(frame_skip=skip, noop_max=0))
    game = make_game(config, 2, 0)
    game.reset()
    numbers = [game._env.step(np.zeros(2, np.int64))[4]["frame_number"].copy() for _ in range(3)]
    assert {int(advance) for advance in np.diff(numbers, axis=0).ravel()} == {skip}
    game.close()


def test_atari_cap_truncates_and_does_not_terminate():
    game = make_game(GameConfig(name="Pong", atari=AtariConfig(max_episode_frames=40)), 2, 0)
    game.reset()
    steps = [game.step(np.zeros(2, np.int32)) for _ in range(10)]
    assert [bool(step.truncated_B.all()) for step in steps] == [False] * 9 + [True]
    assert not steps[-1].terminated_B.any()
    game.close()


def moves_until_terminated(training, limit):
    config = GameConfig(name="Breakout", atari=AtariConfig(life_loss_terminates=True, noop_max=0))
    game = make_game(config, 1, 0, training=training)
    game.reset()
    for move in range(limit):
        fire_then_wait = np.array([1 if move % 10 == 0 else 0], np.int32)
        if game.step(fire_then_wait).terminated_B[0]:
            return move + 1
    return None


def test_atari_lost_life_ends_training_games_only():
    first_life = moves_until_terminated(True, 100)
    assert first_life is not None
    assert moves_until_terminated(False, 2 * first_life) is None  # one life of five


def test_atari_clips_rewards_in_training_games_only():
    config = GameConfig(name="MsPacman", atari=AtariConfig(clip_rewards=True, noop_max=0))
    best = {}
    for training in (True, False):
        game = make_game(config, 1, 0, training=training)
        game.reset()
        rng, rewards = np.random.default_rng(0), []
        for _ in range(150):
            rewards.append(float(game.step(rng.integers(0, game.spec.num_actions, 1).astype(np.int32)).reward_B[0]))
        best[training] = max(rewards)
        game.close()
    assert best[True] == 1.0
    assert best[False] >= 10.0


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Pnog", r"game.name='Pnog': unknown game; did you mean Pong\?"),
        ("CartPole", r"unknown game; did you mean CartPole-v1\?"),
        ("qqqqqq", r"unknown game; known games: gymnasium's environments.*; the Atari.*; MinAtar.*my_game:MyGame"),
    ],
)
def test_unknown_game_names_the_nearest(name, text):
    with pytest.raises(ConfigError, match=text):
        make_game(GameConfig(name=name), 1, 0)


def test_frame_stack_holds_the_last_frames_and_zeros_before_an_episode():
    spec = describe_game(GameConfig(name="CartPole-v1", frame_stack=3))
    stack, history = FrameStack(spec, 2), [[], []]
    rng = np.random.default_rng(0)
    frames = rng.normal(size=(2, 4)).astype(np.float32)
    stack.reset(frames)
    for game in range(2):
        history[game] = [frames[game]]
    out = np.empty((2, 12), np.float32)
    for move in range(8):
        frames = rng.normal(size=(2, 4)).astype(np.float32)
        stack.push(frames)
        for game in range(2):
            history[game].append(frames[game])
        if move == 4:
            frames = rng.normal(size=(2, 4)).astype(np.float32)
            stack.reset(frames, np.array([False, True]))
            history[1] = [frames[1]]
        stack.write(out)
        for game in range(2):
            padded = [np.zeros(4, np.float32)] * 3 + history[game]
            np.testing.assert_array_equal(out[game], np.concatenate(padded[-3:]))
            np.testing.assert_array_equal(stack.view()[game], out[game])

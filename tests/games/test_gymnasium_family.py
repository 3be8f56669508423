"""CartPole and LunarLander: how episodes end."""

import subprocess
import sys

import numpy as np

from mzpipe.config import GameConfig
from mzpipe.games import Game, describe_game, make_game

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
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

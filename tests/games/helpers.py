"""Small things the game tests share."""

import numpy as np

from mzpipe.config import AtariConfig, GameConfig
from mzpipe.games import Game, StepResult

# Small frames keep the emulator tests quick.
PONG = GameConfig(name="Pong", atari=AtariConfig(image_size=42))
ALL_GAMES = (
    GameConfig(name="CartPole-v1"),
    GameConfig(name="LunarLander-v3"),
    GameConfig(name="MinAtar/Freeway-v1"),
    PONG,
)
# A player who only serves loses each of Breakout's five lives in about 25 moves.
SERVE_AND_WAIT = (1, 0)


def breakout(**atari) -> GameConfig:
    """Breakout without no-ops."""
    return GameConfig(name="Breakout", atari=AtariConfig(image_size=42, noop_max=0, **atari))


def random_actions(game: Game, num_steps: int, seed: int = 0) -> np.ndarray:
    """[num_steps, B] legal actions."""
    return np.random.default_rng(seed).integers(0, game.spec.num_actions, (num_steps, game.num_games))


def play(game: Game, action_TB: np.ndarray) -> list[StepResult]:
    """Every step's result, games reset as they end; the game must have been reset."""
    results = []
    for action_B in action_TB:
        results.append(game.step(action_B))
        ended_B = results[-1].terminated_B | results[-1].truncated_B
        game.reset(ended_B)
    return results


def assert_same_results(left: list[StepResult], right: list[StepResult], games: slice = slice(None)) -> None:
    """Asserts that the results agree bit for bit in the games of the slice."""
    assert len(left) == len(right)
    for step, (one, other) in enumerate(zip(left, right, strict=True)):
        for name in StepResult._fields:
            same = np.array_equal(getattr(one, name)[games], getattr(other, name)[games])
            assert same, f"step {step}: {name} differs"

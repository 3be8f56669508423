"""The wrappers of gymnasium environments that a profile may name."""

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from gymnasium.wrappers import AddRenderObservation, GrayscaleObservation, TransformObservation

from ..config import GameConfig
from ..errors import ConfigError
from .gymnasium_spaces import with_plain_spaces


def halve(env: gymnasium.Env) -> gymnasium.Env:
    """Replaces [Y, X] or [Y, X, C] images by means of 2x2 pixels; an odd last row or column is dropped."""
    space = env.observation_space
    if not isinstance(space, Box) or len(space.shape) not in (2, 3) or min(space.shape[:2]) < 2:
        raise ValueError(f"it takes images, not {space}")
    return TransformObservation(env, _halved, Box(_halved(space.low), _halved(space.high), dtype=space.dtype.type))


def symlog(env: gymnasium.Env) -> gymnasium.Env:
    """Replaces every number x of an observation by sign(x) log(1 + |x|) (Hafner et al. 2023, equation 9)."""
    space = env.observation_space
    if not isinstance(space, Box):
        raise ValueError(f"it takes numbers, not {space}")
    return TransformObservation(env, _symlog, Box(_symlog(space.low), _symlog(space.high), dtype=np.float32))


class Twice(gymnasium.Wrapper):
    """Plays every action twice, but not past the end of an episode."""

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Steps twice; returns the second step's observation and the sum of both rewards."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        if terminated or truncated:
            return observation, float(reward), terminated, truncated, info
        observation, more, terminated, truncated, info = self.env.step(action)
        return observation, float(reward) + float(more), terminated, truncated, info


WRAPPERS: dict[str, Callable[[gymnasium.Env], gymnasium.Env]] = {
    "pixels": AddRenderObservation,
    "grayscale": GrayscaleObservation,
    "halve": halve,
    "twice": Twice,
    "symlog": symlog,
}


def wrapped(env: gymnasium.Env, config: GameConfig) -> gymnasium.Env:
    """The environment with plain spaces, inside its `game.gymnasium.wrappers`.

    Raises ConfigError if a wrapper does not suit it, and for actions that cannot be searched.
    """
    env = with_plain_spaces(env, config)
    for name in config.gymnasium.wrappers:
        try:
            env = WRAPPERS[name](env)
        except (TypeError, ValueError, AssertionError) as error:
            raise ConfigError(f"game.gymnasium.wrappers: {name!r} does not suit {config.name}: {error}") from None
    return env


def _symlog(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values, np.float32)
    return np.sign(values) * np.log1p(np.abs(values))


def _halved(image: np.ndarray) -> np.ndarray:
    rows, columns = image.shape[0] // 2, image.shape[1] // 2
    blocks = image[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2, *image.shape[2:])
    return blocks.mean(axis=(1, 3)).astype(image.dtype)

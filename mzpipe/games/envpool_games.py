"""Any environment of EnvPool with a finite list of actions, by its name there: `envpool:FrozenLake-v1`.

One object steps all games of a batch in C++. How it behaves, and how this module uses it:

- An ended game begins again in the step after its last one. It is reset before that, by its number.
- It takes actions outside of their space without a word; mzpipe checks them.
- Its Atari plays 1 to `noop_max` no-ops, not 0 to `noop_max`; otherwise it equals an emulator that is stepped frame by
  frame, except where the end of a game cuts a skip short.
"""

import difflib
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv

from ..config import GameConfig
from ..errors import ConfigError, GameError
from ..extras import require
from ..format import shown
from .checked import asked
from .game import Game
from .vector_family import VectorGame

PREFIX = "envpool:"


def make_envpool(config: GameConfig, num_games: int, seed: int) -> Game:
    """`num_games` games of the environment that follows `envpool:`, made with `game.gymnasium.arguments`.

    Raises ConfigError: no such environment, or arguments that it does not take; UsageError: EnvPool is not installed.
    """
    require("envpool", f"game.name={config.name!r}")
    return VectorGame(config, num_games, seed, lambda num_envs, seed: _make(config, num_envs, seed))


class EnvPoolVector(VectorEnv):
    """An EnvPool as a vector environment without autoreset."""

    def __init__(self, pool: Any, num_envs: int) -> None:
        self.metadata = {"autoreset_mode": AutoresetMode.DISABLED}
        self._pool, self.num_envs = pool, num_envs
        self.single_observation_space, self.single_action_space = pool.observation_space, pool.action_space

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begins the episodes under `reset_mask`; the seed is that of the constructor.

        The observations of the other games are zeros.
        """
        if options is None:
            observation, _ = self._pool.reset()
            return observation, {}
        mask_B = options["reset_mask"]
        began, _ = self._pool.reset(np.flatnonzero(mask_B).astype(np.int32))
        return _spread(began, mask_B), {}

    def step(self, actions: np.ndarray) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """One step of all games; EnvPool's `info` holds no mask."""
        observation, reward_B, terminated_B, truncated_B, _ = self._pool.step(actions)
        return observation, reward_B, terminated_B, truncated_B, {}

    def close_extras(self, **kwargs: Any) -> None:
        """Stops the threads."""
        self._pool.close()


def _spread(began: Any, mask_B: np.ndarray) -> Any:
    """Rows for all games, from those of the games under the mask."""
    if isinstance(began, dict):
        return {name: _spread(each, mask_B) for name, each in began.items()}
    rows = np.zeros((len(mask_B), *began.shape[1:]), began.dtype)
    rows[mask_B] = began
    return rows


def _make(config: GameConfig, num_envs: int, seed: int) -> VectorEnv:
    import envpool

    name, arguments = config.name.removeprefix(PREFIX), config.gymnasium.arguments
    if name not in envpool.list_all_envs():
        near = difflib.get_close_matches(name, envpool.list_all_envs(), n=1)
        suggestion = f"; did you mean {PREFIX}{near[0]}?" if near else ""
        raise ConfigError(f"game.name={config.name!r}: EnvPool has no such environment{suggestion}")
    options = {"num_threads": 1, **arguments, "num_envs": num_envs, "seed": seed}
    try:
        pool = asked(config.name, "its constructor", envpool.make_gymnasium, name, **options)
    except GameError as error:
        raise ConfigError(
            f"game.name={config.name!r} with game.gymnasium.arguments={arguments}: {shown(error.__cause__)}"
        ) from None
    if pool.config["max_num_players"] != 1:
        raise ConfigError(f"game.name={config.name!r}: it has several players at once: mzpipe cannot play it")
    return EnvPoolVector(pool, num_envs)

"""Observations and actions of more gymnasium spaces, as spaces that frames and searches take.

| space | becomes |
|---|---|
| Dict with an `action_mask` | the rest of it; the mask stands in `info` |
| Dict with one entry | that entry |
| Dict, Tuple | a vector, by gymnasium's own `flatten` |
| MultiDiscrete, MultiBinary actions | Discrete: one action for every combination of their parts |
| Box actions | the same: of integers as they are, of others as `game.gymnasium.action_bins` divides them |
| with `game.gymnasium.sampled_actions` | a Box of all parts or numbers, each from -1 to 1 |
"""

from math import prod
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Space, Tuple
from gymnasium.spaces.utils import flatten, flatten_space

from ..config import GameConfig
from ..errors import ConfigError
from ..format import shown
from .game import Numbers, Parts

# The name under which gymnasium's environments tell which actions are legal, in `info` or in a Dict observation.
MASK = "action_mask"
# As many combinations as chess has actions; more are no list that a policy can learn.
MOST_COMBINATIONS = 4_672


class PlainSpace:
    """Observations of a Dict or Tuple space as one array, without the mask."""

    def __init__(self, space: Dict | Tuple) -> None:
        own = dict(space.spaces) if isinstance(space, Dict) else {}
        self._has_mask = own.pop(MASK, None) is not None
        self._names = tuple(own)
        self._own: Space = Dict(own) if self._has_mask else space
        self._only = self._names[0] if len(own) == 1 else None
        self.space: Space = flatten_space(self._own) if self._only is None else own[self._only]

    def __str__(self) -> str:
        """What is done with observations."""
        kind = type(self._own).__name__
        return f"the {self._only} of a {kind}" if self._only is not None else f"a {kind}, flattened"

    @classmethod
    def of(cls, space: Space) -> "PlainSpace | None":
        """None for a space whose observations are one array already."""
        return cls(space) if isinstance(space, Dict | Tuple) else None

    def plain(self, observation: Any) -> Any:
        """An observation of the environment's own space without its mask, as one array."""
        if self._only is not None:
            return observation[self._only]
        if self._has_mask:
            observation = {name: observation[name] for name in self._names}
        return flatten(self._own, observation)

    def mask(self, observation: Any) -> Any:
        """The mask of an observation, or of a batch of them; None if observations have none."""
        return observation[MASK] if self._has_mask else None

    def with_mask(self, observation: Any, info: dict[str, Any]) -> dict[str, Any]:
        """`info` with the observation's mask."""
        return {**info, MASK: observation[MASK]} if self._has_mask else info


class PlainObservation(gymnasium.Wrapper):
    """Takes the mask out of a Dict observation, and makes one array of what is left."""

    def __init__(self, env: gymnasium.Env, plain: PlainSpace) -> None:
        super().__init__(env)
        self.of, self.observation_space = plain, plain.space

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """The first observation, plain; its mask is in `info`."""
        observation, info = self.env.reset(seed=seed, options=options)
        return self.of.plain(observation), self.of.with_mask(observation, info)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """The same for a step."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return self.of.plain(observation), reward, terminated, truncated, self.of.with_mask(observation, info)


class CombinedActions(gymnasium.ActionWrapper):
    """Plays the combinations of an action's parts by their number."""

    def __init__(self, env: gymnasium.Env, parts: Parts) -> None:
        super().__init__(env)
        self.parts, self._own = parts, env.action_space
        self.action_space = Discrete(prod(parts.sizes))

    def action(self, action: Any) -> np.ndarray:
        """The environment's own action."""
        return self.parts.action(int(action)).reshape(self._own.shape).astype(self._own.dtype)


class VectorActions(gymnasium.ActionWrapper):
    """Plays actions whose numbers all lie in -1 .. 1."""

    def __init__(self, env: gymnasium.Env, numbers: Numbers) -> None:
        super().__init__(env)
        self.numbers, self._own = numbers, env.action_space
        self.action_space = Box(-1.0, 1.0, (len(numbers.lows),), np.float32)

    def action(self, action: Any) -> np.ndarray:
        """The environment's own action."""
        return self.numbers.action(action).reshape(self._own.shape).astype(self._own.dtype)


def with_plain_spaces(env: gymnasium.Env, config: GameConfig) -> gymnasium.Env:
    """The environment with spaces that frames and searches take, as far as it can be done; itself if it has them.

    Raises ConfigError for too many combinations of actions, and for a Box without bins or bounds.
    """
    plain = PlainSpace.of(env.observation_space)
    if plain is not None:
        env = PlainObservation(env, plain)
    if config.gymnasium.sampled_actions:
        numbers = action_numbers(env.action_space, config)
        return env if numbers is None else VectorActions(env, numbers)
    parts = action_parts(env.action_space, config)
    return env if parts is None else CombinedActions(env, parts)


def found_in(env: gymnasium.Env, kind: type[gymnasium.Wrapper]) -> Any:
    """The environment's wrapper of this kind, or None."""
    while isinstance(env, gymnasium.Wrapper):
        if isinstance(env, kind):
            return env
        env = env.env
    return None


def action_parts(space: Space, config: GameConfig) -> Parts | None:
    """The parts of combined actions; None for other spaces.

    Raises ConfigError for too many combinations, and for a Box without bins or bounds.
    """
    parts = _parts(space, config)
    if parts is not None and prod(parts.sizes) > MOST_COMBINATIONS:
        lower = f", lower game.gymnasium.action_bins={config.gymnasium.action_bins}" if parts.ends else ""
        raise ConfigError(
            f"game.name={config.name!r}: its actions {shown(space)} have {prod(parts.sizes):,} combinations: at most "
            f"{MOST_COMBINATIONS:,} can be listed: set game.gymnasium.sampled_actions{lower}"
        )
    return parts


def _grid(space: Box, config: GameConfig) -> Parts:
    """The values that each number of a continuous action takes."""
    bins, where = config.gymnasium.action_bins, f"game.name={config.name!r}: its actions are {shown(space)}"
    if bins < 2:
        raise ConfigError(
            f"{where}, but game.gymnasium.action_bins={bins}: say how many values each number takes, 2 or more, or set "
            "game.gymnasium.sampled_actions, for example to 20"
        )
    low, high = _bounds(space, where)
    return Parts((bins,) * len(low), low, high, space.dtype.name)


def _bounds(space: Box, where: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The lowest and the highest values of all numbers; raises ConfigError where they are not finite."""
    low, high = (bound.ravel().astype(np.float64) for bound in (space.low, space.high))
    is_open = ~(np.isfinite(low) & np.isfinite(high))
    if is_open.any():
        place = int(is_open.argmax())
        raise ConfigError(
            f"{where}: number {place} lies in {low[place]:g} .. {high[place]:g}, and it needs finite bounds: give it "
            "some in an environment of your own"
        )
    return tuple(low.tolist()), tuple(high.tolist())


def action_numbers(space: Space, config: GameConfig) -> Numbers | None:
    """The numbers of an action of this space; None for Discrete, which is a list."""
    if isinstance(space, Box):
        return Numbers(*_bounds(space, f"game.name={config.name!r}: its actions are {shown(space)}"), space.dtype.name)
    parts = _parts(space, config)
    if parts is None:
        return None
    highs = tuple(start + size - 1.0 for start, size in zip(parts.starts, parts.sizes, strict=True))
    return Numbers(parts.starts, highs, parts.dtype)


def _parts(space: Space, config: GameConfig) -> Parts | None:
    if isinstance(space, MultiDiscrete):
        return Parts(tuple(map(int, space.nvec.ravel())), tuple(map(int, space.start.ravel())))
    if isinstance(space, MultiBinary):
        return Parts((2,) * prod(space.shape), (0,) * prod(space.shape))
    if isinstance(space, Box) and space.dtype.kind == "f":
        return _grid(space, config)
    if isinstance(space, Box) and space.dtype.kind in "iu":
        low, high = space.low.ravel().tolist(), space.high.ravel().tolist()
        return Parts(tuple(last - first + 1 for first, last in zip(low, high, strict=True)), tuple(low))
    return None

"""One gymnasium environment, whose every return value is checked before it is batched.

Of its `info` only the mask of legal actions is used: the rest may differ from environment to environment and from
step to step.
"""

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete, MultiDiscrete, Space
from numpy.typing import NDArray

from ..errors import GameError
from ..format import shown
from .checked import GREATEST, as_mask, asked, checked_flag, checked_reward
from .game import Parts
from .gymnasium_spaces import MASK, CombinedActions, found_in

_METHOD = "action_masks"


class Environment:
    """Passes on what the environment returns, or raises GameError with the game, the place and the value.

    After `reset` and `step`, `mask_A` says which actions are legal, bool [A], and `mask_source` where that was told;
    None: all are, or the episode has ended.
    """

    def __init__(self, name: str, env: gymnasium.Env, observed: "Observed", *, has_masks: bool = True) -> None:
        self._name, self.env, self._observed = name, env, observed
        self._has_masks, self.mask_A, self.mask_source = has_masks, None, ""
        combined = found_in(env, CombinedActions)
        self._parts: Parts | None = combined and combined.parts
        self._tell_mask: Callable[[], Any] | None = None
        if has_masks and env.has_wrapper_attr(_METHOD):
            self._tell_mask, self.mask_source = env.get_wrapper_attr(_METHOD), f"{_METHOD}()"

    mask_A: NDArray[np.bool_] | None

    def reset(self, seed: int | None, options: dict[str, Any] | None) -> np.ndarray:
        """The first observation of an episode."""
        result = asked(self._name, "reset()", self.env.reset, seed=seed, options=options)
        self._expect("reset", result, 2, "(observation, info)")
        self._see_mask("reset", result[1])
        return self._observed.checked("reset", result[0])

    def step(self, action: np.integer) -> tuple[np.ndarray, float, bool, bool]:
        """Observation, reward, terminated, truncated."""
        result = asked(self._name, "step()", self.env.step, action)
        self._expect("step", result, 5, "(observation, reward, terminated, truncated, info)")
        observation, reward, terminated, truncated, info = result
        if not (
            type(terminated) is bool is type(truncated) and type(reward) is float and -GREATEST <= reward <= GREATEST
        ):  # most environments return these kinds
            reward = checked_reward(self._name, reward)
            terminated = checked_flag(self._name, "terminated", terminated)
            truncated = checked_flag(self._name, "truncated", truncated)
        if terminated or truncated:
            self.mask_A = None
        else:
            self._see_mask("step", info)
        return self._observed.checked("step", observation), reward, terminated, truncated

    def _see_mask(self, method: str, info: dict[str, Any]) -> None:
        if not self._has_masks:
            return
        if self._tell_mask is not None:
            self.mask_A = self._checked_mask(_METHOD, asked(self._name, f"{_METHOD}()", self._tell_mask))
        elif MASK in info:
            self.mask_source, self.mask_A = f"info[{MASK!r}]", self._checked_mask(method, info[MASK])
        elif self.mask_source:
            raise no_mask(self._name, method, self.mask_source)

    def _checked_mask(self, method: str, mask: Any) -> NDArray[np.bool_]:
        """The mask as bool [A], with at least one legal action."""
        if not isinstance(self.env.action_space, Discrete):
            raise mask_of_vectors(self._name, method)
        num_actions = int(self.env.action_space.n)
        mask_A = as_mask(np.asarray(mask), num_actions, self._parts)
        if mask_A is None:
            raise wrong_mask(self._name, method, mask, num_actions)
        if not mask_A.any():
            raise no_action_legal(self._name, method)
        return mask_A

    def _expect(self, method: str, result: Any, length: int, members: str) -> None:
        if type(result) is tuple and len(result) == length and type(result[-1]) is dict:
            return
        if not isinstance(result, tuple) or len(result) != length:
            what = f"{len(result)} values" if isinstance(result, tuple) else shown(result)
            raise GameError(f"{self._name}: {method}() must return {members}, it returned {what}")
        if not isinstance(result[-1], dict):
            raise GameError(f"{self._name}: {method}() returned the info {shown(result[-1])}, which is no dict")


def no_mask(name: str, method: str, source: str) -> GameError:
    """The error of a mask that is told no longer."""
    return GameError(
        f"{name}: {method}() returned no {source}, which an earlier call did: tell it after every move that does not "
        "end the episode"
    )


def wrong_mask(name: str, method: str, mask: Any, num_actions: int) -> GameError:
    """The error of what is no mask."""
    return GameError(
        f"{name}: {method}() told the legal actions as {shown(mask)}, not as a 0 or 1 for each of its {num_actions} "
        "actions"
    )


def mask_of_vectors(name: str, method: str) -> GameError:
    """The error of a mask where actions are no list."""
    return GameError(
        f"{name}: {method}() told legal actions, which game.gymnasium.sampled_actions cannot obey: set "
        "game.gymnasium.action_masks=false to ignore them"
    )


def no_action_legal(name: str, method: str) -> GameError:
    """The error of a mask that leaves nothing to play."""
    return GameError(f"{name}: {method}() told that no action is legal, though the episode continues")


class Observed:
    """The observations of a space."""

    def __init__(self, name: str, space: Space) -> None:
        self.name, self._space = name, space
        self.shape, self.dtype = tuple(space.shape or ()), np.dtype(space.dtype)
        self._limits = _limits(space)

    def checked(self, method: str, observation: Any, *, num_games: int | None = None) -> np.ndarray:
        """One observation, or those of `num_games`, as an array of the space's dtype; `check_all` looks at numbers."""
        is_right = type(observation) is np.ndarray and observation.dtype is self.dtype
        array: np.ndarray = observation if is_right else self._converted(method, observation)
        if array.shape != (self.shape if num_games is None else (num_games, *self.shape)):
            of_games = "" if num_games is None else f" for {num_games} games"
            raise GameError(
                f"{self.name}: {method}() returned an observation of shape {array.shape}{of_games}: its "
                f"observation_space is {shown(self._space)}"
            )
        return array

    def notes(self, observation_B: np.ndarray) -> list[str]:
        """What is odd about observations, but does no harm: fractions that leave the bounds of their space."""
        if not isinstance(self._space, Box) or self.dtype.kind != "f":
            return []
        if ((observation_B >= self._space.low) & (observation_B <= self._space.high)).all():
            return []
        return [f"observations leave the bounds of their space {shown(self._space)}: networks see them as they are"]

    def check_all(self, method: str, observation_B: np.ndarray) -> None:
        """Refuses integers outside of the space: they would become wrong frames. Other numbers may leave its bounds."""
        if self._limits is None:
            return
        low, high = self._limits
        outside_B = (observation_B < low) | (observation_B > high)
        if np.count_nonzero(outside_B):
            value = observation_B[outside_B.reshape(len(outside_B), -1).any(axis=1)][0]
            raise self._outside(method, value)

    def _converted(self, method: str, observation: Any) -> np.ndarray:
        """The observation in the space's dtype, as numpy would store it, if no number changes by it."""
        try:
            array = np.asarray(observation)
        except ValueError as error:
            raise GameError(f"{self.name}: {method}() returned an observation that is no array: {error}") from None
        if not np.can_cast(array.dtype, self.dtype, "same_kind"):
            raise GameError(
                f"{self.name}: {method}() returned the observation {shown(observation)} of {array.dtype}: its "
                f"observation_space is {shown(self._space)}"
            )
        with np.errstate(over="ignore"):
            converted = array.astype(self.dtype)
        if self.dtype.kind in "iub" and not np.array_equal(converted, array):
            raise self._outside(method, array)
        return converted

    def _outside(self, method: str, value: np.ndarray) -> GameError:
        return GameError(
            f"{self.name}: {method}() returned the observation {shown(value)}, which is outside of its "
            f"observation_space {shown(self._space)}"
        )


def _limits(space: Space) -> tuple[np.ndarray, np.ndarray] | None:
    """The least and the greatest integers of a space; None if its dtype holds no others, or if it has fractions."""
    if isinstance(space, Discrete):
        return np.asarray(space.start), np.asarray(space.start + space.n - 1)
    if isinstance(space, MultiDiscrete):
        return space.start, space.start + space.nvec - 1
    if not isinstance(space, Box):  # MultiBinary
        return np.zeros((), space.dtype), np.ones((), space.dtype)
    if space.dtype.kind not in "iu":
        return None
    extremes = np.iinfo(space.dtype)
    return None if (space.low == extremes.min).all() and (space.high == extremes.max).all() else (space.low, space.high)

"""Vector environments: one object plays all games of a batch, as gymnasium's `VectorEnv` promises it.

The games must not begin again by themselves before they are reset, or hand out their last observation if they do:
`autoreset_mode` is DISABLED or SAME_STEP. Frames are made as those of single environments are.

Shape legend    B games   A actions   F... one frame
"""

import dataclasses
from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Discrete, Space
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import iterate
from numpy.typing import NDArray

from ..config import GameConfig
from ..config.base import chosen
from ..errors import ConfigError, GameError
from ..format import shown
from .checked import GREATEST, as_mask, asked
from .closing import close_all, closed_if_it_fails
from .environment import Observed, mask_of_vectors, no_action_legal, no_mask, wrong_mask
from .game import GameSpec, StepResult, game_seeds
from .gymnasium_family import Outside, Spaces, checked_actions, checked_frames, checked_space, spec_of
from .gymnasium_spaces import MASK, PlainSpace, action_numbers, action_parts
from .live import SoloGame

_ALONE = (AutoresetMode.DISABLED, AutoresetMode.SAME_STEP)
_FINAL = "final_obs"


class VectorGame(SoloGame):
    """B games of one vector environment.

    Raises ConfigError for spaces that cannot be searched, or games that begin again by themselves; GameError if the
    environment breaks gymnasium's protocol, or leaves its own spaces.
    """

    def __init__(
        self, config: GameConfig, num_games: int, seed: int, make_env: Callable[[int, int], VectorEnv]
    ) -> None:
        super().__init__(num_games)
        self._name, self._max_moves = config.name, config.max_episode_moves
        self._seed: int | None = game_seeds(seed, 1)[0]
        self._envs: list[VectorEnv] = []
        with closed_if_it_fails(config.name, self._envs):
            self._env = make_env(num_games, self._seed)
            self._envs.append(self._env)
            self._begin_anew = _autoreset(config, self._env, num_games) is AutoresetMode.SAME_STEP
            self._plain, self._own_actions, self._spaces = _checked_spaces(config, self._env)
        self._frames, self._observed = self._spaces.frames, Observed(config.name, self._spaces.observations)
        self.spec = _spec(config, self._spaces, self._plain)
        self._has_masks, self._mask_BA = config.gymnasium.action_masks, np.zeros((0, 0), np.bool_)
        self._observation_B = np.zeros((num_games, *self._observed.shape), self._observed.dtype)
        self._frame_BF = np.zeros((num_games, *self.spec.frame_shape), self.spec.frame_dtype)
        self._moves_B = np.zeros(num_games, np.int64)

    def reset(self, mask_B: NDArray[np.bool_] | None = None) -> np.ndarray:
        """The current frames of all games, after those under the mask began a new episode."""
        mask_B = self._begin(mask_B)
        assert self._seed is None or mask_B.all(), "the first reset must be of all games"
        if mask_B.any():
            observation_B = self._first_B if self._begin_anew and not mask_B.all() else self._reset(mask_B)
            self._moves_B[mask_B] = 0
            observation_B = observation_B.copy()
            observation_B[~mask_B] = self._observation_B[~mask_B]
            self._see("reset", observation_B)
        return self._shown(self._frame_BF)

    def step(self, action_B: NDArray[np.integer]) -> StepResult:
        """Plays one action in every game; every game must be live."""
        self._check_step(action_B)
        result = asked(self._name, "step()", self._env.step, self._as_own(action_B))
        observation, reward, terminated, truncated, info = self._members(
            "step", result, "(observations, rewards, terminations, truncations, infos)"
        )
        observation_B = self._plain_observations("step", observation)
        reward_B = self._rewards(reward)
        terminated_B, truncated_B = (
            self._flags(what, flags) for what, flags in (("terminations", terminated), ("truncations", truncated))
        )
        self._moves_B += 1
        ended_B = terminated_B | truncated_B
        if self._begin_anew and ended_B.any():
            self._first_B = observation_B
            observation_B = self._finals(observation_B, ended_B, info)
        elif self._max_moves:
            truncated_B = truncated_B | (self._moves_B >= self._max_moves)
        self._see_masks("step", observation, info, ended_B)
        self._see("step", observation_B)
        return self._end(StepResult(self._frame_BF, reward_B, terminated_B, truncated_B & ~terminated_B))

    def legal_actions(self) -> NDArray[np.bool_]:
        """Returns each game's legal actions, [B, A]; all where the environment tells none."""
        legal_BA = super().legal_actions()
        return self._mask_BA & legal_BA if self._mask_BA.size else legal_BA

    def notes(self) -> list[str]:
        """What a user may want to know of the current observations and of `info`: nothing here is a fault."""
        told = [f"legal actions come from info[{MASK!r}]"] if self._mask_BA.size else []
        return told + self._observed.notes(self._observation_B)

    @property
    def outside(self) -> Outside:
        """How a caller's own environment of this kind is understood."""
        return Outside(self._observed, self._frames, self._plain)

    def render(self) -> None:
        """Vector environments draw no pictures here."""

    def action_names(self) -> tuple[str, ...]:
        """Returns the numbers of continuous actions; others have no names."""
        parts = self.spec.action_parts
        return parts.names() if parts and parts.ends else ()

    def close(self) -> None:
        """Closes the environment; raises GameError if that fails or does not return."""
        envs, self._envs = self._envs, []
        close_all(self._name, envs)

    def _reset(self, mask_B: NDArray[np.bool_]) -> np.ndarray:
        seed, self._seed = self._seed, None
        options = None if mask_B.all() else {"reset_mask": mask_B}
        result = asked(self._name, "reset()", self._env.reset, seed=seed, options=options)
        observation, info = self._members("reset", result, "(observations, infos)")
        self._see_masks("reset", observation, info, ~mask_B)
        return self._plain_observations("reset", observation)

    def _see(self, method: str, observation_B: np.ndarray) -> None:
        self._observed.check_all(method, observation_B)
        self._observation_B, self._frame_BF = observation_B, self._frames.convert(observation_B)

    def _as_own(self, action_B: NDArray[np.integer]) -> np.ndarray:
        """The actions as the environment takes them."""
        own, parts, numbers = self._own_actions, self._spaces.parts, self._spaces.numbers
        if numbers is not None:
            action_B = numbers.action(action_B)
        else:
            action_B = action_B + self.spec.first_action if parts is None else parts.action(action_B)
        return np.reshape(action_B, (self.num_games, *(own.shape or ()))).astype(own.dtype)

    def _plain_observations(self, method: str, observation: Any) -> np.ndarray:
        """One array of the observations of all games, of the plain space's dtype."""
        plain = self._plain
        if plain is not None:

            def each_plain() -> np.ndarray:
                return np.stack([plain.plain(each) for each in iterate(self._env.observation_space, observation)])

            observation = asked(self._name, f"{method}()", each_plain)
        return self._observed.checked(method, observation, num_games=self.num_games)

    def _finals(self, observation_B: np.ndarray, ended_B: NDArray[np.bool_], info: dict[str, Any]) -> np.ndarray:
        """The observations, with the last ones of episodes that ended."""
        if _FINAL not in info:
            raise GameError(f"{self._name}: step() ended an episode without info[{_FINAL!r}], which SAME_STEP promises")
        observation_B = observation_B.copy()
        for game in np.flatnonzero(ended_B):
            final = info[_FINAL][game]
            if self._plain is not None:
                final = asked(self._name, "step()", self._plain.plain, final)
            observation_B[game] = self._observed.checked("step", final)
        return observation_B

    def _see_masks(self, method: str, observation: Any, info: dict[str, Any], excused_B: NDArray[np.bool_]) -> None:
        """Keeps the masks that were told; all games but the excused ones must have one, if any ever had."""
        if not self._has_masks:
            return
        if self._plain is not None:
            info = self._plain.with_mask(observation, info)
        told = info.get(MASK)
        if told is None and not self._mask_BA.size:
            return
        if not self._mask_BA.size:
            self._mask_BA = np.ones((self.num_games, self.spec.num_actions), np.bool_)
        was_told_B = info.get(f"_{MASK}", np.full(self.num_games, told is not None))
        for game in range(self.num_games):
            if told is not None and was_told_B[game]:
                self._mask_BA[game] = self._checked_mask(method, told[game], is_excused=bool(excused_B[game]))
            elif not excused_B[game]:
                raise no_mask(self._name, method, f"info[{MASK!r}]")

    def _checked_mask(self, method: str, told: Any, *, is_excused: bool) -> NDArray[np.bool_]:
        if self._spaces.numbers is not None:
            raise mask_of_vectors(self._name, method)
        mask_A = as_mask(np.asarray(told), self.spec.num_actions, self._spaces.parts)
        if mask_A is None:
            raise wrong_mask(self._name, method, told, self.spec.num_actions)
        if is_excused:
            return mask_A | ~mask_A.any()
        if not mask_A.any():
            raise no_action_legal(self._name, method)
        return mask_A

    def _members(self, method: str, result: Any, members: str) -> Any:
        length = members.count(",") + 1
        if not isinstance(result, tuple) or len(result) != length or not isinstance(result[-1], dict):
            what = f"{len(result)} values" if isinstance(result, tuple) else shown(result)
            raise GameError(f"{self._name}: {method}() must return {members}, it returned {what}")
        return result

    def _rewards(self, rewards: Any) -> NDArray[np.float32]:
        reward_B = np.asarray(rewards)
        if (
            reward_B.shape != (self.num_games,)
            or reward_B.dtype.kind not in "fiub"
            or not (np.abs(reward_B) <= GREATEST).all()
        ):
            raise GameError(
                f"{self._name}: step() returned the rewards {shown(rewards)}, not a finite number for each of "
                f"{self.num_games} games"
            )
        return reward_B.astype(np.float32)

    def _flags(self, what: str, flags: Any) -> NDArray[np.bool_]:
        flag_B = np.asarray(flags)
        if flag_B.shape != (self.num_games,) or flag_B.dtype.kind not in "biu":
            raise GameError(
                f"{self._name}: step() returned {what}={shown(flags)}, not a bool for each of {self.num_games} games"
            )
        return flag_B.astype(np.bool_)


def _checked_spaces(config: GameConfig, env: VectorEnv) -> tuple[PlainSpace | None, Space, Spaces]:
    """How observations become plain, the environment's own actions, and the spaces that are searched."""
    observed = checked_space(config, env, "single_observation_space")
    plain = PlainSpace.of(observed)
    observed = observed if plain is None else plain.space
    own_actions = checked_space(config, env, "single_action_space")
    numbers = action_numbers(own_actions, config) if config.gymnasium.sampled_actions else None
    parts = action_parts(own_actions, config) if numbers is None else None
    actions: Discrete | Box = (
        Box(-1.0, 1.0, (len(numbers.lows),), np.float32)
        if numbers
        else Discrete(prod(parts.sizes))
        if parts
        else checked_actions(config, own_actions)
    )
    return plain, own_actions, Spaces(checked_frames(config, observed), actions, observed, parts, numbers)


def _spec(config: GameConfig, spaces: Spaces, plain: PlainSpace | None) -> GameSpec:
    cap = f"cap {config.max_episode_moves} moves" if config.max_episode_moves else "no cap but its own"
    spec = spec_of(config, spaces, ["a vector environment", *([str(plain)] if plain else [])], cap)
    wrappers = tuple(
        f"{choice}: {config.name} is a vector environment: leave it out"
        for choice in chosen(config.gymnasium, "game.gymnasium.", "wrappers")
    )
    return dataclasses.replace(spec, objections=spec.objections + wrappers)


def _autoreset(config: GameConfig, env: VectorEnv, num_games: int) -> AutoresetMode:
    """How ended games begin again; raises ConfigError where the caller cannot know of it."""
    if env.num_envs != num_games:
        raise ConfigError(f"game.name={config.name!r}: it made num_envs={env.num_envs} games, not {num_games}")
    mode = env.metadata.get("autoreset_mode")
    if mode not in _ALONE:
        raise ConfigError(
            f"game.name={config.name!r}: its metadata['autoreset_mode'] is {mode}: episodes would begin again inside a "
            "move: it must be gymnasium's AutoresetMode.DISABLED or SAME_STEP"
        )
    if mode is AutoresetMode.SAME_STEP and config.max_episode_moves:
        raise ConfigError(
            f"game.max_episode_moves={config.max_episode_moves}: {config.name} resets its episodes itself (SAME_STEP), "
            "so only it can limit them: leave it out"
        )
    return AutoresetMode(mode)

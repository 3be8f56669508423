"""Gymnasium's environments with a finite list of actions, in its own SyncVectorEnv without autoreset."""

import os
from collections.abc import Callable
from typing import cast

import gymnasium
import numpy as np
from gymnasium.spaces import Discrete
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from numpy.typing import NDArray

from ..config import GameConfig
from ..errors import ConfigError
from .game import GameSpec, SoloGame, StepResult, game_seeds
from .gymnasium_frames import FrameKind, frame_kind
from .gymnasium_wrappers import wrapped
from .names import ACTION_NAMES

_PICTURES = "rgb_array"


class GymnasiumGame(SoloGame):
    """B games of one gymnasium environment; `gymnasium_frames` describes their frames."""

    def __init__(
        self, config: GameConfig, num_games: int, seed: int, make_env: Callable[[GameConfig], gymnasium.Env]
    ) -> None:
        super().__init__(num_games)
        self._seeds: list[int] | None = game_seeds(seed, num_games)
        self._env = SyncVectorEnv([lambda: make_env(config)] * num_games, autoreset_mode=AutoresetMode.DISABLED)
        self._actions, self._frames = _checked_spaces(config, self._env)
        self.spec = _spec(config, self._env, self._frames, int(self._actions.n))
        self._frame_BF = np.zeros((num_games, *self.spec.frame_shape), self.spec.frame_dtype)

    def reset(self, mask_B: NDArray[np.bool_] | None = None) -> np.ndarray:
        """The current frames of all games, after those under the mask began a new episode."""
        mask_B = self._begin(mask_B)
        if self._seeds is not None:
            assert mask_B.all(), "the first reset must be of all games"
            observation_B, _ = self._env.reset(seed=cast(list[int | None], self._seeds))
            self._frame_BF, self._seeds = self._frames.convert(observation_B), None
        elif mask_B.any():
            self._frame_BF = self._frames.convert(self._env.reset(options={"reset_mask": mask_B})[0])
        return self._frame_BF

    def step(self, action_B: NDArray[np.integer]) -> StepResult:
        """Plays one action in every game; every game must be live."""
        self._check_step(action_B)
        observation_B, reward_B, terminated_B, truncated_B, _ = self._env.step(action_B + self._actions.start)
        self._frame_BF = self._frames.convert(observation_B)
        # A game that the rules end on its last allowed move is terminated, not truncated.
        result = StepResult(
            self._frame_BF, reward_B.astype(np.float32), terminated_B.copy(), truncated_B & ~terminated_B
        )
        return self._end(result)

    def render(self) -> NDArray[np.uint8] | None:
        """Returns the picture of game 0, uint8 [H, W, 3]; None where the environment draws none."""
        env = self._env.envs[0]
        if _PICTURES not in env.metadata.get("render_modes", ()):
            return None
        # Pictures need no window; without this SDL would report on stderr that there is none.
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
        env.unwrapped.render_mode = _PICTURES  # set this late, so that games without a viewer draw nothing
        return cast(NDArray[np.uint8], env.render())

    def action_names(self) -> tuple[str, ...]:
        """Returns the names in the environment's documentation, if it has any."""
        return ACTION_NAMES.get(self.spec.name, ())

    def close(self) -> None:
        """Closes the environments."""
        self._env.close()


def make_registered(config: GameConfig) -> gymnasium.Env:
    """The registered environment that `config` names; raises ConfigError if gymnasium cannot make it."""
    # Box2D games load pygame, which prints a greeting on stdout.
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    # None keeps the environment's registered limit.
    limit = config.max_episode_moves or None
    try:
        env = gymnasium.make(
            config.name, max_episode_steps=limit, disable_env_checker=True, **environment_arguments(config)
        )
    except (gymnasium.error.Error, ImportError, TypeError, ValueError, LookupError) as error:
        raise ConfigError(
            f"game.name={config.name!r}{_with_arguments(config)}: {type(error).__name__}: {error}"
        ) from None
    return wrapped(env, config)


def environment_arguments(config: GameConfig) -> dict[str, bool | int | float | str]:
    """`game.gymnasium.arguments`, and the arguments that its wrappers need."""
    drawn = {"render_mode": "rgb_array"} if "pixels" in config.gymnasium.wrappers else {}
    return {**config.gymnasium.arguments, **drawn}


def _with_arguments(config: GameConfig) -> str:
    arguments = config.gymnasium.arguments
    return f" with game.gymnasium.arguments={arguments}" if arguments else ""


def _checked_spaces(config: GameConfig, env: SyncVectorEnv) -> tuple[Discrete, FrameKind]:
    """Raises ConfigError for actions and observations that cannot be searched."""
    actions, observations = env.single_action_space, env.single_observation_space
    if not isinstance(actions, Discrete):
        raise ConfigError(
            f"game.name={config.name!r}: its actions are {actions}: only a finite list, Discrete(n), can be searched"
        )
    frames = frame_kind(observations)
    if frames is None:
        raise ConfigError(
            f"game.name={config.name!r}: it observes {observations}: only Box of one to three axes, Discrete, "
            "MultiDiscrete and MultiBinary become frames"
        )
    return actions, frames


def _spec(config: GameConfig, env: SyncVectorEnv, frames: FrameKind, num_actions: int) -> GameSpec:
    registered = env.envs[0].spec
    cap = config.max_episode_moves or (registered and registered.max_episode_steps)
    observed = f"{'x'.join(map(str, frames.shape))} {frames.dtype} {'values' if len(frames.shape) == 1 else 'image'}"
    wrappers = "".join(f", {name}" for name in config.gymnasium.wrappers)
    # The limit applies inside the wrappers.
    unit = "steps of its own" if "twice" in config.gymnasium.wrappers else "moves"
    return GameSpec(
        name=config.name,
        description=(
            f"{config.name}{_with_arguments(config)}: {observed}{wrappers}, stack {config.frame_stack}, "
            f"{num_actions} actions, {f'cap {cap} {unit}' if cap else 'no cap'}"
        ),
        frame_shape=frames.shape,
        frame_dtype=frames.dtype,
        frame_stack=config.frame_stack,
        num_actions=num_actions,
        num_players=1,
    )

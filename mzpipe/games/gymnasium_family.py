"""Gymnasium's vector-observation games, through its own SyncVectorEnv without autoreset."""

import os
from typing import cast

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from numpy.typing import NDArray

from ..config import GameConfig
from .game import GameSpec, SoloGame, StepResult, game_seeds
from .gymnasium_names import ACTION_NAMES

_PICTURES = "rgb_array"


class GymnasiumGame(SoloGame):
    """B games of one gymnasium environment with float vectors as frames."""

    def __init__(self, config: GameConfig, num_games: int, seed: int) -> None:
        super().__init__(num_games)
        self._seeds: list[int] | None = game_seeds(seed, num_games)
        self._env = _make_env(config, num_games)
        self.spec = _spec(config, self._env)
        self._frame_BF = np.zeros((num_games, *self.spec.frame_shape), np.float32)

    def reset(self, mask_B: NDArray[np.bool_] | None = None) -> np.ndarray:
        """The current frames of all games, after those under the mask began a new episode."""
        mask_B = self._begin(mask_B)
        if self._seeds is not None:
            assert mask_B.all(), "the first reset must be of all games"
            self._frame_BF = _as_frames(self._env.reset(seed=cast(list[int | None], self._seeds))[0])
            self._seeds = None
        elif mask_B.any():
            self._frame_BF = _as_frames(self._env.reset(options={"reset_mask": mask_B})[0])
        return self._frame_BF

    def step(self, action_B: NDArray[np.integer]) -> StepResult:
        """Plays one action in every game; every game must be live."""
        self._check_step(action_B)
        frame_BF, reward_B, terminated_B, truncated_B, _ = self._env.step(action_B)
        self._frame_BF = _as_frames(frame_BF)
        # A game that falls on its last allowed move has ended by the rules.
        result = StepResult(
            self._frame_BF, reward_B.astype(np.float32), terminated_B.copy(), truncated_B & ~terminated_B
        )
        return self._end(result)

    def render(self) -> NDArray[np.uint8] | None:
        """What the environment draws of game 0, uint8 [H, W, 3]; None where it draws no pictures."""
        env = self._env.envs[0]
        if _PICTURES not in env.metadata.get("render_modes", ()):
            return None
        # Pictures need no window, whose absence SDL would report on stderr.
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
        env.unwrapped.render_mode = _PICTURES  # as late as this, so that games nobody looks at draw nothing
        return cast(NDArray[np.uint8], env.render())

    def action_names(self) -> tuple[str, ...]:
        """As the environment's documentation has them, where it does."""
        return ACTION_NAMES.get(self.spec.name, ())

    def close(self) -> None:
        """Closes the environments."""
        self._env.close()


def _make_env(config: GameConfig, num_games: int) -> SyncVectorEnv:
    # Box2D games load pygame, which greets on stdout.
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")

    def make_one() -> gymnasium.Env:
        # None keeps the environment's registered limit.
        limit = config.max_episode_moves or None
        return gymnasium.make(config.name, max_episode_steps=limit, disable_env_checker=True)

    return SyncVectorEnv([make_one] * num_games, autoreset_mode=AutoresetMode.DISABLED)


def _spec(config: GameConfig, env: SyncVectorEnv) -> GameSpec:
    frame_space, action_space = env.single_observation_space, env.single_action_space
    assert isinstance(frame_space, Box) and isinstance(action_space, Discrete)
    assert env.envs[0].spec is not None
    num_actions = int(action_space.n)
    return GameSpec(
        name=config.name,
        description=(
            f"{config.name}: {frame_space.shape[0]} float32 values, stack {config.frame_stack}, "
            f"{num_actions} actions, cap {env.envs[0].spec.max_episode_steps} moves"
        ),
        frame_shape=frame_space.shape,
        frame_dtype="float32",
        frame_stack=config.frame_stack,
        num_actions=num_actions,
        num_players=1,
    )


def _as_frames(observation: np.ndarray) -> np.ndarray:
    return observation.astype(np.float32, copy=False)

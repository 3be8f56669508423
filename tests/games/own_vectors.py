"""Vector environments of a user's own: countdowns, whose start is drawn from the seed, and their faults."""

from typing import Any

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete
from gymnasium.vector import AutoresetMode, VectorEnv


class Countdowns(VectorEnv):
    """Each game counts down by its action plus 1, from 3 to 8, and ends below 1; its mask forbids going below 0."""

    single_observation_space = Box(-3.0, 10.0, (1,), np.float32)
    single_action_space = Discrete(3)

    def __init__(self, num_envs: int, mode: str = "DISABLED", masks: bool = False) -> None:
        self.metadata = {"autoreset_mode": AutoresetMode[mode]}
        self.num_envs, self._masks, self._count_B = num_envs, masks, np.zeros(num_envs, np.int64)
        self.closed_times = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        if seed is not None:
            self._rng = np.random.default_rng(seed)
        mask_B = np.ones(self.num_envs, np.bool_) if options is None else options["reset_mask"]
        self._begin(mask_B)
        return self._observed(), self._info()

    def step(self, actions):
        assert actions.shape == (self.num_envs,) and actions.dtype == self.single_action_space.dtype
        self._count_B = self._count_B - actions - 1
        ended_B, reward_B, info = self._count_B < 1, np.where(self._count_B == 0, 1.0, 0.0), {}
        if self.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP and ended_B.any():
            info = {"final_obs": self._observed(), "_final_obs": ended_B}
            self._begin(ended_B)
        return self._observed(), reward_B, ended_B, np.zeros(self.num_envs, np.bool_), {**info, **self._info()}

    def close_extras(self, **kwargs):
        self.closed_times += 1

    def _begin(self, mask_B):
        self._count_B = np.where(mask_B, self._rng.integers(3, 9, self.num_envs), self._count_B)

    def _observed(self):
        return self._count_B[:, None].astype(np.float32)

    def _info(self):
        return {"action_mask": np.arange(3) < np.maximum(self._count_B[:, None], 1)} if self._masks else {}


class AllTogether(Countdowns):
    """The same with Dict observations that hold the mask, and actions of two parts, of which the second counts."""

    single_observation_space = Dict(
        {"action_mask": MultiBinary(6), "count": Box(-9, 9, (1,), np.int64), "place": Discrete(4, start=1)}
    )
    single_action_space = MultiDiscrete([2, 3])

    def __init__(self, num_envs: int) -> None:
        super().__init__(num_envs)
        spaces = self.single_observation_space.spaces
        self.observation_space = Dict(
            {
                "action_mask": Box(0, 1, (num_envs, 6), np.int8),
                "count": Box(-9, 9, (num_envs, 1), np.int64),
                "place": MultiDiscrete([spaces["place"].n] * num_envs, start=[1] * num_envs),
            }
        )

    def step(self, actions):
        assert actions.shape == (self.num_envs, 2)
        self.second_B = actions[:, 1]
        return super().step(self.second_B.astype(np.int64))

    def _observed(self):
        mask_BA = np.tile(np.arange(3) < np.maximum(self._count_B[:, None], 1), (1, 2))
        return {
            "action_mask": mask_BA.astype(np.int8),
            "count": self._count_B[:, None],
            "place": 1 + np.maximum(self._count_B, 0) % 4,
        }


class Faulty(Countdowns):
    """Countdowns with one fault in what `step` returns."""

    def __init__(self, num_envs: int, fault: str = "") -> None:
        super().__init__(num_envs, "SAME_STEP" if fault == "final" else "DISABLED", masks=fault in ("mask", "nothing"))
        self._fault = fault

    def step(self, actions):
        observation, reward, terminated, truncated, info = super().step(actions)
        faults = {
            "four": lambda: (observation, reward, terminated, info),
            "rows": lambda: (observation[:1], reward, terminated, truncated, info),
            "reward": lambda: (observation, reward * np.nan, terminated, truncated, info),
            "rewards": lambda: (observation, 1.0, terminated, truncated, info),
            "flags": lambda: (observation, reward, terminated * 0.5, truncated, info),
            "info": lambda: (observation, reward, terminated, truncated, [info]),
            "mask": lambda: (observation, reward, terminated, truncated, {}),
            "nothing": lambda: (
                observation,
                reward,
                terminated,
                truncated,
                {"action_mask": np.zeros((self.num_envs, 3), np.bool_)},
            ),
            "final": lambda: (observation, reward, ~terminated, truncated, {}),
            "raises": lambda: 1 // 0,
        }
        return faults[self._fault]()


class Alone(Countdowns):
    """One game, however many are asked for."""

    def __init__(self, num_envs: int) -> None:
        super().__init__(1)

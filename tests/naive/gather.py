"""Plain-Python twin of the replay gather: whole episodes as lists, sliced by hand."""

from dataclasses import dataclass, field

import numpy as np


@dataclass
class NaiveEpisode:
    """One whole episode; `end` is "terminated", "truncated" or "unfinished"."""

    frames: list[np.ndarray] = field(default_factory=list)
    actions: list[int] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    root_values: list[float] = field(default_factory=list)
    policies: list[np.ndarray] = field(default_factory=list)
    end: str = "unfinished"
    final_value: float = 0.0


def stacked(episode: NaiveEpisode, t: int, frame_stack: int) -> np.ndarray:
    """[S, F]: the frames up to t, oldest first, zeros before the episode."""
    places = range(t - frame_stack + 1, t + 1)
    return np.stack([episode.frames[s] if s >= 0 else np.zeros_like(episode.frames[0]) for s in places])


def value_target(episode: NaiveEpisode, t: int, discount: float, td_steps: int) -> float:
    """z_t, by the formula."""
    total, end = 0.0, len(episode.rewards)
    for i in range(td_steps):
        if t + i == end:
            return total + discount**i * episode.final_value
        total += discount**i * episode.rewards[t + i]
    bootstrap = episode.root_values[t + td_steps] if t + td_steps < end else episode.final_value
    return total + discount**td_steps * bootstrap


def mixed_values(values: list[float], t: int, fresh: dict[int, float]) -> list[float]:
    """Value targets from step t on; a fresh search value, by step, takes the place of its step's return."""
    return [fresh.get(t + k, value) for k, value in enumerate(values)]


def targets(episode: NaiveEpisode, t: int, num_unroll_steps: int, discount: float, td_steps: int):
    """(values, value mask, rewards, reward mask, policies, policy mask, actions or None past the end)."""
    end, num_actions = len(episode.rewards), len(episode.policies[0])
    absorbing = float(episode.end == "terminated")
    values, value_mask, policies, policy_mask = [], [], [], []
    for s in range(t, t + num_unroll_steps + 1):
        inside = s < end
        values.append(value_target(episode, s, discount, td_steps) if inside else 0.0)
        value_mask.append(1.0 if inside else absorbing)
        policies.append(episode.policies[s] if inside else np.zeros(num_actions))
        policy_mask.append(float(inside and episode.policies[s].any()))
    steps = range(t, t + num_unroll_steps)
    rewards = [episode.rewards[s] if s < end else 0.0 for s in steps]
    reward_mask = [1.0 if s < end else absorbing for s in steps]
    actions = [episode.actions[s] if s < end else None for s in steps]
    return values, value_mask, rewards, reward_mask, policies, policy_mask, actions

"""Fills records with noise of the right kinds and plausible sizes, for input whose meaning does not matter.

Shape legend    A actions
"""

import numpy as np

from ...ipc.columns import named
from ...ipc.schema import TERMINATED, BatchSlot, Positions, Trajectory

_PIXELS = 256


def fill_frames(frames: np.ndarray, rng: np.random.Generator) -> None:
    """Fills frames with random pixels, or with normal numbers."""
    if frames.dtype == np.uint8:
        frames[...] = rng.integers(0, _PIXELS, frames.shape, np.uint8)
    else:
        frames[...] = rng.standard_normal(frames.shape)


def fill_batch(slot: BatchSlot, rng: np.random.Generator) -> None:
    """Fills a slot of a batch ring; nothing is masked."""
    unrolls = slot.unrolls
    num_actions = unrolls.policy_target_BK1A.shape[-1]
    for name, array in named(unrolls).items():
        if name == "frame":
            fill_frames(array, rng)
        elif name.endswith("_target"):
            array[...] = rng.standard_normal(array.shape)
        else:  # masks and weights
            array[...] = 1
    unrolls.action_BK[...] = rng.integers(0, num_actions, unrolls.action_BK.shape)
    unrolls.policy_target_BK1A[...] = rng.dirichlet(np.ones(num_actions), unrolls.policy_target_BK1A.shape[:-1])
    slot.keys.slot_B[...], slot.keys.generation_B[...] = np.arange(len(slot.keys.slot_B)), 0


def fill_positions(slot: Positions, rng: np.random.Generator) -> None:
    """Fills a slot of a position ring with as many positions as it has room for."""
    for observations in (slot.observation, slot.bootstrap_observation):
        fill_frames(observations, rng)
    slot.legal_actions[...], slot.rows[0] = True, len(slot.observation)


def fill_trajectory(slot: Trajectory, rng: np.random.Generator) -> None:
    """Fills a slot of a trajectory ring with a whole episode, as long as a record can be."""
    steps = slot.steps
    length, num_actions = steps.search_policy.shape
    fill_frames(slot.frame, rng)
    for column in named(steps).values():
        column[...] = rng.standard_normal(column.shape) if column.dtype.kind == "f" else 1
    steps.action[...], steps.to_play[...] = rng.integers(0, num_actions, length), 0
    steps.search_policy[...] = rng.dirichlet(np.ones(num_actions), length)
    slot.game[0], slot.episode[0], slot.offset[0], slot.length[0] = 0, 0, 0, length
    slot.end[0], slot.final_value[0] = TERMINATED, 0.0

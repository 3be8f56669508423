"""Noise of the right kinds and plausible sizes, for whoever needs input and not a meaning.

Shape legend    A actions
"""

import numpy as np

from ...ipc.slots import TERMINATED

Slot = dict[str, np.ndarray]

_PIXELS = 256


def fill_frames(frames: np.ndarray, rng: np.random.Generator) -> None:
    """Pixels, or normal numbers."""
    if frames.dtype == np.uint8:
        frames[...] = rng.integers(0, _PIXELS, frames.shape, np.uint8)
    else:
        frames[...] = rng.standard_normal(frames.shape)


def fill_batch(slot: Slot, rng: np.random.Generator) -> None:
    """A slot of a batch ring, with nothing masked."""
    num_actions = slot["policy_target"].shape[-1]
    for name in ("observation", "next_observation"):
        if name in slot:
            fill_frames(slot[name], rng)
    slot["action"][...] = rng.integers(0, num_actions, slot["action"].shape)
    for name in ("value_target", "reward_target"):
        slot[name][...] = rng.standard_normal(slot[name].shape)
    slot["policy_target"][...] = rng.dirichlet(np.ones(num_actions), slot["policy_target"].shape[:-1])
    for name in ("value_mask", "reward_mask", "policy_mask", "weight", "observation_mask"):
        if name in slot:
            slot[name][...] = 1.0
    slot["slot"][...], slot["generation"][...] = np.arange(len(slot["slot"])), 0


def fill_positions(slot: Slot, rng: np.random.Generator) -> None:
    """A slot of a position ring, with as many positions as it has room for."""
    for name in ("observation", "bootstrap_observation"):
        fill_frames(slot[name], rng)
    slot["legal_actions"][...], slot["rows"][0] = True, len(slot["observation"])


def fill_trajectory(slot: Slot, rng: np.random.Generator) -> None:
    """A slot of a trajectory ring: a whole episode, as long as a record can be."""
    length, num_actions = slot["search_policy"].shape
    fill_frames(slot["frame"], rng)
    slot["action"][...] = rng.integers(0, num_actions, length)
    slot["reward"][...], slot["root_value"][...] = rng.standard_normal(length), rng.standard_normal(length)
    slot["search_policy"][...] = rng.dirichlet(np.ones(num_actions), length)
    slot["legal_actions"][...], slot["to_play"][...], slot["weights_version"][...] = True, 0, 1
    slot["game"][0], slot["episode"][0], slot["offset"][0], slot["length"][0] = 0, 0, 0, length
    slot["end"][0], slot["final_value"][0] = TERMINATED, 0.0

"""References of the case `replay`: memcpy of as many bytes as a batch has, and NumPy, for batches and for draws.

For the same steps, numpy_gather writes the same data as Gatherer.fill.

Shape legend    B unrolls   K unroll steps   K1 = K + 1 states   S frames of a stack
                n rewards of a value target   N places of a sampler
"""

import itertools
import mmap
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from mzpipe.ipc.schema import BatchSlot

from .episodes import NUM_ACTIONS, Episodes
from .tables import DISCOUNT, FRAME_STACK, SLOTS_OF_THE_RING, TD_STEPS, UNROLL_STEPS, batch_bytes


def memcpy_pieces(
    episodes: Episodes, batch_size: int, num_batches: int, seed: int, *, following: bool = False
) -> Callable[[], np.ndarray]:
    """Copies as many bytes as a batch has, in a piece per unroll, from random pieces of memory as large as the table.

    np.take along the first axis is a loop around memcpy in C.
    """
    piece_bytes = batch_bytes(episodes, batch_size, following=following) // batch_size
    source = np.ones((max(1, episodes.frame_T.nbytes // piece_bytes), piece_bytes), np.uint8)
    targets = _targets((batch_size, piece_bytes))
    places = np.random.default_rng(seed).integers(0, len(source), (num_batches, batch_size))
    turns = itertools.cycle(places)
    return lambda: np.take(source, next(turns), axis=0, out=next(targets), mode="clip")


def memcpy_whole(episodes: Episodes, batch_size: int, num_batches: int, seed: int) -> Callable[[], np.ndarray]:
    """Copies as many bytes as a batch has, in one piece, from random places of memory as large as the table."""
    nbytes = batch_bytes(episodes, batch_size)
    source = np.ones(max(episodes.frame_T.nbytes, nbytes), np.uint8)
    targets = _targets((nbytes,))
    starts = np.random.default_rng(seed).integers(0, len(source) - nbytes + 1, num_batches)
    views = itertools.cycle([source[start : start + nbytes] for start in starts])

    def call() -> np.ndarray:
        target = next(targets)
        np.copyto(target, next(views))
        return target

    return call


def _targets(shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    """Shared memory of as many slots as ring_slots has."""
    nbytes = int(np.prod(shape))
    targets = [np.frombuffer(mmap.mmap(-1, nbytes), np.uint8).reshape(shape) for _ in range(SLOTS_OF_THE_RING)]
    for target in targets:
        target.fill(0)
    return itertools.cycle(targets)


def numpy_gather(episodes: Episodes, step_B: np.ndarray, slot: BatchSlot, rng: np.random.Generator) -> None:
    """Fills a slot with index arrays, the usual way without a compiler; weights are 1."""
    steps, unrolls = episodes.steps, slot.unrolls
    first_B1, stop_B1 = episodes.first_T[step_B, None], episodes.stop_T[step_B, None]
    terminated_B1 = episodes.terminated_T[step_B, None]
    take_stacks(episodes.frame_T, step_B[:, None] + np.arange(1 - FRAME_STACK, 1), first_B1, unrolls.observation)
    state_BK1 = step_B[:, None] + np.arange(UNROLL_STEPS + 1)
    inside_BK1 = state_BK1 < stop_B1
    known_BK1 = inside_BK1 | terminated_B1
    stored_BK1 = np.minimum(state_BK1, stop_B1 - 1)
    value_BK1 = _n_step_values(episodes, stored_BK1, stop_B1[..., None])
    inside_BK, stored_BK = inside_BK1[:, :-1], stored_BK1[:, :-1]
    random_BK = rng.integers(0, NUM_ACTIONS, stored_BK.shape, np.int32)
    unrolls.value_target_BK1[...] = np.where(inside_BK1, value_BK1, 0.0)
    unrolls.value_mask_BK1[...] = known_BK1
    unrolls.policy_target_BK1A[...] = np.where(inside_BK1[..., None], steps.search_policy[stored_BK1], np.float32(0.0))
    unrolls.policy_mask_BK1[...] = inside_BK1
    unrolls.action_BK[...] = np.where(inside_BK, steps.action[stored_BK], random_BK)
    unrolls.reward_target_BK[...] = np.where(inside_BK, steps.reward[stored_BK], np.float32(0.0))
    unrolls.reward_mask_BK[...] = known_BK1[:, :-1]
    unrolls.weight_B[...] = 1.0
    slot.keys.generation_B[...], slot.keys.slot_B[...] = np.divmod(step_B, len(episodes.frame_T))


def take_stacks(frame_T: np.ndarray, frame_BS: np.ndarray, first_B1: Any, observation_B: np.ndarray) -> None:
    """Stacks, oldest frame first; zeros before the episode."""
    out = observation_B.reshape(-1, *frame_T.shape[1:])
    np.take(frame_T, frame_BS.ravel(), axis=0, out=out, mode="clip")
    out[(frame_BS < first_B1).ravel()] = 0


def _n_step_values(episodes: Episodes, state_BK1: np.ndarray, stop_B11: np.ndarray) -> np.ndarray:
    """The targets z of stored states; float64 sums as in mzpipe.targets.n_step."""
    later_BK1n = state_BK1[..., None] + np.arange(TD_STEPS)
    reward_BK1n = np.where(later_BK1n < stop_B11, episodes.steps.reward[np.minimum(later_BK1n, stop_B11 - 1)], 0.0)
    stop_B1 = stop_B11[..., 0]
    steps_BK1 = np.minimum(TD_STEPS, stop_B1 - state_BK1)
    last_BK1 = state_BK1 + steps_BK1
    root_BK1 = episodes.steps.root_value[np.minimum(last_BK1, stop_B1 - 1)]
    bootstrap_BK1 = np.where(last_BK1 < stop_B1, root_BK1, episodes.final_value_T[state_BK1])
    return reward_BK1n @ DISCOUNT ** np.arange(TD_STEPS) + DISCOUNT**steps_BK1 * bootstrap_BK1


class NumpyTree:
    """SumTree's methods on a plain array: every draw sums all of it, and setting is an assignment."""

    def __init__(self, num_places: int) -> None:
        self._weight_N = np.zeros(num_places)
        self.total = 0.0

    def set(self, place_N: np.ndarray, weight_N: np.ndarray) -> None:
        """The same as SumTree.set."""
        self._weight_N[place_N] = weight_N

    def get(self, place_N: np.ndarray) -> np.ndarray:
        """The same as SumTree.get."""
        return self._weight_N[place_N]

    def draw(self, uniform_N: np.ndarray) -> np.ndarray:
        """The same as SumTree.draw; `total` is that of the last draw."""
        sum_N = np.cumsum(self._weight_N)
        self.total = float(sum_N[-1])
        return np.searchsorted(sum_N, uniform_N * self.total, side="right")

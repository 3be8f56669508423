"""Batches of unrolls from played moves, as the replay server makes them, with whole returns as value targets.

Half of each batch is positions shortly before a reward: training draws such positions more often too.

Shape legend    L emulators   T moves of each   B unrolls   K unroll steps   K1 = K + 1 states
                A actions   F one frame
"""

import numpy as np
import torch

from mzpipe.config import Profile
from mzpipe.errors import UsageError
from mzpipe.ipc.schema import Unrolls
from mzpipe.learner.batches import load_batch
from mzpipe.learner.loss import Batch

from .pong import Moves

_SHORTLY = 20
# Moves at the end of each record that are left out, because most of their return is unknown.
_UNKNOWN = 300
# One of so many stretches of so many moves is held out.
_HELD_OUT_SHARE, _STRETCH = 8, 200


class Positions:
    """Draws batches of the moves for training, or of those held out."""

    def __init__(self, moves: Moves, profile: Profile, num_actions: int, *, uniform_policy: bool) -> None:
        self._moves, self._num_actions, self._uniform = moves, num_actions, uniform_policy
        self._stack, self._num_steps = profile.game.frame_stack, profile.learner.num_unroll_steps
        self._with_next = profile.network.consistency
        self._return_LT = discounted_returns(moves, profile.search.discount)
        usable_LT, near_LT = _usable(moves, self._stack, self._num_steps), _before_rewards(moves)
        is_held_out_T = np.arange(usable_LT.shape[1]) // _STRETCH % _HELD_OUT_SHARE == 0
        self._places = {
            held_out: [np.argwhere(usable_LT & (is_held_out_T == held_out) & mask) for mask in (near_LT, True)]
            for held_out in (False, True)
        }
        if not all(len(places) for pair in self._places.values() for places in pair):
            raise UsageError(f"--moves {usable_LT.size}: too few to train on and to hold out: play more")

    def draw(self, batch_size: int, rng: np.random.Generator, *, held_out: bool = False) -> Batch:
        """One batch on the CPU, with importance weights of 1."""
        near, every = self._places[held_out]
        parts = [(near, batch_size // 2), (every, batch_size - batch_size // 2)]
        place_B2 = np.concatenate([places[rng.integers(len(places), size=size)] for places, size in parts])
        return self._batch(place_B2[:, :1], place_B2[:, 1:])

    def _batch(self, emulator_B1: np.ndarray, move_B1: np.ndarray) -> Batch:
        ones_BK1 = np.ones((len(move_B1), self._num_steps + 1), np.float32)
        state_BK1 = emulator_B1, move_B1 + np.arange(self._num_steps + 1)
        step_BK = emulator_B1, state_BK1[1][:, :-1]
        first, last = 1 - self._stack, self._num_steps if self._with_next else 0
        unrolls = Unrolls(
            frame_BF=self._moves.frame_LTF[emulator_B1, move_B1 + np.arange(first, last + 1)],
            action_BK=self._moves.action_LT[step_BK].astype(np.int32),
            value_target_BK1=self._return_LT[state_BK1],
            value_mask_BK1=ones_BK1,
            reward_target_BK=self._moves.reward_LT[step_BK],
            reward_mask_BK=ones_BK1[:, 1:],
            policy_target_BK1A=self._policy(state_BK1),
            policy_mask_BK1=ones_BK1,
            weight_B=ones_BK1[:, 0],
            observation_mask_BK=ones_BK1[:, 1:] if self._with_next else None,
        )
        return load_batch(unrolls, torch.device("cpu"))

    def _policy(self, state_BK1: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        if self._uniform:
            return np.full((*state_BK1[1].shape, self._num_actions), 1.0 / self._num_actions, np.float32)
        return np.eye(self._num_actions, dtype=np.float32)[self._moves.scripted_LT[state_BK1]]


def discounted_returns(moves: Moves, discount: float) -> np.ndarray:
    """The discounted sum of rewards from each move to its episode's end, or to the record's, [L, T] float32."""
    return_LT, after_L = np.zeros_like(moves.reward_LT), np.zeros(len(moves.reward_LT))
    for move in reversed(range(return_LT.shape[1])):
        after_L = moves.reward_LT[:, move] + discount * np.where(moves.ends_LT[:, move], 0.0, after_L)
        return_LT[:, move] = after_L
    return return_LT


def _usable(moves: Moves, stack: int, num_steps: int) -> np.ndarray:
    """Whether the stack and the unroll of each move lie within its episode."""
    ended_LT = np.cumsum(moves.ends_LT, axis=1) - moves.ends_LT
    first, last = stack - 1, ended_LT.shape[1] - num_steps
    usable_LT = np.zeros_like(moves.ends_LT)
    usable_LT[:, first:last] = ended_LT[:, : last - first] == ended_LT[:, first + num_steps :]
    usable_LT[:, -_UNKNOWN:] = False
    return usable_LT


def _before_rewards(moves: Moves) -> np.ndarray:
    """Whether one of the next moves, the move itself included, is rewarded."""
    rewards_LT = np.cumsum(np.pad(moves.reward_LT != 0.0, ((0, 0), (1, _SHORTLY - 1)), mode="constant"), axis=1)
    return rewards_LT[:, _SHORTLY:] > rewards_LT[:, :-_SHORTLY]

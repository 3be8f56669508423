"""Hidden states in the host's memory, and the arrays through which a batch of them passes.

    states [P, ...]  --source_R-->  state_R, action_R  --the network-->  next_state_R, answer_RC  --target_R-->  states

Shape legend    P rows of the pool   R rows of a batch   F numbers of a hidden state   C columns: 2 + places of a policy
"""

from math import prod

import numpy as np
from numba import njit

from ...ipc.copying import copy_rows


class HostPool:
    """The pool, and the arrays that networks read batches from and write them to; all networks of a server share it."""

    def __init__(self, num_rows: int, hidden_shape: tuple[int, ...], max_batch: int, num_policy_columns: int) -> None:
        self.state_R, self.next_state_R = (np.zeros((max_batch, *hidden_shape), np.float32) for _ in range(2))
        self.action_R = np.zeros(max_batch, np.int32)
        self.answer_RC = np.zeros((max_batch, 2 + num_policy_columns), np.float32)
        self._states_PF = np.zeros((num_rows, prod(hidden_shape)), np.float32)
        self._state_RF, self._next_state_RF = (
            array.reshape(max_batch, prod(hidden_shape)) for array in (self.state_R, self.next_state_R)
        )

    def gather(self, source_R: np.ndarray, action_R: np.ndarray) -> None:
        """Copies the states of these rows, and the actions, into the arrays that a network reads."""
        gather_kernel(self._states_PF, source_R, action_R, self._state_RF, self.action_R)

    def keep(self, target_R: np.ndarray, states_R: np.ndarray | None = None) -> None:
        """Stores states in these rows of the pool: the given ones, or else those that the network wrote."""
        states_RF = self._next_state_RF if states_R is None else states_R.reshape(len(target_R), -1)
        keep_kernel(states_RF, target_R, self._states_PF)


@njit(cache=True, nogil=True)
def gather_kernel(states_PF, source_R, action_R, state_RF, gathered_action_R):
    """Copies rows source_R of the pool, and the actions, to consecutive places."""
    for row in range(len(source_R)):
        copy_rows(state_RF, row, states_PF, source_R[row], 1)
        gathered_action_R[row] = action_R[row]


@njit(cache=True, nogil=True)
def keep_kernel(states_RF, target_R, states_PF):
    """Copies the first states to rows target_R of the pool."""
    for row in range(len(target_R)):
        copy_rows(states_PF, target_R[row], states_RF, row, 1)

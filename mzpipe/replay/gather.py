"""Gather kernels: training batches from the table straight into a claimed batch slot.

Shape legend    B unrolls   K unroll steps   A actions   C transitions   W steps of a window   F numbers of a frame
Reads           table.steps, table.trajectories
Writes          the slot's arrays, row by row
Preconditions   P1  every sampled step is stored (tail <= step < head).
Postconditions  I1  frames before the episode's start, or already removed, are zeros.
                I2  targets do not depend on where an episode was cut into trajectories, as long
                    as its trajectories are stored.
Oracle          tests/naive/gather.py
"""

import numpy as np
from numba import njit

from ..ipc.slots import TERMINATED, UNFINISHED
from ..targets.unroll import EpisodeSteps, UnrollTargets, unroll_targets
from .table import NONE, Table


@njit(cache=True, nogil=True)
def window_kernel(steps, trajectories, step, rows_W):
    """Rows of the steps from `step` on, across trajectory borders.

    Returns (how many, end, final value): what follows the last of them. When the
    window is full before the episode ends, `end` is UNFINISHED and nobody asks.
    """
    capacity = steps.action_C.shape[0]
    number = steps.trajectory_C[step % capacity]
    count = 0
    while True:
        row = number % capacity
        stop = trajectories.start_R[row] + trajectories.length_R[row]
        while step < stop:
            if count == rows_W.shape[0]:
                return count, UNFINISHED, np.float32(0.0)
            rows_W[count] = step % capacity
            count += 1
            step += 1
        after = trajectories.after_R[row]
        if after == NONE:
            return count, trajectories.end_R[row], trajectories.final_value_R[row]
        number = after
        step = trajectories.start_R[after % capacity]


@njit(cache=True, nogil=True)
def stack_kernel(steps, trajectories, frame_CF, step, stack_SF):
    """The frames up to `step`, oldest first, newest last; zeros before what is stored of the episode."""
    capacity = frame_CF.shape[0]
    number = steps.trajectory_C[step % capacity]
    for place in range(stack_SF.shape[0] - 1, -1, -1):
        if number == NONE:
            stack_SF[place, :] = 0
            continue
        stack_SF[place, :] = frame_CF[step % capacity]
        row = number % capacity
        if step > trajectories.start_R[row]:
            step -= 1
        else:
            number = trajectories.before_R[row]
            if number != NONE:
                before = number % capacity
                step = trajectories.start_R[before] + trajectories.length_R[before] - 1


@njit(cache=True, nogil=True)
def copy_window_kernel(steps, rows_W, count, window):
    """Copies the rows of a window into its own short arrays."""
    for place in range(count):
        row = rows_W[place]
        window.action_C[place] = steps.action_C[row]
        window.reward_C[place] = steps.reward_C[row]
        window.root_value_C[place] = steps.root_value_C[row]
        window.search_policy_CA[place] = steps.search_policy_CA[row]


@njit(cache=True, nogil=True)
def gather_kernel(steps, trajectories, frame_CF, step_B, discount, td_steps, random_key, batch, observation_BSF):
    """Fills a batch with the stacks and targets of the sampled steps."""
    window_length = batch.action_K.shape[1] + td_steps + 1
    num_actions = steps.search_policy_CA.shape[1]
    rows_W = np.empty(window_length, np.int64)
    window = EpisodeSteps(
        np.empty(window_length, np.int32),
        np.empty(window_length, np.float32),
        np.empty(window_length, np.float32),
        np.empty((window_length, num_actions), np.float32),
    )
    for sample in range(step_B.shape[0]):
        step = step_B[sample]
        stack_kernel(steps, trajectories, frame_CF, step, observation_BSF[sample])
        count, end, final_value = window_kernel(steps, trajectories, step, rows_W)
        copy_window_kernel(steps, rows_W, count, window)
        targets = UnrollTargets(
            batch.action_K[sample],
            batch.value_target_K1[sample],
            batch.reward_target_K[sample],
            batch.policy_target_K1A[sample],
            batch.value_mask_K1[sample],
            batch.reward_mask_K[sample],
            batch.policy_mask_K1[sample],
        )
        key = random_key + sample
        unroll_targets(window, 0, count, end == TERMINATED, final_value, discount, td_steps, key, targets)


class Gatherer:
    """Fills batch slots from a table."""

    def __init__(self, table: Table, *, discount: float, td_steps: int) -> None:
        self._table, self._discount, self._td_steps = table, discount, td_steps
        self._frame_CF = table.steps.frame_C.reshape(table.capacity, -1)

    def fill(self, slot: dict[str, np.ndarray], step_B: np.ndarray, random_key: int) -> None:
        """Writes everything of a batch but its importance weights; random_key fixes the actions past the end."""
        table = self._table
        batch = UnrollTargets(
            slot["action"],
            slot["value_target"],
            slot["reward_target"],
            slot["policy_target"],
            slot["value_mask"],
            slot["reward_mask"],
            slot["policy_mask"],
        )
        observation_BSF = slot["observation"].reshape(len(step_B), -1, self._frame_CF.shape[1])
        gather_kernel(
            table.steps,
            table.trajectories,
            self._frame_CF,
            step_B,
            self._discount,
            self._td_steps,
            random_key,
            batch,
            observation_BSF,
        )
        slot["slot"][:] = step_B % table.capacity
        slot["generation"][:] = step_B // table.capacity

"""Gather kernels: training batches from the table straight into a claimed batch slot.

Shape legend    B unrolls   K unroll steps   A actions   C transitions   W steps of a window
                N positions   S frames of a stack   R frames   F numbers of a frame
Reads           table.steps, table.trajectories
Writes          the slot's arrays, row by row
Preconditions   P1  every sampled step is stored (tail <= step < head).
Postconditions  I1  frames before the episode's start, or already removed, are zeros.
                I2  targets do not depend on where an episode was cut into trajectories, as long
                    as its trajectories are stored.
Speed           forceinline: the arrays of a NamedTuple would be pushed one by one at every call, and rows of
                policies are copied in loops, which slice assignment would make calls of.
Oracle          tests/naive/gather.py        Benchmark  mzpipe bench replay
"""

import numpy as np
from numba import njit

from ..ipc.slots import TERMINATED, UNFINISHED
from ..targets.n_step import n_step_value_at
from ..targets.unroll import EpisodeSteps, UnrollTargets, unroll_targets
from .frames import NONE, stack_steps_kernel
from .table import Table


@njit(cache=True, nogil=True, forceinline=True)
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
def later_step_kernel(steps, trajectories, step, distance):
    """The step `distance` moves later in the episode; NONE where that is not stored."""
    capacity = steps.action_C.shape[0]
    number = steps.trajectory_C[step % capacity]
    while number != NONE:
        row = number % capacity
        left = trajectories.start_R[row] + trajectories.length_R[row] - step
        if distance < left:
            return step + distance
        distance -= left
        number = trajectories.after_R[row]
        step = trajectories.start_R[number % capacity]
    return NONE


@njit(cache=True, nogil=True)
def later_steps_kernel(steps, trajectories, step_B, distance_B, later_B):
    """later_step_kernel for each of B steps."""
    for item in range(step_B.shape[0]):
        later_B[item] = later_step_kernel(steps, trajectories, step_B[item], distance_B[item])


@njit(cache=True, nogil=True, forceinline=True)
def copy_window_kernel(steps, rows_W, count, num_policies, window):
    """Copies the rows of a window into its own short arrays; policies of the first `num_policies` steps only."""
    for place in range(count):
        row = rows_W[place]
        window.action_C[place] = steps.action_C[row]
        window.reward_C[place] = steps.reward_C[row]
        window.bootstrap_value_C[place] = steps.bootstrap_value_C[row]
    for place in range(min(count, num_policies)):
        row = rows_W[place]
        for action in range(steps.search_policy_CA.shape[1]):
            window.search_policy_CA[place, action] = steps.search_policy_CA[row, action]


@njit(cache=True, nogil=True)
def make_window_kernel(length, num_actions):
    """Room for the steps of one window."""
    return EpisodeSteps(
        np.empty(length, np.int32),
        np.empty(length, np.float32),
        np.empty(length, np.float32),
        np.empty((length, num_actions), np.float32),
    )


@njit(cache=True, nogil=True)
def targets_kernel(steps, trajectories, step_B, td_steps_B, discount, random_key, batch):
    """Fills a batch with the actions and targets of the sampled steps, each with its own n."""
    window_length = batch.action_K.shape[1] + td_steps_B.max() + 1
    rows_W = np.empty(window_length, np.int64)
    window = make_window_kernel(window_length, steps.search_policy_CA.shape[1])
    for sample in range(step_B.shape[0]):
        count, end, final_value = window_kernel(steps, trajectories, step_B[sample], rows_W)
        copy_window_kernel(steps, rows_W, count, batch.policy_target_K1A.shape[1], window)
        targets = UnrollTargets(
            batch.action_K[sample],
            batch.value_target_K1[sample],
            batch.reward_target_K[sample],
            batch.policy_target_K1A[sample],
            batch.value_mask_K1[sample],
            batch.reward_mask_K[sample],
            batch.policy_mask_K1[sample],
        )
        key, td_steps = random_key + sample, td_steps_B[sample]
        unroll_targets(window, 0, count, end == TERMINATED, final_value, discount, td_steps, key, targets)


@njit(cache=True, nogil=True)
def value_errors_kernel(steps, trajectories, first_step, discount, td_steps, error_N):
    """|v - z| of the N steps from first_step on, from what is stored now (MuZero, appendix G)."""
    rows_W = np.empty(td_steps + 1, np.int64)
    window = make_window_kernel(td_steps + 1, steps.search_policy_CA.shape[1])
    capacity = steps.action_C.shape[0]
    for item in range(error_N.shape[0]):
        step = first_step + item
        count, end, final_value = window_kernel(steps, trajectories, step, rows_W)
        copy_window_kernel(steps, rows_W, count, 0, window)
        final = 0.0 if end == TERMINATED else final_value
        value_target = n_step_value_at(
            window.reward_C, window.bootstrap_value_C, 0, count, td_steps + 1, discount, td_steps, final
        )
        error_N[item] = abs(steps.root_value_C[step % capacity] - value_target)


class Gatherer:
    """Fills batch slots from a table."""

    def __init__(self, table: Table, *, discount: float, td_steps: int) -> None:
        self._table, self._discount, self._td_steps = table, discount, td_steps

    def fill(self, slot: dict[str, np.ndarray], step_B: np.ndarray, td_steps_B: np.ndarray, random_key: int) -> None:
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
        targets_kernel(table.steps, table.trajectories, step_B, td_steps_B, self._discount, random_key, batch)
        self.stacks(step_B, slot["observation"])
        slot["slot"][:] = step_B % table.capacity
        slot["generation"][:] = step_B // table.capacity

    def stacks(self, step_N: np.ndarray, observation_N: np.ndarray) -> None:
        """Writes the stacked observation of each of N steps (at least one); zeros where the step is NONE."""
        frames = self._table.frames
        out_RF = observation_N.reshape(-1, frames.frame_size)
        stack_NS = np.empty((len(step_N), len(out_RF) // len(step_N)), np.int64)
        stack_steps_kernel(self._table.steps, self._table.trajectories, step_N, stack_NS)
        frames.read(stack_NS.reshape(-1), out_RF)

    def bootstrap_steps(self, step_N: np.ndarray, td_steps_N: np.ndarray) -> np.ndarray:
        """The steps that the value targets of step_N bootstrap from; NONE where the episode ends before."""
        later_N = np.empty(len(step_N), np.int64)
        later_steps_kernel(self._table.steps, self._table.trajectories, step_N, td_steps_N, later_N)
        return later_N

    def value_errors(self, first_step: int, count: int) -> np.ndarray:
        """|v - z| of the newest `count` transitions, the priorities that they enter with."""
        error_N, table = np.empty(count, np.float32), self._table
        value_errors_kernel(table.steps, table.trajectories, first_step, self._discount, self._td_steps, error_N)
        return error_N

"""Gather kernels: write training batches from the table straight into a claimed batch slot.

Shape legend    B unrolls   K unroll steps   K1 = K + 1 states   A actions   C transitions
                N positions   S frames of a stack   F frames of an unroll   R frames, one row of numbers each
Reads           table.steps, table.added, table.trajectories
Writes          the slot's arrays, row by row
Preconditions   P1  every sampled step is stored (tail <= step < head).
Postconditions  I1  frames before the episode's start, already removed, or past its stored end, are zeros.
                I2  targets do not depend on where an episode was cut into trajectories, as long
                    as its trajectories are stored.
Speed           forceinline: without it every call would push the arrays of a NamedTuple one by one. Rows of
                policies are copied in loops: slice assignments would become calls. One kernel call per
                batch: a call from Python unpacks every array of every NamedTuple, a quarter of a
                microsecond each. Steps are prefetched: the processor cannot predict which come next.
Oracle          tests/naive/gather.py        Benchmark  mzpipe bench replay
"""

import numpy as np
from numba import njit

from ..ipc.copying import prefetch_rows
from ..ipc.schema import TERMINATED, UNFINISHED, BatchSlot, Unrolls
from ..targets.n_step import n_step_value_at
from ..targets.unroll import EpisodeSteps, UnrollTargets, random_action, unroll_targets
from .frames import NONE, read_kernel, stack_steps_kernel
from .table import Table

# A sample's steps are prefetched this many samples before its turn.
_SAMPLES_AHEAD = 2
# Numbers that a random vector draws from, evenly from -1 to 1.
_RANDOM_NUMBERS = 1 << 20


@njit(cache=True, nogil=True, forceinline=True)
def copy_step_kernel(steps, added, row, num_policies, window, place):
    """Copies one step to `place` in a window; policies only for the first `num_policies` places."""
    window.action_C[place] = steps.action[row]
    window.reward_C[place] = steps.reward[row]
    window.bootstrap_value_C[place] = added.bootstrap_value_C[row]
    if place < num_policies:
        for action in range(steps.search_policy.shape[1]):
            window.search_policy_CA[place, action] = steps.search_policy[row, action]


@njit(cache=True, nogil=True, forceinline=True)
def window_kernel(steps, added, trajectories, step, num_policies, window):
    """Copies the steps from `step` on, across trajectory borders, into a window of short arrays.

    Returns (number of steps, end, final value); the last two describe what follows the last step. If the window is
    full before the episode ends, `end` is UNFINISHED and no target depends on it.
    """
    capacity = steps.action.shape[0]
    number = added.trajectory_C[step % capacity]
    count = 0
    while True:
        row = number % capacity
        stop = trajectories.start_R[row] + trajectories.length_R[row]
        while step < stop:
            if count == window.action_C.shape[0]:
                return count, UNFINISHED, np.float32(0.0)
            copy_step_kernel(steps, added, step % capacity, num_policies, window, count)
            count += 1
            step += 1
        after = trajectories.after_R[row]
        if after == NONE:
            return count, trajectories.end_R[row], trajectories.final_value_R[row]
        number = after
        step = trajectories.start_R[after % capacity]


@njit(cache=True, nogil=True)
def later_step_kernel(trajectory_C, trajectories, step, distance):
    """The step `distance` moves later in the episode; NONE if it is not stored."""
    capacity = trajectory_C.shape[0]
    number = trajectory_C[step % capacity]
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
def later_steps_kernel(trajectory_C, trajectories, step_B, distance_B, later_B):
    """Applies later_step_kernel to each of B steps."""
    for item in range(step_B.shape[0]):
        later_B[item] = later_step_kernel(trajectory_C, trajectories, step_B[item], distance_B[item])


@njit(cache=True, nogil=True)
def following_steps_kernel(trajectory_C, trajectories, step_B, later_BK):
    """Writes the step after each of the next K actions; NONE where it is not stored."""
    for item in range(step_B.shape[0]):
        for place in range(later_BK.shape[1]):
            later_BK[item, place] = later_step_kernel(trajectory_C, trajectories, step_B[item], place + 1)


@njit(cache=True, nogil=True)
def make_window_kernel(length, num_actions):
    """Room for the steps of one window."""
    return EpisodeSteps(
        np.empty(length, np.int32),
        np.empty(length, np.float32),
        np.empty(length, np.float32),
        np.empty((length, num_actions), np.float32),
    )


@njit(cache=True, nogil=True, forceinline=True)
def prefetch_steps_kernel(steps, added, step, num_states):
    """Prefetches the rows that the targets of `step` are made from."""
    row = step % steps.action.shape[0]
    prefetch_rows(added.trajectory_C, row, 1)
    prefetch_rows(steps.action, row, num_states)
    prefetch_rows(steps.reward, row, num_states)
    prefetch_rows(added.bootstrap_value_C, row, num_states)
    prefetch_rows(steps.search_policy, row, num_states)


@njit(cache=True, nogil=True, forceinline=True)
def targets_row_kernel(batch, sample):
    """Room for the targets of one unroll of a batch."""
    return UnrollTargets(
        batch.action_BK[sample],
        batch.value_target_BK1[sample],
        batch.reward_target_BK[sample],
        batch.policy_target_BK1A[sample],
        batch.value_mask_BK1[sample],
        batch.reward_mask_BK[sample],
        batch.policy_mask_BK1[sample],
    )


@njit(cache=True, nogil=True)
def targets_kernel(steps, added, trajectories, step_B, td_steps_B, discount, random_key, batch):
    """Writes the actions and targets of the sampled steps, each with its own n.

    The columns are read in place if one trajectory holds all that an unroll needs, else through a window.
    """
    capacity = steps.action.shape[0]
    num_states = batch.value_target_BK1.shape[1]
    columns = EpisodeSteps(steps.action, steps.reward, added.bootstrap_value_C, steps.search_policy)
    window = make_window_kernel(num_states + td_steps_B.max(), steps.search_policy.shape[1])
    for sample in range(step_B.shape[0]):
        if sample + _SAMPLES_AHEAD < step_B.shape[0]:
            prefetch_steps_kernel(steps, added, step_B[sample + _SAMPLES_AHEAD], num_states)
        step, td_steps, key = step_B[sample], td_steps_B[sample], random_key + sample
        targets = targets_row_kernel(batch, sample)
        row = added.trajectory_C[step % capacity] % capacity
        stop = trajectories.start_R[row] + trajectories.length_R[row]
        if stop - step >= num_states + td_steps or trajectories.after_R[row] == NONE:
            over, final_value = trajectories.end_R[row] == TERMINATED, trajectories.final_value_R[row]
            unroll_targets(columns, step, stop, over, final_value, discount, td_steps, key, targets)
        else:
            count, end, final_value = window_kernel(steps, added, trajectories, step, num_states, window)
            over = end == TERMINATED
            unroll_targets(window, 0, count, over, final_value, discount, td_steps, key, targets)


@njit(cache=True, nogil=True)
def fill_kernel(
    steps,
    added,
    trajectories,
    raw_PF,
    raw_tail,
    step_B,
    td_steps_B,
    discount,
    random_key,
    keys,
    batch,
    frame_stack,
    step_BF,
):
    """Writes a batch except compressed frames, and the step of every frame; one call per batch."""
    capacity = steps.action.shape[0]
    for sample in range(step_B.shape[0]):
        keys.slot_B[sample] = step_B[sample] % capacity
        keys.generation_B[sample] = step_B[sample] // capacity
    targets_kernel(steps, added, trajectories, step_B, td_steps_B, discount, random_key, batch)
    stack_steps_kernel(added.trajectory_C, trajectories, step_B, step_BF[:, :frame_stack])
    following_steps_kernel(added.trajectory_C, trajectories, step_B, step_BF[:, frame_stack:])
    read_kernel(raw_PF, step_BF.reshape(-1), raw_tail, batch.frame_BF)


@njit(cache=True, nogil=True)
def search_values_kernel(steps, added, trajectories, step_B, first_newest, value_target_BK1):
    """Writes the search value of each state of the samples before step first_newest over its n-step return.

    A state that was never searched again keeps its return: its value is that of the weights which played it.
    """
    capacity = steps.action.shape[0]
    for sample in range(step_B.shape[0]):
        if step_B[sample] >= first_newest:
            continue
        for k in range(value_target_BK1.shape[1]):
            step = later_step_kernel(added.trajectory_C, trajectories, step_B[sample], k)
            if step == NONE:
                break
            row = step % capacity
            if added.search_version_C[row] != steps.weights_version[row]:
                value_target_BK1[sample, k] = steps.root_value[row]


@njit(cache=True, nogil=True)
def value_errors_kernel(steps, added, trajectories, first_step, discount, td_steps, error_N):
    """Writes |v - z| of the N steps from first_step on, from what is stored now (MuZero, appendix G)."""
    window = make_window_kernel(td_steps + 1, steps.search_policy.shape[1])
    capacity = steps.action.shape[0]
    for item in range(error_N.shape[0]):
        step = first_step + item
        count, end, final_value = window_kernel(steps, added, trajectories, step, 0, window)
        final = 0.0 if end == TERMINATED else final_value
        value_target = n_step_value_at(
            window.reward_C, window.bootstrap_value_C, 0, count, td_steps + 1, discount, td_steps, final
        )
        error_N[item] = abs(steps.root_value[step % capacity] - value_target)


@njit(cache=True, nogil=True)
def vectors_kernel(trajectory_C, trajectories, vectors_CV, step_B, action_size, random_key, vectors_BK1V):
    """Writes the action and the candidates at each state; past the stored end, random actions without candidates."""
    capacity = trajectory_C.shape[0]
    for sample in range(step_B.shape[0]):
        for k in range(vectors_BK1V.shape[1]):
            step = later_step_kernel(trajectory_C, trajectories, step_B[sample], k)
            if step != NONE:
                vectors_BK1V[sample, k] = vectors_CV[step % capacity]
                continue
            vectors_BK1V[sample, k] = 0.0
            for number in range(action_size):
                draw = random_action(random_key + sample, k * action_size + number, _RANDOM_NUMBERS)
                vectors_BK1V[sample, k, number] = 2.0 * draw / (_RANDOM_NUMBERS - 1) - 1.0


class Gatherer:
    """Fills batch slots from a table."""

    def __init__(self, table: Table, *, discount: float, td_steps: int) -> None:
        self._table, self._discount, self._td_steps = table, discount, td_steps

    def fill(self, slot: BatchSlot, step_B: np.ndarray, td_steps_B: np.ndarray, random_key: int) -> None:
        """Writes all of a batch except its importance weights; random_key fixes the actions past an episode's end."""
        table, frames, unrolls = self._table, self._table.frames, slot.unrolls
        frame_stack, mask_BK = unrolls.frame_stack, unrolls.observation_mask_BK
        step_BF, frame_RF = self._frame_rows(unrolls.frame_BF)
        # The kernel takes a row per frame, and one type of batch with and without the following frames.
        batch = unrolls._replace(frame_BF=frame_RF, observation_mask_BK=None, vectors_BK1V=None)
        fill_kernel(
            table.steps if table.steps.vectors is None else table.steps._replace(vectors=None),
            table.added,
            table.trajectories,
            frames.raw_PF,
            frames.raw_tail,
            step_B,
            td_steps_B,
            self._discount,
            random_key,
            slot.keys,
            batch,
            frame_stack,
            step_BF,
        )
        frames.read_compressed(step_BF, frame_RF)
        if mask_BK is not None:
            mask_BK[:] = step_BF[:, frame_stack:] != NONE
        if unrolls.vectors_BK1V is not None and table.steps.vectors is not None:
            vectors_CV, size = table.steps.vectors, unrolls.model_action_BK.shape[2]
            places = (table.added.trajectory_C, table.trajectories)
            vectors_kernel(*places, vectors_CV, step_B, size, random_key, unrolls.vectors_BK1V)

    def mix_in_search_values(self, unrolls: Unrolls[np.ndarray], step_B: np.ndarray, first_newest: int) -> None:
        """Gives samples before step first_newest the values of their newest searches as targets, at all states."""
        table = self._table
        search_values_kernel(
            table.steps, table.added, table.trajectories, step_B, first_newest, unrolls.value_target_BK1
        )

    def stacks(self, step_N: np.ndarray, observation_N: np.ndarray) -> None:
        """Writes the stacked observation of each of N steps (at least one); zeros for the step NONE."""
        stack_NS, frame_RF = self._frame_rows(observation_N)
        stack_steps_kernel(self._table.added.trajectory_C, self._table.trajectories, step_N, stack_NS)
        self._table.frames.read(stack_NS, frame_RF)

    def _frame_rows(self, array_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns room for the step of each frame of stacks or unrolls, and the array reshaped to a row per frame."""
        frame_RF = array_N.reshape(-1, self._table.frames.frame_size)
        return np.empty((len(array_N), len(frame_RF) // len(array_N)), np.int64), frame_RF

    def later_steps(self, step_N: np.ndarray, distance_N: np.ndarray) -> np.ndarray:
        """The steps `distance_N` moves later; NONE if the episode, or its stored part, ends before."""
        later_N = np.empty(len(step_N), np.int64)
        later_steps_kernel(self._table.added.trajectory_C, self._table.trajectories, step_N, distance_N, later_N)
        return later_N

    def value_errors(self, first_step: int, count: int) -> np.ndarray:
        """|v - z| of `count` transitions from first_step on: their first priorities."""
        error_N, table = np.empty(count, np.float32), self._table
        value_errors_kernel(
            table.steps, table.added, table.trajectories, first_step, self._discount, self._td_steps, error_N
        )
        return error_N

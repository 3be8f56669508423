"""FrameStore: keeps one single frame per stored transition; the newest lie raw, older ones compressed if configured.

    steps    tail ......... raw_tail ............... head
               compressed      raw rows, step mod P

V1  The frames of the steps [raw_tail, head) lie raw; those of [tail, raw_tail) in the compressed tier.
V2  Without a tier raw_tail is the table's tail.

Shape legend    P raw rows   N stacks   S frames of a stack   R frames read   F numbers of a frame
"""

import numpy as np
from numba import njit

from ..ipc.copying import copy_rows, prefetch_rows
from .compressed import CompressedFrames

NONE = -1


class FrameStore:
    """Frames are written once per transition and read as stacks; the table decides which ones to drop."""

    def __init__(
        self, num_raw: int, frame_shape: tuple[int, ...], frame_dtype: str, tier: CompressedFrames | None
    ) -> None:
        self.tier = tier
        self.raw_tail = 0
        self._raw_P = np.empty((num_raw, *frame_shape), frame_dtype)
        self._raw_P.fill(0)  # touches every page
        self.raw_PF = self._raw_P.reshape(num_raw, -1)

    @property
    def num_raw(self) -> int:
        """Frames that fit without compression."""
        return len(self._raw_P)

    @property
    def frame_size(self) -> int:
        """Numbers of one frame."""
        return self.raw_PF.shape[1]

    def write(self, first_step: int, frames: np.ndarray) -> None:
        """Stores the frames of consecutive steps; their rows must be free."""
        for rows, part in two_parts(first_step, len(frames), self.num_raw):
            self._raw_P[rows] = frames[part]

    def raw(self, first_step: int, count: int) -> np.ndarray:
        """A copy of consecutive raw frames."""
        return self._raw_P[np.arange(first_step, first_step + count) % self.num_raw]

    def drop_until(self, tail: int) -> None:
        """Forgets the frames before `tail`."""
        self.raw_tail = max(self.raw_tail, tail)
        if self.tier is not None:
            self.tier.drop_until(tail)

    def read(self, stack_NS: np.ndarray, out_RF: np.ndarray) -> None:
        """Writes the frames of stored steps, in any order, stack after stack; zeros for the step NONE."""
        read_kernel(self.raw_PF, stack_NS.reshape(-1), self.raw_tail, out_RF)
        self.read_compressed(stack_NS, out_RF)

    def read_compressed(self, stack_NS: np.ndarray, out_RF: np.ndarray) -> None:
        """Writes the frames that read_kernel leaves out: those in the compressed tier."""
        if self.tier is None:
            return
        step_R = stack_NS.reshape(-1)
        row_N = np.flatnonzero((step_R < self.raw_tail) & (step_R != NONE))
        if len(row_N):
            self.tier.read(step_R[row_N], out_RF, row_N)


@njit(cache=True, nogil=True)
def read_kernel(raw_PF, step_R, raw_tail, out_RF):
    """Copies raw frames, consecutive ones in one piece, and writes zeros for NONE; leaves other rows alone."""
    row, num_rows, num_raw = 0, step_R.shape[0], raw_PF.shape[0]
    while row < num_rows:
        step = step_R[row]
        if step < raw_tail:
            if step == NONE:
                out_RF[row, :] = 0
            row += 1
            continue
        source, count = step % num_raw, 1
        while row + count < num_rows and step_R[row + count] == step + count and source + count < num_raw:
            count += 1
        if row + count < num_rows:
            prefetch_rows(raw_PF, step_R[row + count] % num_raw, 1)
        copy_rows(out_RF, row, raw_PF, source, count)
        row += count


@njit(cache=True, nogil=True)
def stack_steps_kernel(trajectory_C, trajectories, step_N, stack_NS):
    """Writes the steps of each stack, oldest first, `step` last; NONE before the stored part of the episode."""
    capacity = trajectory_C.shape[0]
    for item in range(step_N.shape[0]):
        step = step_N[item]
        number = NONE if step == NONE else trajectory_C[step % capacity]
        for place in range(stack_NS.shape[1] - 1, -1, -1):
            stack_NS[item, place] = NONE if number == NONE else step
            if number == NONE:
                continue
            row = number % capacity
            if step > trajectories.start_R[row]:
                step -= 1
            else:
                number = trajectories.before_R[row]
                if number != NONE:
                    before = number % capacity
                    step = trajectories.start_R[before] + trajectories.length_R[before] - 1


def two_parts(first: int, length: int, capacity: int) -> list[tuple[slice, slice]]:
    """(rows, part of the record): one pair, or two if the record wraps around the end of a circular array."""
    row = first % capacity
    until_end = min(length, capacity - row)
    parts = [(slice(row, row + until_end), slice(0, until_end))]
    if until_end < length:
        parts.append((slice(0, length - until_end), slice(until_end, length)))
    return parts

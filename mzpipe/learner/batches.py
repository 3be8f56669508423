"""BatchFeed: brings batches from the ring to the learner's device, the next one while this one trains.

`peek` at the next batch, `take` it to train on, `release` it when the step's result is known: batches are released in
the order in which they were taken.

On a CPU a batch consists of views of the ring's slot. On a GPU the ring is pinned
memory, and slots are copied on their own stream, one ahead of training; a slot
returns to its producer once its copy has ended.
"""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from ..ipc.ring import Ring, RingReader
from ..ipc.schema import BatchSlot, Unrolls
from ..nets.pinned import Registered, register
from .loss import Batch

_COPIED_AHEAD = 2


class _Staged(NamedTuple):
    """A slot and its batch; copied is None if the batch is the slot itself."""

    slot: BatchSlot
    batch: Batch
    copied: torch.cuda.Event | None


class BatchFeed:
    """`peek` at the next batch, `take` it, `release` the oldest; `note` is told if copies will be slow."""

    def __init__(
        self, ring: Ring[BatchSlot], device: torch.device, note: Callable[[str], None] = lambda line: None
    ) -> None:
        self._reader, self._device = RingReader(ring), device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._ahead = _COPIED_AHEAD if self._stream else 1
        self._staged: deque[_Staged] = deque()
        self._num_taken = 0
        self._pinned = pin_memory(ring, device, note)

    @property
    def sequence(self) -> int:
        """The number of the next batch, which is the count of batches taken before it."""
        return self._reader.sequence + self._num_taken

    def peek(self) -> tuple[BatchSlot, Batch] | None:
        """The next batch, as its slot in the ring and as tensors on the device; None while there is none."""
        most = self._num_taken + self._ahead
        while len(self._staged) < most and (slot := self._reader.peek(len(self._staged))) is not None:
            self._staged.append(self._stage(slot))
        if len(self._staged) == self._num_taken:
            return None
        following = self._staged[self._num_taken]
        if following.copied is not None:
            torch.cuda.current_stream(self._device).wait_event(following.copied)
        return following.slot, following.batch

    def take(self) -> None:
        """Makes the batch after the one that was peeked at the next one; its slot stays until it is released."""
        self._num_taken += 1

    def release(self, *, is_copied: bool = False) -> None:
        """Gives the oldest slot back; its batch must no longer be used. Waits for its copy unless that has ended."""
        oldest = self._staged.popleft()
        self._num_taken = max(0, self._num_taken - 1)
        if oldest.copied is not None and not is_copied:
            oldest.copied.synchronize()
        self._reader.release()

    def close(self) -> None:
        """Ends the copies and gives the memory back to the driver; no batch may be used afterwards."""
        self._staged.clear()
        self._pinned.close()

    def _stage(self, slot: BatchSlot) -> _Staged:
        if self._stream is None:
            return _Staged(slot, load_batch(slot.unrolls, self._device), None)
        with torch.cuda.stream(self._stream):
            batch = load_batch(slot.unrolls, self._device)
            copied = torch.cuda.Event()
            copied.record(self._stream)
        for tensor in batch:
            if tensor is not None:  # made on one stream, used on another
                tensor.record_stream(torch.cuda.current_stream(self._device))
        return _Staged(slot, batch, copied)


def load_batch(unrolls: Unrolls[np.ndarray], device: torch.device) -> Batch:
    """The slot's batch; on a CPU it consists of views, valid until the slot is released."""
    return Unrolls._make(
        None if array is None else torch.from_numpy(array).to(device, non_blocking=True) for array in unrolls
    )


def pin_memory(ring: Ring, device: torch.device, note: Callable[[str], None] = lambda line: None) -> Registered:
    """Registers the ring's slots with the GPU's driver; without this, copies would not overlap with training."""
    first, last = ring.payloads[0], ring.payloads[-1]
    nbytes = last.ctypes.data + last.nbytes - first.ctypes.data
    return register(np.lib.stride_tricks.as_strided(first, (nbytes,), (1,)), device, note)

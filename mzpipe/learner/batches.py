"""BatchFeed: batches of the ring on the learner's device, the next one on its way while this one trains.

On a CPU a batch is views of the ring's slot. On a GPU the ring is pinned memory
and slots are copied on a stream of their own, one ahead of training; a slot goes
back to its producer once its copy has ended.
"""

from collections import deque
from typing import NamedTuple

import numpy as np
import torch

from ..ipc.ring import Ring, RingReader
from .loss import Batch

Slot = dict[str, np.ndarray]
_COPIED_AHEAD = 2


class _Staged(NamedTuple):
    """A slot and its batch; copied is None where the batch is the slot itself."""

    slot: Slot
    batch: Batch
    copied: torch.cuda.Event | None


class BatchFeed:
    """`peek` at the oldest batch, train on it, `release` it."""

    def __init__(self, ring: Ring, device: torch.device) -> None:
        self._reader, self._device = RingReader(ring), device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._ahead = _COPIED_AHEAD if self._stream else 1
        self._staged: deque[_Staged] = deque()
        if self._stream:
            pin_memory(ring)

    @property
    def sequence(self) -> int:
        """Number of the oldest batch: how many were released before it."""
        return self._reader.sequence

    def peek(self) -> tuple[Slot, Batch] | None:
        """The oldest batch as it lies in the ring and as tensors on the device, or None while there is none."""
        while len(self._staged) < self._ahead and (slot := self._reader.peek(len(self._staged))) is not None:
            self._staged.append(self._stage(slot))
        if not self._staged:
            return None
        oldest = self._staged[0]
        if oldest.copied is not None:
            torch.cuda.current_stream(self._device).wait_event(oldest.copied)
        return oldest.slot, oldest.batch

    def release(self) -> None:
        """Gives the oldest slot back; its batch must no longer be used."""
        oldest = self._staged.popleft()
        if oldest.copied is not None:
            oldest.copied.synchronize()
        self._reader.release()

    def _stage(self, slot: Slot) -> _Staged:
        if self._stream is None:
            return _Staged(slot, load_batch(slot, self._device), None)
        with torch.cuda.stream(self._stream):
            batch = load_batch(slot, self._device)
            copied = torch.cuda.Event()
            copied.record(self._stream)
        for tensor in batch:
            if tensor is not None:  # made on one stream, used on another
                tensor.record_stream(torch.cuda.current_stream(self._device))
        return _Staged(slot, batch, copied)


def load_batch(slot: Slot, device: torch.device) -> Batch:
    """The slot's batch; on a CPU these are views that die with the slot's release."""

    def tensor(name: str) -> torch.Tensor:
        return torch.from_numpy(slot[name]).to(device, non_blocking=True)

    follows = "next_observation" in slot
    return Batch(
        observation=tensor("observation"),
        action_BK=tensor("action"),
        value_target_BK1=tensor("value_target"),
        value_mask_BK1=tensor("value_mask"),
        reward_target_BK=tensor("reward_target"),
        reward_mask_BK=tensor("reward_mask"),
        policy_target_BK1A=tensor("policy_target"),
        policy_mask_BK1=tensor("policy_mask"),
        weight_B=tensor("weight"),
        next_observation_BK=tensor("next_observation") if follows else None,
        observation_mask_BK=tensor("observation_mask") if follows else None,
    )


def pin_memory(ring: Ring) -> None:
    """Registers the ring's slots with the GPU's driver, so that copies run beside training; else they take its time."""
    first, last = ring.payloads[0], ring.payloads[-1]
    start = first.ctypes.data
    torch.cuda.cudart().cudaHostRegister(start, last.ctypes.data + last.nbytes - start, 0)

"""Ring: fixed slots from one producer to one consumer, built and read in place.

    | 0 head ...pad 128 | tail ...pad 128 | slot 0 | slot 1 | ... | slot 2^n - 1 |
    slot: | commit | nbytes | epoch | ...pad 64 | payload ...pad 128 |

V1  Sequence s lives in slot s mod 2^n; its commit word is s + 1 once it is whole.
V2  tail <= every readable sequence < tail + 2^n; only the consumer writes tail.
V3  The commit word is stored last, so a producer killed while it builds a slot
    leaves nothing to read; the next producer continues after the last commit.
V4  The commit word names the sequence, so a whole record of another lap is not
    mistaken for this one.
V5  head counts commits, for gauges only: no correctness depends on it.

Each operation on a slot is one call of a kernel that takes addresses (see atomics).
"""

from typing import Generic

import numpy as np
from numba import njit

from . import atomics
from .columns import R, RecordLayout
from .layout import FALSE_SHARING_BYTES, WORDS_PER_LINE, ArrayLayout, align
from .segment import HEADER_BYTES, Segment

SLOT_HEADER_BYTES = 64
_COMMIT, _NBYTES, _EPOCH = range(3)
_HEAD, _TAIL = 0, WORDS_PER_LINE
_CURSOR_BYTES = 2 * FALSE_SHARING_BYTES


def power_of_two(num_slots: int) -> int:
    """The smallest power of two that is at least `num_slots`."""
    return 1 << (num_slots - 1).bit_length()


class Ring(Generic[R]):
    """The bytes of a ring: cursors, slot headers and payload views. Ends are RingWriter and RingReader."""

    def __init__(self, segment: Segment, layout: RecordLayout[R], num_slots: int) -> None:
        self.num_slots = power_of_two(num_slots)
        self.layout = layout
        stride = self.stride(layout)
        buffer = segment.buffer
        self.cursors = np.ndarray((2 * WORDS_PER_LINE,), "int64", buffer, HEADER_BYTES)
        places = [HEADER_BYTES + _CURSOR_BYTES + index * stride for index in range(self.num_slots)]
        self.headers = [np.ndarray((SLOT_HEADER_BYTES // 8,), "int64", buffer, place) for place in places]
        self.slots = [layout.record(buffer, place + SLOT_HEADER_BYTES) for place in places]
        self.payloads = [np.ndarray((layout.nbytes,), "uint8", buffer, place + SLOT_HEADER_BYTES) for place in places]

        # Addresses in the arrays above, valid while this object keeps them.
        self.head, self.tail = (int(self.cursors[place:].ctypes.data) for place in (_HEAD, _TAIL))
        self.addresses = [int(header.ctypes.data) for header in self.headers]

    @staticmethod
    def stride(layout: ArrayLayout) -> int:
        """Bytes from one slot to the next."""
        return align(SLOT_HEADER_BYTES + layout.nbytes, FALSE_SHARING_BYTES)

    @classmethod
    def payload_bytes(cls, layout: ArrayLayout, num_slots: int) -> int:
        """Bytes of the whole ring without the segment's header."""
        return _CURSOR_BYTES + power_of_two(num_slots) * cls.stride(layout)

    def fill(self) -> float:
        """The fraction of slots that are committed and not yet released; a gauge that may be a lap old."""
        # A record can be released before its writer has counted it.
        return max(0.0, float(self.cursors[_HEAD] - self.cursors[_TAIL]) / self.num_slots)


class RingWriter(Generic[R]):
    """The producer's end: `claim` a slot, fill its arrays, `commit`."""

    def __init__(self, ring: Ring[R], *, epoch: int = 0) -> None:
        self._ring = ring
        self._epoch = epoch
        self._commit = atomics.entry(commit_kernel, 5)
        # SYNC ring.release acquire: the consumer has left every slot before this tail
        self._tail = atomics.load_acquire(ring.cursors, _TAIL)
        self._sequence = self._first_uncommitted()

    def _first_uncommitted(self) -> int:
        sequence = self._tail
        while sequence < self._tail + self._ring.num_slots:
            # SYNC ring.commit acquire: a former producer's whole slot
            if atomics.load_acquire(self._ring.headers[sequence % self._ring.num_slots], _COMMIT) != sequence + 1:
                break
            sequence += 1
        return sequence

    @property
    def sequence(self) -> int:
        """Number of the next slot to commit; the first is 0."""
        return self._sequence

    def claim(self) -> R | None:
        """The next free slot, or None while the ring is full; claiming twice gives the same slot."""
        ring, sequence = self._ring, self._sequence
        if sequence - self._tail >= ring.num_slots:
            # SYNC ring.release acquire: the consumer has left the slot that is claimed here
            self._tail = atomics.load_acquire(ring.tail, 0)
            if sequence - self._tail >= ring.num_slots:
                return None
        return ring.slots[sequence % ring.num_slots]

    def commit(self, epoch: int | None = None) -> None:
        """Publishes the claimed slot; `epoch` is that of the record, where it is not this writer's own."""
        ring, sequence = self._ring, self._sequence
        header = ring.addresses[sequence % ring.num_slots]
        epoch = self._epoch if epoch is None else epoch
        self._sequence = self._commit(header, ring.head, ring.layout.nbytes, epoch, sequence)

    def free(self) -> int:
        """The number of slots that can be claimed and committed before the consumer releases another."""
        # SYNC ring.release acquire: the consumer has left the slots that are counted here
        self._tail = atomics.load_acquire(self._ring.tail, 0)
        return self._ring.num_slots - (self._sequence - self._tail)

    def waiting(self) -> list[R]:
        """The slots, oldest first, that this writer or its predecessor committed and the consumer has not released."""
        count = self._ring.num_slots - self.free()
        return [self._ring.slots[(self._sequence - ago) % self._ring.num_slots] for ago in range(count, 0, -1)]


class RingReader(Generic[R]):
    """The consumer's end: `peek` at the oldest slot, use its arrays, `release`; or look ahead, and release in order."""

    def __init__(self, ring: Ring[R]) -> None:
        self._ring = ring
        self._sequence = int(ring.cursors[_TAIL])
        self._acquired = -1
        self._commit_words = [header.data for header in ring.headers]
        self._load_acquire = atomics.entry(atomics.load_acquire, 2)
        self._store_release = atomics.entry(atomics.store_release, 3)

    @property
    def sequence(self) -> int:
        """Number of the oldest slot that has not been released; the first is 0."""
        return self._sequence

    def peek(self, ahead: int = 0) -> R | None:
        """The oldest committed slot, or the one `ahead` places after it; None while it is not committed.

        Peeking twice gives the same slot. The first peek at each slot must follow the slots' order.
        """
        ring, sequence = self._ring, self._sequence + ahead
        index = sequence % ring.num_slots
        # This load only saves a call: the order comes from the acquire, here or at the first peek.
        if ahead >= ring.num_slots or self._commit_words[index][_COMMIT] != sequence + 1:
            return None
        if self._acquired < sequence:
            # SYNC ring.commit acquire: the slot's payload and header
            if self._load_acquire(ring.addresses[index], _COMMIT) != sequence + 1:
                return None
            self._acquired = sequence
        return ring.slots[index]

    def epoch(self, ahead: int = 0) -> int:
        """Epoch of the peeked slot's writer: how often its process was restarted."""
        return int(self._ring.headers[(self._sequence + ahead) % self._ring.num_slots][_EPOCH])

    def release(self) -> None:
        """Gives the peeked slot back to the producer; its arrays must no longer be used."""
        self._sequence += 1
        # SYNC ring.release release: the consumer's last read of the slot
        self._store_release(self._ring.tail, 0, self._sequence)


@njit(cache=True)
def commit_kernel(header, head, nbytes, epoch, sequence):
    """Publishes a slot; returns the sequence of the next one."""
    atomics.store_relaxed(header, _NBYTES, nbytes)
    atomics.store_relaxed(header, _EPOCH, epoch)
    # SYNC ring.commit release: the slot's payload and header
    atomics.store_release(header, _COMMIT, sequence + 1)
    atomics.store_relaxed(head, 0, sequence + 1)
    return sequence + 1

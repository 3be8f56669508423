"""Ring: fixed slots from one producer to one consumer, built and read in place.

    | 0 head ...pad 128 | tail ...pad 128 | slot 0 | slot 1 | ... | slot 2^n - 1 |
    slot: | commit | nbytes | epoch | crc32c | ...pad 64 | payload ...pad 128 |

V1  Sequence s lives in slot s mod 2^n; its commit word is s + 1 once it is whole.
V2  tail <= every readable sequence < tail + 2^n; only the consumer writes tail.
V3  The commit word is stored last, so a producer killed while it builds a slot
    leaves nothing to read; the next producer continues after the last commit.
V4  The checksum covers payload and sequence: neither a torn slot nor a whole one of
    another lap passes.
V5  head counts commits, for gauges only: nobody's safety depends on it.

What is done to a slot is one call of a kernel that takes addresses (see atomics).
"""

from typing import Generic

import numpy as np
from numba import njit

from ..errors import InputOutputError
from . import atomics
from .checksum import crc32c
from .columns import R, RecordLayout
from .layout import FALSE_SHARING_BYTES, WORDS_PER_LINE, ArrayLayout, align
from .segment import HEADER_BYTES, Segment

SLOT_HEADER_BYTES = 64
_COMMIT, _NBYTES, _EPOCH, _CRC = range(4)
_HEAD, _TAIL = 0, WORDS_PER_LINE
_CURSOR_BYTES = 2 * FALSE_SHARING_BYTES
# What check_kernel finds.
NOTHING, WHOLE, DAMAGED = range(3)


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

        # Of what lies above, which stays as long as this object keeps its arrays.
        self.head, self.tail = (int(self.cursors[place:].ctypes.data) for place in (_HEAD, _TAIL))
        self.addresses = [int(header.ctypes.data) for header in self.headers]
        self.sealed_bytes = self.sealed(layout)

    @staticmethod
    def stride(layout: ArrayLayout) -> int:
        """Bytes from one slot to the next."""
        return align(SLOT_HEADER_BYTES + layout.nbytes, FALSE_SHARING_BYTES)

    @classmethod
    def payload_bytes(cls, layout: ArrayLayout, num_slots: int) -> int:
        """Bytes of the whole ring without the segment's header."""
        return _CURSOR_BYTES + power_of_two(num_slots) * cls.stride(layout)

    @staticmethod
    def sealed(layout: ArrayLayout) -> int:
        """Bytes of a payload that its checksum covers: all."""
        return layout.nbytes

    def fill(self) -> float:
        """Committed and not yet released slots, as a fraction; a gauge that may be a lap old."""
        # A record can be released before its writer gets round to counting it.
        return max(0.0, float(self.cursors[_HEAD] - self.cursors[_TAIL]) / self.num_slots)


class RingWriter(Generic[R]):
    """The producer's end: `claim` a slot, fill its arrays, `commit`."""

    def __init__(self, ring: Ring[R], *, epoch: int = 0) -> None:
        self._ring = ring
        self._epoch = epoch
        self._commit = atomics.entry(commit_kernel, 6)
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
        """Number of the slot that is committed next; the first was 0."""
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

    def commit(self) -> None:
        """Publishes the claimed slot."""
        ring, sequence = self._ring, self._sequence
        header = ring.addresses[sequence % ring.num_slots]
        self._sequence = self._commit(header, ring.head, ring.layout.nbytes, ring.sealed_bytes, self._epoch, sequence)


class RingReader(Generic[R]):
    """The consumer's end: `peek` at the oldest slot, use its arrays, `release`; or look ahead, and release in order."""

    def __init__(self, ring: Ring[R]) -> None:
        self._ring = ring
        self._sequence = int(ring.cursors[_TAIL])
        self._checked = -1
        self._commit_words = [header.data for header in ring.headers]
        self._check, self._store_release = atomics.entry(check_kernel, 3), atomics.entry(atomics.store_release, 3)

    @property
    def sequence(self) -> int:
        """Number of the oldest slot that has not been released; the first was 0."""
        return self._sequence

    def peek(self, ahead: int = 0) -> R | None:
        """The oldest committed slot, or of the one `ahead` places behind it; None where there is none yet.

        Peeking twice gives the same slot; slots are first peeked at in their order. Raises
        InputOutputError when the slot's checksum is not that of its payload and sequence.
        """
        ring, sequence = self._ring, self._sequence + ahead
        index = sequence % ring.num_slots
        # Only whether it is worth a call: the order is that of the kernel's acquire, here or when it was checked.
        if ahead >= ring.num_slots or self._commit_words[index][_COMMIT] != sequence + 1:
            return None
        if self._checked < sequence:
            if not self._is_whole(index, sequence):
                return None
            self._checked = sequence
        return ring.slots[index]

    def _is_whole(self, index: int, sequence: int) -> bool:
        address, sealed_bytes = self._ring.addresses[index], self._ring.sealed_bytes
        found = self._check(address, sealed_bytes, sequence)
        if found == DAMAGED:
            expected, seal = int(self._ring.headers[index][_CRC]), seal_kernel(address, sealed_bytes, sequence)
            raise InputOutputError(f"ring slot {index}, sequence {sequence}: checksum {seal:#x}, not {expected:#x}")
        return found == WHOLE

    def epoch(self) -> int:
        """Epoch of the writer of the peeked slot: how often its process was restarted."""
        return int(self._ring.headers[self._sequence % self._ring.num_slots][_EPOCH])

    def release(self) -> None:
        """Gives the peeked slot back to the producer; its arrays must no longer be used."""
        self._sequence += 1
        # SYNC ring.release release: the consumer's last read of the slot
        self._store_release(self._ring.tail, 0, self._sequence)


@njit(cache=True, nogil=True)
def seal_kernel(header, sealed_bytes, sequence):
    """What a whole slot carries: the checksum of its payload mixed with its sequence.

    So the record of a former lap, whole as it is, does not pass for this one.
    """
    return crc32c(header + SLOT_HEADER_BYTES, sealed_bytes) ^ sequence


@njit(cache=True, nogil=True)
def commit_kernel(header, head, nbytes, sealed_bytes, epoch, sequence):
    """Seals a slot and publishes it; the sequence of the next one."""
    atomics.store_relaxed(header, _NBYTES, nbytes)
    atomics.store_relaxed(header, _EPOCH, epoch)
    atomics.store_relaxed(header, _CRC, seal_kernel(header, sealed_bytes, sequence))
    # SYNC ring.commit release: the slot's payload and header
    atomics.store_release(header, _COMMIT, sequence + 1)
    atomics.store_relaxed(head, 0, sequence + 1)
    return sequence + 1


@njit(cache=True, nogil=True)
def check_kernel(header, sealed_bytes, sequence):
    """What a slot holds: NOTHING of this sequence, or a record that is WHOLE or DAMAGED."""
    # SYNC ring.commit acquire: the slot's payload and header
    if atomics.load_acquire(header, _COMMIT) != sequence + 1:
        return NOTHING
    expected = atomics.load_relaxed(header, _CRC)
    return WHOLE if seal_kernel(header, sealed_bytes, sequence) == expected else DAMAGED

"""Doorbells: one word per process, bumped by every process that gives it work.

    process i:  | sequence | sleeping | ...pad to 128 bytes |

V1  `sequence` only grows; `sleeping` is written by the owner alone.
V2  A ring is never lost: the ringer bumps `sequence`, then looks at `sleeping`;
    the owner sets `sleeping`, then (in the kernel, under the futex lock) looks
    at `sequence`. All four are seq_cst, so one of the two sees the other.
"""

import numpy as np
from numba import njit

from . import atomics
from .layout import WORDS_PER_LINE, ArrayLayout, Field

_SLEEPING = 1


def doorbell_layout(num_processes: int) -> ArrayLayout:
    """Words of all doorbells of a run."""
    return ArrayLayout([Field("words", "int64", (num_processes, WORDS_PER_LINE))])


class Doorbell:
    """One process's doorbell: any process rings it, its owner waits on it."""

    def __init__(self, words_PW: np.ndarray, process_index: int) -> None:
        self._words = words_PW[process_index]
        # The address of its words, valid while this object keeps the array.
        self.address = self._words.ctypes.data
        self._ring, self._wait = atomics.entry(ring_kernel, 1), atomics.entry(wait_kernel, 5)
        self._load_acquire = atomics.entry(atomics.load_acquire, 2)

    def own(self) -> None:
        """Clears the flag of an owner that died while it slept; a new owner calls it once."""
        # SYNC doorbell.sleep release: the flag of a dead owner is cleared
        atomics.store_ordered(self._words, _SLEEPING, 0)

    def ring(self) -> None:
        """Wakes the owner if it sleeps; the owner sees everything published before."""
        self._ring(self.address)

    def sequence(self) -> int:
        """The number of rings so far."""
        # SYNC doorbell.ring acquire: what the ringer published before it rang
        return self._load_acquire(self.address, 0)

    def wait(self, seen: int, *, spin_ns: int, yield_ns: int, timeout_ns: int) -> bool:
        """Waits until the sequence differs from `seen`; False when timeout_ns passed first."""
        return self.next_sequence(seen, spin_ns, yield_ns, timeout_ns) != seen

    def next_sequence(self, seen: int, spin_ns: int, yield_ns: int, timeout_ns: int) -> int:
        """Waits as `wait` does; returns the number of rings at its end."""
        return self._wait(self.address, seen, spin_ns, yield_ns, timeout_ns)


@njit(cache=True)
def ring_kernel(words):
    """Bumps the sequence and wakes the owner only if it sleeps."""
    # SYNC doorbell.ring release: all that the ringer published before
    atomics.fetch_add(words, 0, 1)
    # SYNC doorbell.sleep acquire: an owner that went to sleep before the bump is seen here
    if atomics.load_ordered(words, _SLEEPING) != 0:
        atomics.futex_wake(words, 0)


@njit(cache=True, nogil=True)
def wait_kernel(words, seen, spin_ns, yield_ns, timeout_ns):
    """Spins, then yields, then sleeps; returns the sequence at the end. The limits count from the first look."""
    start_ns = 0
    while True:
        # SYNC doorbell.ring acquire: what the ringer published before it rang
        sequence = atomics.load_acquire(words, 0)
        if sequence != seen:
            return sequence
        now_ns = atomics.monotonic_ns()
        start_ns = start_ns or now_ns
        waited_ns = now_ns - start_ns
        if waited_ns >= timeout_ns:
            return seen
        if waited_ns < spin_ns:
            atomics.pause_core()
        elif waited_ns < yield_ns:
            atomics.yield_core()
        else:
            # SYNC doorbell.sleep release: set before the kernel compares the sequence
            atomics.store_ordered(words, _SLEEPING, 1)
            atomics.futex_wait(words, 0, seen, timeout_ns - waited_ns)
            # SYNC doorbell.sleep release: awake, so a ringer needs no system call
            atomics.store_ordered(words, _SLEEPING, 0)

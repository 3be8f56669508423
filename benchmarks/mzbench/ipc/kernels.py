"""A ring from kernel to kernel: records one way, both ends compiled, in the same slots and by the same two kernels.

What a ring in Python does between its kernel calls is left out; what remains is what the record itself costs. Either
kernel gives up after _SPINS looks for a slot or a record, so that its process can look after the other one; calling it
again goes on where it was.
"""

import numpy as np
from numba import njit

from mzpipe.errors import MzpipeError
from mzpipe.ipc import atomics
from mzpipe.ipc.ring import (
    DAMAGED,
    NOTHING,
    SLOT_HEADER_BYTES,
    Ring,
    RingReader,
    RingWriter,
    check_kernel,
    commit_kernel,
)

from .memory import Words
from .orders import Action
from .peer import Peer
from .peers import Peers

_SPINS = 1_000_000
_PAYLOAD = SLOT_HEADER_BYTES // 8


@njit(cache=True, nogil=True)
def send_kernel(header_S, head, tail, nbytes, sequence, last):
    """Commits the records up to `last`, each with its number in it; the sequence of the next one."""
    num_slots, released, spins = len(header_S), 0, 0
    while sequence < last and spins < _SPINS:
        if sequence - released >= num_slots:
            # SYNC ring.release acquire: the consumer has left the slot that is written here
            released = atomics.load_acquire(tail, 0)
            spins += 1
            atomics.pause_core()
            continue
        header = header_S[sequence % num_slots]
        atomics.store_relaxed(header, _PAYLOAD, sequence)
        sequence, spins = commit_kernel(header, head, nbytes, nbytes, 0, sequence), 0
    return sequence


@njit(cache=True, nogil=True)
def take_kernel(header_S, tail, nbytes, sequence, last):
    """Checks, reads and releases the records up to `last`, or to a damaged one; the sequence of the next one."""
    num_slots, spins = len(header_S), 0
    while sequence < last and spins < _SPINS:
        header = header_S[sequence % num_slots]
        found = check_kernel(header, nbytes, sequence)
        if found == NOTHING:
            spins += 1
            atomics.pause_core()
            continue
        if found == DAMAGED or atomics.load_relaxed(header, _PAYLOAD) != sequence:
            break
        sequence, spins = sequence + 1, 0
        # SYNC ring.release release: the consumer's last read of the slot
        atomics.store_release(tail, 0, sequence)
    return sequence


def send_from_kernel(peers: Peers, count: int) -> None:
    """Records to the peer, as fast as its kernel takes them."""
    ring = peers.segments.ring("there", Words)
    sequence = RingWriter(ring).sequence
    last, headers = sequence + count, _headers(ring)
    peers.tell(0, Action.TAKE_INTO_KERNEL, count)
    while (sequence := send_kernel(headers, ring.head, ring.tail, ring.sealed_bytes, sequence, last)) < last:
        peers.look()
    peers.finish(0)
    if RingReader(ring).sequence != last:
        raise MzpipeError(f"{last - RingReader(ring).sequence} records were lost between two kernels")


def take_into_kernel(peer: Peer, count: int) -> None:
    """For the peer: its side of send_from_kernel."""
    ring = peer.segments.ring("there", Words)
    sequence = RingReader(ring).sequence
    last, headers = sequence + count, _headers(ring)
    while (sequence := take_kernel(headers, ring.tail, ring.sealed_bytes, sequence, last)) < last:
        peer.look()


def _headers(ring: Ring) -> np.ndarray:
    return np.array(ring.addresses)

"""A ring from kernel to kernel: records one way, both ends compiled, with the same slots and words.

It leaves out the work in Python between a ring's kernel calls, and measures the cost of the record itself. Either
kernel gives up after _SPINS looks for a slot or a record, so that its process can check on the other one; the next call
continues from there.
"""

import numpy as np
from numba import njit

from mzpipe.errors import MzpipeError
from mzpipe.ipc import atomics
from mzpipe.ipc.ring import SLOT_HEADER_BYTES, Ring, RingReader, RingWriter, commit_kernel

from .memory import Words
from .peer import Peer
from .peers import Peers

_SPINS = 1_000_000
_PAYLOAD = SLOT_HEADER_BYTES // 8


@njit(cache=True, nogil=True)
def send_kernel(header_S, head, tail, nbytes, sequence, last):
    """Commits the records up to `last`, each with its number in it; returns the sequence of the next one."""
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
        sequence, spins = commit_kernel(header, head, nbytes, 0, sequence), 0
    return sequence


@njit(cache=True, nogil=True)
def take_kernel(header_S, tail, sequence, last):
    """Reads and releases the records up to `last`, or to a wrong number; returns the sequence of the next one."""
    num_slots, spins = len(header_S), 0
    while sequence < last and spins < _SPINS:
        header = header_S[sequence % num_slots]
        # SYNC ring.commit acquire: the slot's payload and header
        if atomics.load_acquire(header, 0) != sequence + 1:
            spins += 1
            atomics.pause_core()
            continue
        if atomics.load_relaxed(header, _PAYLOAD) != sequence:
            break
        sequence, spins = sequence + 1, 0
        # SYNC ring.release release: the consumer's last read of the slot
        atomics.store_release(tail, 0, sequence)
    return sequence


def send_from_kernel(peers: Peers, count: int) -> None:
    """Sends records to the peer, as fast as its kernel takes them."""
    ring = peers.segments.ring("there", Words)
    sequence = RingWriter(ring).sequence
    last, headers = sequence + count, _headers(ring)
    peers.tell(0, take_into_kernel, count)
    while (sequence := send_kernel(headers, ring.head, ring.tail, ring.layout.nbytes, sequence, last)) < last:
        peers.look()
    peers.finish(0)
    if RingReader(ring).sequence != last:
        raise MzpipeError(f"{last - RingReader(ring).sequence} records were lost between two kernels")


def take_into_kernel(peer: Peer, count: int) -> None:
    """Runs in the peer: its side of send_from_kernel."""
    ring = peer.segments.ring("there", Words)
    sequence = RingReader(ring).sequence
    last, headers = sequence + count, _headers(ring)
    while (sequence := take_kernel(headers, ring.tail, sequence, last)) < last:
        peer.look()


def _headers(ring: Ring) -> np.ndarray:
    return np.array(ring.addresses)

"""Records of 1 MiB, built in place and read as a view, against memcpy over the same memory and against zmq.

Our producer copies a megabyte into the slot, and our consumer has a view.
"""

import itertools
from functools import partial
from typing import Any

import numpy as np
import zmq

from mzpipe.ipc.ring import Ring, RingReader, RingWriter

from ..rates import MZPIPE, Counted, rates_of_counted, rows_of
from ..report import Comparison
from .memory import LARGE_BYTES, LARGE_SLOTS, Words
from .peer import Peer, spun
from .peers import Peers
from .sockets import patiently

MEMCPY, ZMQ = "memcpy", "zmq"
_CASE = "ipc/ring/1MiB"
# Makes a call so long that its order and answer, a fifth of a millisecond, do not matter.
_RECORDS = 2_000
_MEGABYTES = _RECORDS * LARGE_BYTES / 1e6


def compare_large(peers: Peers, rounds: int) -> tuple[list[Comparison], list[str]]:
    """MB/s from the caller to the first peer."""
    source = np.random.default_rng(0).integers(0, 1 << 62, LARGE_BYTES // 8)
    calls = {
        MZPIPE: partial(send_records, peers, source),
        MEMCPY: partial(copy_records, peers.segments.ring("large", Words), source),
        ZMQ: partial(send_large_frames, peers, source),
    }
    rates = rates_of_counted([Counted(name, call, _MEGABYTES) for name, call in calls.items()], rounds)
    return rows_of(_CASE, "MB/s", rates), []


def send_records(peers: Peers, source: np.ndarray) -> None:
    """Sends records to the peer, each built in its slot."""
    writer = RingWriter(peers.segments.ring("large", Words))
    peers.tell(0, take_large_records, _RECORDS)
    for _ in range(_RECORDS):
        slot = writer.claim() or spun(writer.claim, peers.look)
        np.copyto(slot.data, source)
        writer.commit()
    peers.finish(0)


def take_large_records(peer: Peer, count: int) -> None:
    """Runs in the peer: takes views of this many records."""
    reader = RingReader(peer.segments.ring("large", Words))
    for _ in range(count):
        slot = reader.peek() or spun(reader.peek, peer.look)
        _glance(slot.data)
        reader.release()


def _glance(words: np.ndarray) -> int:
    """Reads both ends of a view; reading all of it would cost the same for every contestant."""
    return int(words[0]) ^ int(words[-1])


def copy_records(ring: Ring[Words], source: np.ndarray) -> None:
    """memcpy from the same place into the same slots, which must not be in use."""
    for slot in itertools.islice(itertools.cycle(ring.slots), _RECORDS):
        np.copyto(slot.data, source)


def send_large_frames(peers: Peers, source: np.ndarray) -> None:
    """Sends with zmq, which makes no copies; as many messages are in flight as the ring has slots."""
    socket = peers.sockets.bound("large", zmq.PAIR, LARGE_SLOTS)
    send = partial(socket.send, source, copy=False)
    peers.tell(0, take_large_frames, _RECORDS)
    for _ in range(_RECORDS):
        patiently(send, peers.look)
    peers.finish(0)


def take_large_frames(peer: Peer, count: int) -> None:
    """Runs in the peer: takes views of this many frames."""
    socket = peer.sockets.connected("large", zmq.PAIR, LARGE_SLOTS)
    for _ in range(count):
        frame: Any = patiently(partial(socket.recv, copy=False), peer.look)
        _glance(np.frombuffer(frame.buffer, np.int64))

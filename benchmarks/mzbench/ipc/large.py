"""Records of 1 MiB, built in place and read as a view: beside memcpy over the same memory, and beside zmq.

In ours the producer copies a megabyte into the slot and seals it with its checksum, the consumer works the checksum out
again and has a view. The same ring without checksums says what they cost.
"""

import itertools
from functools import partial
from typing import Any

import numpy as np
import zmq

from mzpipe.ipc.checksum import checksum
from mzpipe.ipc.ring import Ring, RingReader, RingWriter

from ..rates import MZPIPE, Counted, Rates, rates_of_counted, rows_of
from ..report import Comparison
from .memory import LARGE_BYTES, LARGE_SLOTS, BareRing, Words
from .orders import Action
from .peer import Peer, spun
from .peers import Peers
from .sockets import patiently

MEMCPY, ZMQ, BARE, CHECKSUM = "memcpy", "zmq", "without checksums", "checksum alone"
_CASE = "ipc/ring/1MiB"
_RECORDS = 100
_MEGABYTES = _RECORDS * LARGE_BYTES / 1e6


def compare_large(peers: Peers, rounds: int) -> tuple[list[Comparison], list[str]]:
    """MB/s from the caller to the first peer; and what of it is the checksum's."""
    source = np.random.default_rng(0).integers(0, 1 << 62, LARGE_BYTES // 8)
    calls = {
        MZPIPE: partial(send_records, peers, source, "large", Ring, Action.TAKE_LARGE_RECORDS),
        BARE: partial(send_records, peers, source, "bare", BareRing, Action.TAKE_BARE_RECORDS),
        MEMCPY: partial(copy_records, peers.segments.ring("large", Words), source),
        ZMQ: partial(send_large_frames, peers, source),
        CHECKSUM: partial(check_records, source),
    }
    rates = rates_of_counted([Counted(name, call, _MEGABYTES) for name, call in calls.items()], rounds)
    shown = {name: rates[name] for name in (MZPIPE, MEMCPY, ZMQ)}
    return rows_of(_CASE, "MB/s", shown), [_note(rates)]


def _note(rates: Rates) -> str:
    bare, alone = (f"{rates[name].value:,.0f} MB/s" for name in (BARE, CHECKSUM))
    share = rates[BARE].value / rates[MEMCPY].value
    return f"{_CASE}: without checksums {bare}, {share:.2f} of memcpy; one checksum, alone, {alone}"


def send_records(peers: Peers, source: np.ndarray, name: str, kind: type[Ring], action: Action) -> None:
    """Records to the peer, each built in its slot."""
    writer = RingWriter(peers.segments.ring(name, Words, kind))
    peers.tell(0, action, _RECORDS)
    for _ in range(_RECORDS):
        slot = writer.claim() or spun(writer.claim, peers.look)
        np.copyto(slot.data, source)
        writer.commit()
    peers.finish(0)


def take_large_records(peer: Peer, count: int) -> None:
    """For the peer: views of so many records."""
    _take(peer, peer.segments.ring("large", Words), count)


def take_bare_records(peer: Peer, count: int) -> None:
    """For the peer: the same without checksums."""
    _take(peer, peer.segments.ring("bare", Words, BareRing), count)


def _take(peer: Peer, ring: Ring[Words], count: int) -> None:
    reader = RingReader(ring)
    for _ in range(count):
        slot = reader.peek() or spun(reader.peek, peer.look)
        _glance(slot.data)
        reader.release()


def _glance(words: np.ndarray) -> int:
    """Both ends of a view; whoever reads it all pays that wherever it came from."""
    return int(words[0]) ^ int(words[-1])


def copy_records(ring: Ring[Words], source: np.ndarray) -> None:
    """memcpy from the same place into the same slots; nobody may be using them."""
    for slot in itertools.islice(itertools.cycle(ring.slots), _RECORDS):
        np.copyto(slot.data, source)


def check_records(source: np.ndarray) -> None:
    """As many checksums as one side works out."""
    for _ in range(_RECORDS):
        checksum(source)


def send_large_frames(peers: Peers, source: np.ndarray) -> None:
    """zmq without copies of its own on either side, and with as many messages in flight as the ring has slots."""
    socket = peers.sockets.bound("large", zmq.PAIR, LARGE_SLOTS)
    send = partial(socket.send, source, copy=False)
    peers.tell(0, Action.TAKE_LARGE_FRAMES, _RECORDS)
    for _ in range(_RECORDS):
        patiently(send, peers.look)
    peers.finish(0)


def take_large_frames(peer: Peer, count: int) -> None:
    """For the peer: views of so many frames."""
    socket = peer.sockets.connected("large", zmq.PAIR, LARGE_SLOTS)
    for _ in range(count):
        frame: Any = patiently(partial(socket.recv, copy=False), peer.look)
        _glance(np.frombuffer(frame.buffer, np.int64))

"""Rings of small records: the four calls alone, round trips between two processes, and streams one way.

The references are the ping-pong, and zmq with as many bytes, raw and in msgpack. All contestants share one turn-about.
"""

from functools import partial

import msgpack
import zmq

from mzpipe.ipc import atomics
from mzpipe.ipc.ring import Ring, RingReader, RingWriter

from ..rates import Counted, Rates, rates_of_counted, rows_beside
from ..report import Comparison
from .kernels import send_from_kernel
from .memory import SMALL_BYTES, Words
from .peer import Peer, spun
from .peers import Peers
from .pingpong import play
from .sockets import patiently, send

PING_PONG, KERNEL_CALL = "cache-line ping-pong", "a kernel called from Python"
CYCLE, ROUND_TRIP, STREAM = "ring: four calls", "ring: there and back", "ring: one way"
KERNELS = "ring: one way, from kernel to kernel"
ZMQ_CYCLE, ZMQ_ROUND_TRIP, ZMQ_STREAM = "zmq send and recv", "zmq there and back", "zmq one way"
MSGPACK_ROUND_TRIP = "zmq + msgpack there and back"
_FRAME = bytes(SMALL_BYTES)
# Make calls so long that the order to the peer and its answer, a fifth of a millisecond, do not matter.
_PINGS, _CALLS, _CYCLES, _RECORDS, _FRAMES = 200_000, 10_000, 2_000, 20_000, 500
_STREAMED_FRAMES, _KERNEL_RECORDS = 5_000, 100_000
_NS_PER_S = 1e9


def compare_small(peers: Peers, rounds: int) -> tuple[list[Comparison], list[str]]:
    """Cycles, round trips and records per second."""
    rates = _rates(peers, rounds)
    ping_pong = rates[PING_PONG]
    return [
        *rows_beside("ipc/ring/cycle", "cycles/s", rates[CYCLE], [ping_pong, rates[ZMQ_CYCLE]]),
        *rows_beside(
            "ipc/ring/round-trip",
            "round trips/s",
            rates[ROUND_TRIP],
            [ping_pong, rates[ZMQ_ROUND_TRIP], rates[MSGPACK_ROUND_TRIP]],
        ),
        *rows_beside("ipc/ring/stream", "records/s", rates[STREAM], [ping_pong, rates[ZMQ_STREAM]]),
        *rows_beside("ipc/ring/kernels", "records/s", rates[KERNELS], [ping_pong]),
    ], [_note(rates)]


def _note(rates: Rates) -> str:
    ping_pong_ns, call_ns, cycle_ns = (_NS_PER_S / rates[name].value for name in (PING_PONG, KERNEL_CALL, CYCLE))
    return (
        f"ipc/ring: a ping-pong takes {ping_pong_ns:,.0f} ns, a kernel called from Python {call_ns:,.0f} ns, "
        f"a cycle {cycle_ns:,.0f} ns with three such calls in it"
    )


def _rates(peers: Peers, rounds: int) -> Rates:
    every = [
        (PING_PONG, play, _PINGS),
        (KERNEL_CALL, call_kernel, _CALLS),
        (CYCLE, ring_cycles, _CYCLES),
        (ZMQ_CYCLE, zmq_cycles, _FRAMES),
        (ROUND_TRIP, send_records_and_back, _RECORDS),
        (ZMQ_ROUND_TRIP, send_frames_and_back, _FRAMES),
        (MSGPACK_ROUND_TRIP, send_messages_and_back, _FRAMES),
        (STREAM, send_records, _RECORDS),
        (KERNELS, send_from_kernel, _KERNEL_RECORDS),
        (ZMQ_STREAM, send_frames, _STREAMED_FRAMES),
    ]
    return rates_of_counted([Counted(name, partial(call, peers, count), count) for name, call, count in every], rounds)


def put(writer: RingWriter[Words], number: int, peer: Peer | Peers) -> None:
    """Claims, writes a word, commits."""
    slot = writer.claim() or spun(writer.claim, peer.look)
    slot.data[0] = number
    writer.commit()


def take(reader: RingReader[Words], peer: Peer | Peers) -> int:
    """Peeks, reads a word, releases."""
    slot = reader.peek() or spun(reader.peek, peer.look)
    number = int(slot.data[0])
    reader.release()
    return number


def call_kernel(peers: Peers, count: int) -> None:
    """The least cost of any step in Python that touches a shared word."""
    words = peers.segments.arrays("ball")["words"]
    for _ in range(count):
        # SYNC ball.throw acquire: nothing but the word itself
        atomics.load_acquire(words, 0)


def ring_cycles(peers: Peers, count: int) -> None:
    """Claims, commits, peeks and releases, all in one process."""
    ring = peers.segments.ring("back", Words)
    writer, reader = RingWriter(ring), RingReader(ring)
    for number in range(count):
        put(writer, number, peers)
        take(reader, peers)


def zmq_cycles(peers: Peers, count: int) -> None:
    """Sends and receives, both in one process."""
    bound, connected = peers.sockets.bound("cycle", zmq.PAIR), peers.sockets.connected("cycle", zmq.PAIR)
    for _ in range(count):
        send(connected, _FRAME, peers.look)
        patiently(bound.recv, peers.look)


def send_records_and_back(peers: Peers, count: int) -> None:
    """Sends a record to the peer and takes one back; both sides spin."""
    there, back = _ends(peers.segments.ring("there", Words), peers.segments.ring("back", Words))
    peers.tell(0, answer_records, count)
    for number in range(count):
        put(there, number, peers)
        take(back, peers)
    peers.finish(0)


def answer_records(peer: Peer, count: int) -> None:
    """Runs in the peer: its side of send_records_and_back."""
    back, there = _ends(peer.segments.ring("back", Words), peer.segments.ring("there", Words))
    for _ in range(count):
        put(back, take(there, peer), peer)


def _ends(out: Ring[Words], into: Ring[Words]) -> tuple[RingWriter[Words], RingReader[Words]]:
    return RingWriter(out), RingReader(into)


def send_frames_and_back(peers: Peers, count: int) -> None:
    """Sends a frame to the peer and takes one back."""
    socket = peers.sockets.bound("small", zmq.PAIR)
    peers.tell(0, answer_frames, count)
    for _ in range(count):
        send(socket, _FRAME, peers.look)
        patiently(socket.recv, peers.look)
    peers.finish(0)


def answer_frames(peer: Peer, count: int) -> None:
    """Runs in the peer: its side of send_frames_and_back."""
    socket = peer.sockets.connected("small", zmq.PAIR)
    for _ in range(count):
        send(socket, patiently(socket.recv, peer.look), peer.look)


def send_messages_and_back(peers: Peers, count: int) -> None:
    """Sends a map with a number and as many bytes, and takes one back; both sides pack and unpack."""
    socket = peers.sockets.bound("small", zmq.PAIR)
    peers.tell(0, answer_messages, count)
    for number in range(count):
        send(socket, msgpack.packb({"number": number, "data": _FRAME}), peers.look)
        msgpack.unpackb(patiently(socket.recv, peers.look))
    peers.finish(0)


def answer_messages(peer: Peer, count: int) -> None:
    """Runs in the peer: its side of send_messages_and_back."""
    socket = peer.sockets.connected("small", zmq.PAIR)
    for _ in range(count):
        message = msgpack.unpackb(patiently(socket.recv, peer.look))
        send(socket, msgpack.packb(message), peer.look)


def send_records(peers: Peers, count: int) -> None:
    """Sends records to the peer, as fast as it takes them."""
    writer = RingWriter(peers.segments.ring("there", Words))
    peers.tell(0, take_records, count)
    for number in range(count):
        put(writer, number, peers)
    peers.finish(0)


def take_records(peer: Peer, count: int) -> None:
    """Runs in the peer: its side of send_records."""
    reader = RingReader(peer.segments.ring("there", Words))
    for _ in range(count):
        take(reader, peer)


def send_frames(peers: Peers, count: int) -> None:
    """Sends frames to the peer, as fast as it takes them."""
    socket = peers.sockets.bound("small", zmq.PAIR)
    peers.tell(0, take_frames, count)
    for _ in range(count):
        send(socket, _FRAME, peers.look)
    peers.finish(0)


def take_frames(peer: Peer, count: int) -> None:
    """Runs in the peer: its side of send_frames."""
    socket = peer.sockets.connected("small", zmq.PAIR)
    for _ in range(count):
        patiently(socket.recv, peer.look)

"""Doorbells: round trips of one, two and four pairs of peers at once, and the cost of waiting.

A pair is two peers, each on its own core as long as there are cores; one calls, the other answers. A waiting peer
does the same as a role: it looks at its word, then uses the idle strategy. The references are the same doorbells with
an immediate futex, and a zmq message as a doorbell.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import zmq

from mzpipe.ipc.doorbell import Doorbell
from mzpipe.runtime.idle import SLEEP_NS, IdleStrategy

from ..rates import MZPIPE, rate, rows_of
from ..report import Comparison
from ..timing import summary
from .peer import Peer
from .peers import Peers
from .sockets import patiently, send

FUTEX, ZMQ = "futex at once", "zmq doorbell"
_KNOCK = b"."
_NS_PER_S = 1e9

# Waits once, for a change from the last seen sequence of the doorbell.
Wait = Callable[[int], object]


class Latency(NamedTuple):
    """Round trips of all pairs in one round, in seconds."""

    p50_s: float
    p99_s: float


class Way(NamedTuple):
    """The functions of both peers of a pair, and their round trips per round: about 0.25 s if each has a core."""

    call: Callable[[Peer, int], list[int]]
    answer: Callable[[Peer, int], None]
    num_trips: int


def compare_doorbells(peers: Peers, num_pairs: int, rounds: int) -> tuple[list[Comparison], list[str]]:
    """Round trips/s from the median round trip, and a note with both percentiles."""
    found: dict[str, list[Latency]] = {name: [] for name in _WAYS}
    for lap in range(1 + rounds):
        for name, way in _WAYS.items():
            latency = _round(peers, num_pairs, way)
            if lap > 0:  # the first one compiles and connects
                found[name].append(latency)
    case = f"ipc/doorbell/{num_pairs}"
    rates = {name: rate(name, 1.0, summary([each.p50_s for each in runs])) for name, runs in found.items()}
    return rows_of(case, "round trips/s", rates), [f"{case}: p50 / p99 in us: {', '.join(map(_shown, found.items()))}"]


def _shown(entry: tuple[str, list[Latency]]) -> str:
    name, runs = entry
    p50_s, p99_s = np.median(runs, axis=0)
    return f"{name} {1e6 * p50_s:.1f} / {1e6 * p99_s:,.1f}"


def _round(peers: Peers, num_pairs: int, way: Way) -> Latency:
    """Runs all pairs at once, with the same number of round trips each."""
    callers, answerers = range(0, 2 * num_pairs, 2), range(1, 2 * num_pairs, 2)
    for peer in answerers:
        peers.tell(peer, way.answer, way.num_trips)
    for peer in callers:
        peers.tell(peer, way.call, way.num_trips)
    samples = peers.finish(*callers)
    peers.finish(*answerers)
    p50_ns, p99_ns = np.percentile(samples, (50, 99))
    return Latency(float(p50_ns) / _NS_PER_S, float(p99_ns) / _NS_PER_S)


def idle_share(peers: Peers, seconds: float) -> str:
    """A note with the share of a core that a peer uses while it waits and is not rung."""
    for peer in range(peers.num_peers):
        peers.tell(peer, wait_idle, round(seconds * _NS_PER_S))
    shares = peers.finish(*range(peers.num_peers))
    return f"ipc/doorbell: a waiting process takes {np.mean(shares):.2%} of a core, the worst of them {max(shares):.2%}"


def wait_idle(peer: Peer, duration_ns: int) -> float:
    """Runs in a peer: waits as a role does; returns the share of a core that all its threads used."""
    (mine,) = _pair(peer, peer.index)
    idle = IdleStrategy(mine)
    start_ns, busy_ns = time.monotonic_ns(), time.process_time_ns()
    while (lasted_ns := time.monotonic_ns() - start_ns) < duration_ns:
        idle.after(0)
    return (time.process_time_ns() - busy_ns) / lasted_ns


def call_idle(peer: Peer, num_trips: int) -> list[int]:
    """Runs in a calling peer: rings and waits as a role does; returns the nanoseconds of each round trip."""
    return _call(peer, num_trips, _role_wait)


def answer_idle(peer: Peer, num_trips: int) -> None:
    """Runs in the answering peer of call_idle."""
    _answer(peer, num_trips, _role_wait)


def call_futex(peer: Peer, num_trips: int) -> list[int]:
    """Runs in a calling peer: rings and sleeps at once; returns the nanoseconds of each round trip."""
    return _call(peer, num_trips, _futex_wait)


def answer_futex(peer: Peer, num_trips: int) -> None:
    """Runs in the answering peer of call_futex."""
    _answer(peer, num_trips, _futex_wait)


def call_socket(peer: Peer, num_trips: int) -> list[int]:
    """Runs in a calling peer: sends a byte and waits for one; returns the nanoseconds of each round trip."""
    socket = peer.sockets.bound(f"pair-{peer.index}", zmq.PAIR)

    def round_trip() -> None:
        send(socket, _KNOCK, peer.look)
        patiently(socket.recv, peer.look)

    return _timed(round_trip, num_trips)


def answer_socket(peer: Peer, num_trips: int) -> None:
    """Runs in the answering peer of call_socket."""
    socket = peer.sockets.connected(f"pair-{peer.index - 1}", zmq.PAIR)
    for _ in range(num_trips):
        send(socket, patiently(socket.recv, peer.look), peer.look)


_WAYS = {
    MZPIPE: Way(call_idle, answer_idle, 50_000),
    FUTEX: Way(call_futex, answer_futex, 5_000),
    ZMQ: Way(call_socket, answer_socket, 2_000),
}


def _role_wait(bell: Doorbell) -> Wait:
    idle = IdleStrategy(bell)
    return lambda seen: idle.after(0)


def _futex_wait(bell: Doorbell) -> Wait:
    return lambda seen: bell.wait(seen, spin_ns=0, yield_ns=0, timeout_ns=SLEEP_NS)


def _call(peer: Peer, num_trips: int, way: Callable[[Doorbell], Wait]) -> list[int]:
    mine, other = _pair(peer, peer.index, peer.index + 1)
    wait, seen = way(mine), mine.sequence()

    def round_trip() -> None:
        nonlocal seen
        other.ring()
        while mine.sequence() == seen:
            wait(seen)
        seen += 1

    return _timed(round_trip, num_trips)


def _answer(peer: Peer, num_trips: int, way: Callable[[Doorbell], Wait]) -> None:
    mine, other = _pair(peer, peer.index, peer.index - 1)
    wait, first = way(mine), other.sequence()  # the number of rings already answered: the next ring may have come
    for seen in range(first, first + num_trips):
        while mine.sequence() == seen:
            wait(seen)
        other.ring()


def _pair(peer: Peer, *indices: int) -> list[Doorbell]:
    words = peer.segments.arrays("pairs")["words"]
    return [Doorbell(words, index) for index in indices]


def _timed(round_trip: Callable[[], None], num_trips: int) -> list[int]:
    """Nanoseconds of each round trip."""
    times_ns = [time.monotonic_ns()]
    for _ in range(num_trips):
        round_trip()
        times_ns.append(time.monotonic_ns())
    return np.diff(times_ns).tolist()

"""Doorbells: one, two and four pairs of peers at once, each there and back, and what it costs to wait.

A pair is two peers, each on a core of its own as long as there are cores; one calls, the other answers. Whoever waits
does so as a role does: a look at its word, then the idle strategy. Beside it stand the same doorbells with a futex at
once, and a zmq message as a doorbell.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import zmq

from mzpipe.ipc.doorbell import Doorbell
from mzpipe.runtime.idle import SLEEP_NS, IdleStrategy

from ..rates import MZPIPE, rate, rows_of
from ..report import Comparison
from ..timing import ROUND_S, summary
from .memory import MAX_SAMPLES
from .orders import Action
from .peer import Peer
from .peers import Peers
from .sockets import patiently, send

FUTEX, ZMQ = "futex at once", "zmq doorbell"
_WAYS = {
    MZPIPE: (Action.CALL_IDLE, Action.ANSWER_IDLE),
    FUTEX: (Action.CALL_FUTEX, Action.ANSWER_FUTEX),
    ZMQ: (Action.CALL_SOCKET, Action.ANSWER_SOCKET),
}
_KNOCK = b"."
_NS_PER_S = 1e9

# Waits once, from what the doorbell was last seen at.
Wait = Callable[[int], object]


class Latency(NamedTuple):
    """Round trips of all pairs in one round, in seconds."""

    p50_s: float
    p99_s: float


def compare_doorbells(peers: Peers, num_pairs: int, rounds: int) -> tuple[list[Comparison], list[str]]:
    """Round trips/s by their median, and a note with both percentiles."""
    found: dict[str, list[Latency]] = {name: [] for name in _WAYS}
    for lap in range(1 + rounds):
        for name, (call, answer) in _WAYS.items():
            latency = _round(peers, num_pairs, call, answer)
            if lap > 0:  # the first one compiles and connects
                found[name].append(latency)
    case = f"ipc/doorbell/{num_pairs}"
    rates = {name: rate(name, 1.0, summary([each.p50_s for each in runs])) for name, runs in found.items()}
    return rows_of(case, "round trips/s", rates), [f"{case}: p50 / p99 in us: {', '.join(map(_shown, found.items()))}"]


def _shown(entry: tuple[str, list[Latency]]) -> str:
    name, runs = entry
    p50_s, p99_s = np.median(runs, axis=0)
    return f"{name} {1e6 * p50_s:.1f} / {1e6 * p99_s:,.1f}"


def _round(peers: Peers, num_pairs: int, call: Action, answer: Action) -> Latency:
    """All pairs at once, for a while."""
    callers, answerers = range(0, 2 * num_pairs, 2), range(1, 2 * num_pairs, 2)
    for peer in answerers:
        peers.tell(peer, answer)
    for peer in callers:
        peers.tell(peer, call, round(ROUND_S * _NS_PER_S))
    peers.finish(*callers)
    peers.withdraw(*answerers)
    samples = peers.segments.arrays("samples")
    every = np.concatenate([samples["ns"][peer, : samples["count"][peer]] for peer in callers])
    p50_ns, p99_ns = np.percentile(every, (50, 99))
    return Latency(float(p50_ns) / _NS_PER_S, float(p99_ns) / _NS_PER_S)


def idle_share(peers: Peers, seconds: float) -> str:
    """For people: how much of a core a peer takes that waits and is not rung."""
    pids = [peers.orders.signed(peer) for peer in range(peers.num_peers)]
    before_ns, start_s = [_busy_ns(pid) for pid in pids], time.monotonic()
    peers.rest(seconds)
    lasted_ns = (time.monotonic() - start_s) * _NS_PER_S
    shares = [(_busy_ns(pid) - before) / lasted_ns for pid, before in zip(pids, before_ns, strict=True)]
    return f"ipc/doorbell: a waiting process takes {np.mean(shares):.2%} of a core, the worst of them {max(shares):.2%}"


def _busy_ns(pid: int) -> int:
    """Nanoseconds that all threads of a process have run; psutil tells hundredths of a second."""
    busy_ns = 0
    for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended since it was listed
            busy_ns += int(path.read_text().split()[0])
    return busy_ns


def call_idle(peer: Peer, duration_ns: int) -> None:
    """For a peer that calls: rings and waits as a role does."""
    _call(peer, duration_ns, _role_wait)


def answer_idle(peer: Peer, _: int) -> None:
    """For its answerer, until it is withdrawn."""
    _answer(peer, _role_wait)


def call_futex(peer: Peer, duration_ns: int) -> None:
    """For a peer that calls: rings and sleeps at once."""
    _call(peer, duration_ns, _futex_wait)


def answer_futex(peer: Peer, _: int) -> None:
    """For its answerer, until it is withdrawn."""
    _answer(peer, _futex_wait)


def call_socket(peer: Peer, duration_ns: int) -> None:
    """For a peer that calls: sends a byte and waits for one."""
    socket = peer.sockets.bound(f"pair-{peer.index}", zmq.PAIR)

    def round_trip() -> None:
        send(socket, _KNOCK, peer.look)
        patiently(socket.recv, peer.look)

    _keep(peer, _timed(round_trip, duration_ns))


def answer_socket(peer: Peer, _: int) -> None:
    """For its answerer, until it is withdrawn."""
    socket = peer.sockets.connected(f"pair-{peer.index - 1}", zmq.PAIR)
    while not peer.withdrawn():
        try:
            knock = socket.recv()
        except zmq.Again:
            continue
        send(socket, knock, peer.look)


def _role_wait(bell: Doorbell) -> Wait:
    idle = IdleStrategy(bell)
    return lambda seen: idle.after(0)


def _futex_wait(bell: Doorbell) -> Wait:
    return lambda seen: bell.wait(seen, spin_ns=0, yield_ns=0, timeout_ns=SLEEP_NS)


def _call(peer: Peer, duration_ns: int, way: Callable[[Doorbell], Wait]) -> None:
    mine, other = _pair(peer, peer.index, peer.index + 1)
    wait, seen = way(mine), mine.sequence()

    def round_trip() -> None:
        nonlocal seen
        other.ring()
        while mine.sequence() == seen:
            wait(seen)
        seen += 1

    _keep(peer, _timed(round_trip, duration_ns))


def _answer(peer: Peer, way: Callable[[Doorbell], Wait]) -> None:
    mine, other = _pair(peer, peer.index, peer.index - 1)
    wait, seen = way(mine), other.sequence()  # as many rings as were answered: the next may have come already
    while True:
        while mine.sequence() == seen:
            if peer.withdrawn():
                return
            wait(seen)
        seen += 1
        other.ring()


def _pair(peer: Peer, *indices: int) -> list[Doorbell]:
    words = peer.segments.arrays("pairs")["words"]
    return [Doorbell(words, index) for index in indices]


def _timed(round_trip: Callable[[], None], duration_ns: int) -> list[int]:
    """Nanoseconds of each round trip."""
    samples: list[int] = []
    now = time.monotonic_ns()
    end = now + duration_ns
    while now < end and len(samples) < MAX_SAMPLES:
        before = now
        round_trip()
        now = time.monotonic_ns()
        samples.append(now - before)
    return samples


def _keep(peer: Peer, samples: list[int]) -> None:
    """Where the measuring process finds them."""
    arrays = peer.segments.arrays("samples")
    arrays["count"][peer.index] = len(samples)
    arrays["ns"][peer.index, : len(samples)] = samples

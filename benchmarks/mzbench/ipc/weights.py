"""Weights: 40 MB published, against memcpy of as many bytes; and pulled by a peer, against zmq."""

import itertools
import mmap
from collections.abc import Callable
from functools import partial

import numpy as np
import zmq

from mzpipe.errors import MzpipeError
from mzpipe.ipc.ring import RingReader, RingWriter
from mzpipe.ipc.weights import NUM_WEIGHTS_BUFFERS, WeightsPublisher, WeightsSubscriber

from ..rates import Counted, Rates, rates_of_counted, rows_beside
from ..report import Comparison
from .memory import WEIGHTS_BYTES, Words
from .peer import Peer, spun
from .peers import Peers
from .ring import put, take
from .sockets import patiently, send

MEMCPY, ZMQ = "memcpy", "zmq"
_PUBLISH, _PULL, _FINITE = "publish", "publish and pull", "finite"
_CASE, _MEGABYTES = "ipc/weights/40MB", WEIGHTS_BYTES / 1e6
# Versions in one call.
_VERSIONS = 5


def compare_weights(peers: Peers, rounds: int) -> tuple[list[Comparison], list[str]]:
    """MB/s of a publication, and from the caller to a peer that gets its own copy; and the time of the check."""
    weights = np.random.default_rng(0).standard_normal(WEIGHTS_BYTES // 4, np.float32)
    publisher = WeightsPublisher(peers.segments.arrays("weights"))
    calls: dict[str, Callable[[], object]] = {
        _PUBLISH: partial(publisher.publish, weights, learner_steps=0, env_steps=0),
        MEMCPY: copier(weights),
        _FINITE: lambda: np.isfinite(weights).all(),
        _PULL: partial(publish_and_pull, peers, publisher, weights),
        ZMQ: partial(send_weights, peers, weights),
    }
    amounts = {name: _MEGABYTES * (_VERSIONS if name in (_PULL, ZMQ) else 1) for name in calls}
    rates = rates_of_counted([Counted(name, call, amounts[name]) for name, call in calls.items()], rounds)
    rows = rows_beside(_CASE, "MB/s", rates[_PUBLISH], [rates[MEMCPY]])
    rows += rows_beside(f"{_CASE}/pulled", "MB/s", rates[_PULL], [rates[ZMQ]])
    return rows, [_note(rates)]


def _note(rates: Rates) -> str:
    parts = {"finite check": _FINITE, "copy": MEMCPY, "in all": _PUBLISH}
    shown = ", ".join(f"{what} {1e3 * _MEGABYTES / rates[name].value:.1f}" for what, name in parts.items())
    return f"{_CASE}: a publication in ms, its parts alone: {shown}"


def copier(weights: np.ndarray) -> Callable[[], None]:
    """memcpy into as many buffers as the weights segment has, also in shared memory."""
    buffers = [np.frombuffer(mmap.mmap(-1, weights.nbytes), weights.dtype) for _ in range(NUM_WEIGHTS_BUFFERS)]
    turns = itertools.cycle(buffers)
    for buffer in buffers:
        buffer.fill(0)
    return lambda: np.copyto(next(turns), weights)


def publish_and_pull(peers: Peers, publisher: WeightsPublisher, weights: np.ndarray) -> None:
    """Publishes versions; waits for each until the first peer confirms it with a record."""
    pulled = RingReader(peers.segments.ring("back", Words))
    peers.tell(0, pull_weights, publisher.version + _VERSIONS)
    for _ in range(_VERSIONS):
        version = publisher.publish(weights, learner_steps=0, env_steps=0)
        if take(pulled, peers) != version:
            raise MzpipeError(f"weights version {version} was not pulled")
    peers.finish(0)


def pull_weights(peer: Peer, last: int) -> None:
    """Runs in the peer: pulls the versions up to `last`, each as its own whole copy."""
    subscriber = WeightsSubscriber(peer.segments.arrays("weights"))
    pulled = RingWriter(peer.segments.ring("back", Words))
    for version in range(last - _VERSIONS + 1, last + 1):
        put(pulled, spun(partial(subscriber.pull, version), peer.look).version, peer)


def send_weights(peers: Peers, weights: np.ndarray) -> None:
    """Sends messages without zmq's own copy; waits for each until the first peer confirms it."""
    socket = peers.sockets.bound("weights", zmq.PAIR)
    peers.tell(0, take_weights, _VERSIONS)
    for _ in range(_VERSIONS):
        patiently(partial(socket.send, weights, copy=False), peers.look)
        patiently(socket.recv, peers.look)
    peers.finish(0)


def take_weights(peer: Peer, count: int) -> None:
    """Runs in the peer: takes the messages, each as its own copy."""
    socket = peer.sockets.connected("weights", zmq.PAIR)
    for _ in range(count):
        patiently(partial(socket.recv, copy=False), peer.look)
        send(socket, b"", peer.look)

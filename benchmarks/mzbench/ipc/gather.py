"""The gather: one, two and four peers send requests, and the caller answers all pending ones in one lap.

A request has 64 rows, a parent and an action each (8 bytes); its answer has 20 float32 per row: reward,
value and 18 logits. Ours are lanes; the reference is a ROUTER and DEALERs whose messages are msgpack maps of the same
arrays as bytes. Neither side computes anything.

Shape legend    L lanes   R rows   C = 2 + A columns: reward, value, logits
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import msgpack
import numpy as np
import zmq

from mzpipe.inference.pool import gather_kernel, scatter_kernel
from mzpipe.ipc.doorbell import Doorbell
from mzpipe.ipc.lane import LaneClient, LaneServer, RequestKind
from mzpipe.runtime.idle import IdleStrategy

from ..rates import MZPIPE, Counted, rates_of_counted, rows_of
from ..report import Comparison
from .memory import CALLER, MAX_CLIENTS, NUM_ACTIONS, NUM_ROWS
from .peer import Peer
from .peers import Peers
from .sockets import patiently, send

ZMQ = "zmq + msgpack"
_LANE_REQUESTS, _MESSAGES = 5_000, 300
# A search of this many nodes has just expanded its last one, so every row may have another parent.
_NUM_NODES = NUM_ROWS + 1
_PARENT_R, _ACTION_R = np.arange(NUM_ROWS, dtype=np.int32), np.zeros(NUM_ROWS, np.int32)


class Batch(NamedTuple):
    """The server's arrays for all lanes: rows of its pool, and the outputs of a forward pass."""

    source_R: np.ndarray
    target_R: np.ndarray
    action_R: np.ndarray
    finished_L: np.ndarray
    answer_RC: np.ndarray

    @classmethod
    def drawn(cls) -> "Batch":
        """Answers of noise."""
        rows, columns = MAX_CLIENTS * NUM_ROWS, 2 + NUM_ACTIONS
        answer_RC = np.random.default_rng(0).standard_normal((rows, columns), np.float32)
        source_R, target_R = np.zeros((2, rows), np.int64)
        action_R, finished_L = np.zeros(rows, np.int32), np.zeros(MAX_CLIENTS, np.int32)
        return cls(source_R, target_R, action_R, finished_L, answer_RC)

    def of(self, row: int) -> np.ndarray:
        """The answers of one request, with all their columns."""
        return self.answer_RC[row * NUM_ROWS : (row + 1) * NUM_ROWS]


def compare_gather(peers: Peers, num_clients: int, rounds: int) -> tuple[list[Comparison], list[str]]:
    """Requests/s of all clients together; each row counts as a request."""
    batch, rows = Batch.drawn(), num_clients * NUM_ROWS
    every = [
        Counted(MZPIPE, partial(serve_lanes, peers, num_clients, batch), rows * _LANE_REQUESTS),
        Counted(ZMQ, partial(serve_messages, peers, num_clients, batch), rows * _MESSAGES),
    ]
    return rows_of(f"ipc/gather/{num_clients}", "requests/s", rates_of_counted(every, rounds)), []


def serve_lanes(peers: Peers, num_clients: int, batch: Batch) -> None:
    """Answers lanes until every client has had its answers."""
    bells = peers.segments.arrays("bells")["words"]
    server, idle = LaneServer(peers.segments.arrays("lanes"), bells), IdleStrategy(Doorbell(bells, CALLER))
    left = _tell(peers, num_clients, request_lanes, _LANE_REQUESTS)
    while left:
        lanes = server.pending()
        if len(lanes):
            _answer_lanes(server, lanes, batch)
        else:
            peers.look()
        left -= len(lanes)
        idle.after(len(lanes))
    peers.finish(*range(num_clients))


def _answer_lanes(server: LaneServer, lanes: np.ndarray, batch: Batch) -> None:
    """Gathers the rows of all lanes and writes the answers to each lane's arrays, as the inference server does."""
    block = server.block
    gather_kernel(
        lanes,
        block["num_rows"],
        block["node_index"],
        block["parent_index"],
        block["action"],
        _NUM_NODES,
        NUM_ACTIONS,
        batch.source_R,
        batch.target_R,
        batch.action_R,
    )
    scatter_kernel(
        lanes,
        block["num_rows"],
        block["node_index"],
        block["last_node"],
        batch.answer_RC,
        1,
        block["reward"],
        block["value"],
        block["policy_logits"],
        block["weights_version"],
        batch.finished_L,
    )
    server.respond(lanes)


def request_lanes(peer: Peer, count: int) -> None:
    """Runs in a peer: sends requests on its lane, each after the answer to the one before."""
    server, client = (Doorbell(peer.segments.arrays("bells")["words"], row) for row in (CALLER, peer.index))
    lane, idle = LaneClient(peer.segments.arrays("lanes"), peer.index, server, peer.index), IdleStrategy(client)
    for _ in range(count):
        lane.parent_index[:], lane.action[:] = _PARENT_R, _ACTION_R
        lane.request(RequestKind.RECURRENT, node_index=NUM_ROWS, num_rows=NUM_ROWS)
        while not lane.ready():
            idle.after(0)


def serve_messages(peers: Peers, num_clients: int, batch: Batch) -> None:
    """Answers messages until every client has had its answers."""
    router = peers.sockets.bound("gather", zmq.ROUTER)
    left = _tell(peers, num_clients, request_messages, _MESSAGES)
    while left:
        pending = _received(router, peers)
        requests = [msgpack.unpackb(request) for _, request in pending]
        for name in ("parent_index", "action"):
            np.concatenate([np.frombuffer(request[name], np.int32) for request in requests])
        for row, (identity, _) in enumerate(pending):
            router.send_multipart([identity, msgpack.packb(_message(batch.of(row)))])
        left -= len(pending)
    peers.finish(*range(num_clients))


def _message(answer_RC: np.ndarray) -> dict[str, bytes]:
    return {
        "reward": answer_RC[:, 0].tobytes(),
        "value": answer_RC[:, 1].tobytes(),
        "policy_logits": answer_RC[:, 2:].tobytes(),
    }


def _received(router: zmq.Socket, peers: Peers) -> list[list[bytes]]:
    """Everything that has arrived; waits for the first."""
    pending = [patiently(router.recv_multipart, peers.look)]
    while True:
        try:
            pending.append(router.recv_multipart(zmq.NOBLOCK))
        except zmq.Again:
            return pending


def request_messages(peer: Peer, count: int) -> None:
    """Runs in a peer: sends requests in messages, each after the answer to the one before."""
    socket = peer.sockets.connected("gather", zmq.DEALER)
    for _ in range(count):
        request = {"parent_index": _PARENT_R.tobytes(), "action": _ACTION_R.tobytes()}
        send(socket, msgpack.packb(request), peer.look)
        answer = msgpack.unpackb(patiently(socket.recv, peer.look))
        for words in answer.values():
            np.frombuffer(words, np.float32)


def _tell(peers: Peers, num_clients: int, function: Callable[[Peer, int], None], count: int) -> int:
    for client in range(num_clients):
        peers.tell(client, function, count)
    return num_clients * count

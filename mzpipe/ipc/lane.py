"""Lanes: each holds one outstanding inference request; a server's lanes lie in one block.

    request [L, 16]  response [L, 16]     one sequence word per lane, 128 bytes apart
    kind, node_index, last_node, num_rows, pin, attached, doorbell [L]
    observation [L, T, ...]  parent_index, action [L, T]                client -> server
    reward, value [L, T]  policy_logits [L, T, P]  weights_version [L]  server -> client
    candidates [L, T, A, D], only where actions are vectors: the root's  server -> client

V1  A lane is pending while request > response; until then its request and
    response arrays belong to the server alone.
V2  While request == response, the whole lane belongs to the client.
V3  Work left by a server that died is simply request > response.
V4  An answer without a weights version is void: the request continues a search whose hidden states are gone.

Shape legend    L lanes   T trees of a lane   P places of a policy: actions, and codes of chance   A actions
                D numbers of an action that is a vector
"""

from enum import IntEnum

import numpy as np
from numba import njit

from . import atomics
from .doorbell import Doorbell, ring_kernel
from .layout import WORDS_PER_LINE, ArrayLayout, Field
from .trace import Mark, TraceWriter
from .weights import NO_VERSION


class RequestKind(IntEnum):
    """The two calls of the model (MuZero: initial and recurrent inference).

    ROOT for node 0 begins a search. For a later node, whose observation the game's own rules have made, it continues
    one.
    """

    ROOT = 0
    RECURRENT = 1


def lane_layout(
    num_lanes: int,
    num_trees: int,
    num_places: int,
    observation_shape: tuple[int, ...],
    observation_dtype: str,
    action_size: int = 0,
) -> ArrayLayout:
    """The block of all lanes of one server."""
    words = (num_lanes, WORDS_PER_LINE)
    trees = (num_lanes, num_trees)
    candidates = [Field("candidates", "float32", (*trees, num_places, action_size))] if action_size else []
    return ArrayLayout(
        [
            Field("request", "int64", words),
            Field("response", "int64", words),
            Field("kind", "int32", (num_lanes,)),
            Field("node_index", "int32", (num_lanes,)),
            Field("last_node", "int32", (num_lanes,)),
            Field("num_rows", "int32", (num_lanes,)),
            Field("pin", "int64", (num_lanes,)),
            Field("attached", "int32", (num_lanes,)),
            Field("doorbell", "int32", (num_lanes,)),
            Field("parent_index", "int32", trees),
            Field("action", "int32", trees),
            Field("observation", observation_dtype, (*trees, *observation_shape)),
            Field("reward", "float32", trees),
            Field("value", "float32", trees),
            Field("policy_logits", "float32", (*trees, num_places)),
            Field("weights_version", "int64", (num_lanes,)),
            *candidates,
        ]
    )


class LaneClient:
    """The client's side of one lane: fill the request arrays, `request`, poll `ready`, read the answer.

    Reads   reward_T, value_T, policy_logits_TP, weights_version
    Writes  observation_T.., parent_index_T, action_T
    """

    def __init__(
        self,
        block: dict[str, np.ndarray],
        lane: int,
        server: Doorbell,
        client_index: int,
        trace: TraceWriter | None = None,
        place: int = 0,
    ) -> None:
        self._block, self._lane, self._server = block, lane, server
        self._trace, self._place = trace, place
        self._request, self._response = block["request"][lane], block["response"][lane]
        self.observation = block["observation"][lane]
        self.parent_index, self.action = block["parent_index"][lane], block["action"][lane]
        self.reward, self.value = block["reward"][lane], block["value"][lane]
        self.policy_logits = block["policy_logits"][lane]
        self.candidates_TAD = block["candidates"][lane] if "candidates" in block else None
        block["doorbell"][lane] = client_index
        block["pin"][lane] = 0
        block["attached"][lane] = 1
        # A former client may have died with a request in flight: we wait for its answer as for our own.
        self._sequence = int(self._request[0])
        self._version_L = block["weights_version"].data
        self._request_address, self._response_address = (
            int(words.ctypes.data) for words in (self._request, self._response)
        )
        self._hand_over, self._load_acquire = atomics.entry(request_kernel, 3), atomics.entry(atomics.load_acquire, 2)

    def prepare(self, *, last_node: int) -> None:
        """Sets the last node of searches on this lane: once it is answered, the server releases the lane's weights."""
        self._block["last_node"][self._lane] = last_node

    def request(self, kind: RequestKind, *, node_index: int, num_rows: int) -> None:
        """Hands the first `num_rows` rows to the server; node_index is the node that the answer expands."""
        block, lane = self._block, self._lane
        block["kind"][lane], block["node_index"][lane], block["num_rows"][lane] = kind, node_index, num_rows
        self._sequence += 1
        if self._trace is not None:
            begins = kind is RequestKind.ROOT and node_index == 0
            asked = Mark.ROOT_ASKED if begins else Mark.SIMULATION_ASKED
            self._trace.mark(asked, self._place, self._sequence)
        self._hand_over(self._request_address, self._server.address, self._sequence)

    def ready(self) -> bool:
        """Whether the last request is answered (true on a fresh lane)."""
        # SYNC lane.response acquire: the response's arrays and words
        return self._load_acquire(self._response_address, 0) == self._sequence

    def taken(self) -> None:
        """Tells the trace that the answer is used now; does nothing else."""
        if self._trace is not None:
            self._trace.mark(Mark.ANSWER_TAKEN, self._place, self._sequence)

    def pin(self, number: int) -> None:
        """Keeps one weights version from the next root request on, until `number` changes; 0 releases it."""
        self._block["pin"][self._lane] = number

    @property
    def weights_version(self) -> int:
        """Weights version of the last answer; NO_VERSION: it is void, and the search must begin anew."""
        version: int = self._version_L[self._lane]
        return version

    def detach(self) -> None:
        """Tells the server that no search of this lane will continue."""
        self._block["attached"][self._lane] = 0


class LaneServer:
    """The server's side of all its lanes."""

    def __init__(
        self,
        block: dict[str, np.ndarray],
        doorbell_words: np.ndarray,
        trace: TraceWriter | None = None,
        first_place: int = 0,
    ) -> None:
        self.block, self._trace, self._first_place = block, trace, first_place
        self._request, self._response = block["request"], block["response"]
        self._doorbell, self._doorbell_words = block["doorbell"], doorbell_words
        self._lanes = np.zeros(len(self._request), np.int32)

    def pending(self) -> np.ndarray:
        """Indices of the lanes whose request is unanswered, ascending; valid until the next call."""
        return self._lanes[: pending_kernel(self._request, self._response, self._lanes)]

    def gathered(self, lanes: np.ndarray) -> None:
        """Tells the trace that the requests of `lanes` go into a batch now; does nothing else."""
        if self._trace is not None:
            for lane in lanes.tolist():
                self._trace.mark(Mark.REQUEST_GATHERED, self._first_place + lane, int(self._request[lane, 0]))

    def respond(self, lanes: np.ndarray) -> None:
        """Publishes the answers of `lanes`, ascending, and wakes their clients, each once."""
        respond_kernel(lanes, self._request, self._response, self._doorbell, self._doorbell_words)

    def respond_void(self, lane: int) -> None:
        """Publishes a void answer."""
        self.block["weights_version"][lane] = NO_VERSION
        self.respond(np.array([lane], np.int32))


@njit(cache=True)
def request_kernel(request, doorbell, sequence):
    """Hands a lane to the server and rings it; takes addresses."""
    # SYNC lane.request release: the request's arrays and words
    atomics.store_release(request, 0, sequence)
    ring_kernel(doorbell)


@njit(cache=True, nogil=True)
def pending_kernel(request_LW, response_LW, lanes_L):
    """Writes the pending lanes to lanes_L; returns how many."""
    count = 0
    for lane in range(request_LW.shape[0]):
        # SYNC lane.request acquire: the request's arrays and words
        if atomics.load_acquire(request_LW[lane], 0) > response_LW[lane, 0]:
            lanes_L[count] = lane
            count += 1
    return count


@njit(cache=True, nogil=True)
def respond_kernel(lanes_L, request_LW, response_LW, doorbell_L, doorbell_words_PW):
    """Marks the requests of these lanes answered, then rings their clients; a client's lanes are adjacent."""
    for lane in lanes_L:
        # SYNC lane.response release: the response's arrays and words
        atomics.store_release(response_LW[lane], 0, request_LW[lane, 0])
    rung = -1
    for lane in lanes_L:
        if doorbell_L[lane] != rung:
            rung = doorbell_L[lane]
            ring_kernel(doorbell_words_PW[rung])

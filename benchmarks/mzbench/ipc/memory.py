"""The shared memory of the case `ipc`: every segment that the measuring caller shares with its peers.

bells                a doorbell for each peer; the caller's is the last one
ball                 two words on lines of their own: the ping-pong
there, back          rings of 64 bytes a record, from the caller to a peer and back
large                a ring of 1 MiB a record, to a peer
pairs                doorbells of pairs of peers
lanes                a lane per client; the caller is their server
weights              versions of 40 MB
torn_weights, killed weights read while they are overwritten, and records of killed producers
"""

from typing import NamedTuple

import numpy as np

from mzpipe.ipc.columns import RecordLayout
from mzpipe.ipc.doorbell import doorbell_layout
from mzpipe.ipc.lane import lane_layout
from mzpipe.ipc.layout import WORDS_PER_LINE, ArrayLayout, Field
from mzpipe.ipc.segments import RingSpec
from mzpipe.ipc.weights import weights_layout

MAX_PAIRS = MAX_CLIENTS = 4
NUM_PEERS = 2 * MAX_PAIRS
# The caller's row among the bells.
CALLER = NUM_PEERS

SMALL_BYTES, LARGE_BYTES = 64, 1 << 20
SMALL_SLOTS, LARGE_SLOTS = 64, 4
# A request has this many rows, a parent and an action each; its answer has a reward, a value and logits per row.
NUM_ROWS, NUM_ACTIONS = 64, 18
WEIGHTS_BYTES, TORN_WEIGHTS_BYTES = 40_000_000, 1_000_000


class Words(NamedTuple):
    """A record of a ring in this case."""

    data: np.ndarray


_SMALL = RecordLayout(Words, [Field("data", "int64", (SMALL_BYTES // 8,))])
_LARGE = RecordLayout(Words, [Field("data", "int64", (LARGE_BYTES // 8,))])

SPECS: dict[str, ArrayLayout | RingSpec] = {
    "bells": doorbell_layout(NUM_PEERS + 1),
    "ball": ArrayLayout([Field("words", "int64", (2 * WORDS_PER_LINE,))]),
    "there": RingSpec(_SMALL, SMALL_SLOTS),
    "back": RingSpec(_SMALL, SMALL_SLOTS),
    "large": RingSpec(_LARGE, LARGE_SLOTS),
    "pairs": doorbell_layout(NUM_PEERS),
    "lanes": lane_layout(MAX_CLIENTS, NUM_ROWS, NUM_ACTIONS, (1,), "float32"),
    "weights": weights_layout(WEIGHTS_BYTES),
    "torn_weights": weights_layout(TORN_WEIGHTS_BYTES),
    "killed": RingSpec(_LARGE, LARGE_SLOTS),
}

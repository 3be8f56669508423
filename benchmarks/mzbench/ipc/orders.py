"""Orders: what the caller tells each peer to do, and that it has been done.

    order[peer]   | number | action | count | withdrawn |        written by the caller
    answer[peer]  | number | pid |                               written by the peer

V1  An order stands while its number is greater than the answer's. A peer has one at a time.
V2  A peer that replaces a dead one finds no order: the caller forgets the row between the two.
"""

from enum import IntEnum, auto

import numpy as np

from mzpipe.ipc import atomics
from mzpipe.ipc.doorbell import Doorbell
from mzpipe.ipc.segments import Segments

from .memory import CALLER

_NUMBER, _ACTION, _COUNT, _WITHDRAWN = range(4)
_PID = 1


class Action(IntEnum):
    """What a peer can be told; ipc_processes says who does it."""

    ANSWER_PINGS = auto()
    ANSWER_RECORDS = auto()
    ANSWER_FRAMES = auto()
    ANSWER_MESSAGES = auto()
    TAKE_RECORDS = auto()
    TAKE_INTO_KERNEL = auto()
    TAKE_FRAMES = auto()
    TAKE_LARGE_RECORDS = auto()
    TAKE_LARGE_FRAMES = auto()
    CALL_IDLE = auto()
    ANSWER_IDLE = auto()
    CALL_FUTEX = auto()
    ANSWER_FUTEX = auto()
    CALL_SOCKET = auto()
    ANSWER_SOCKET = auto()
    REQUEST_LANES = auto()
    REQUEST_MESSAGES = auto()
    PULL_WEIGHTS = auto()
    TAKE_WEIGHTS = auto()
    OVERWRITE_WEIGHTS = auto()
    WRITE_RECORDS = auto()


class Orders:
    """The orders of all peers, and the bells that go with them."""

    def __init__(self, segments: Segments) -> None:
        arrays, bells = segments.arrays("orders"), segments.arrays("bells")["words"]
        self._order, self._answer = arrays["order"], arrays["answer"]
        self.bells = [Doorbell(bells, row) for row in range(CALLER + 1)]

    def give(self, peer: int, action: Action, count: int) -> None:
        """Tells a peer that has finished its former order."""
        row = self._order[peer]
        row[_ACTION], row[_COUNT], row[_WITHDRAWN] = action, count, 0
        # SYNC ipc_orders.give release: the order's words, and what the caller wrote for it before
        atomics.store_release(row, _NUMBER, int(row[_NUMBER]) + 1)
        self.bells[peer].ring()

    def withdraw(self, peer: int) -> None:
        """Ends an order that has no end of its own."""
        # SYNC ipc_orders.withdraw release: nothing but the word itself
        atomics.store_release(self._order[peer], _WITHDRAWN, 1)

    def finished(self, peer: int) -> bool:
        """Whether the last order is done."""
        # SYNC ipc_orders.finish acquire: what the peer wrote while it was at it
        return atomics.load_acquire(self._answer[peer], _NUMBER) == self._order[peer, _NUMBER]

    def taken(self, peer: int) -> tuple[Action, int] | None:
        """For the peer: its order, while one stands."""
        # SYNC ipc_orders.give acquire: the order's words, and what the caller wrote for it before
        if atomics.load_acquire(self._order[peer], _NUMBER) == self._answer[peer, _NUMBER]:
            return None
        return Action(self._order[peer, _ACTION]), int(self._order[peer, _COUNT])

    def withdrawn(self, peer: int) -> bool:
        """For the peer: whether to come to an end."""
        # SYNC ipc_orders.withdraw acquire: nothing but the word itself
        return atomics.load_acquire(self._order[peer], _WITHDRAWN) != 0

    def finish(self, peer: int) -> None:
        """For the peer: its order is done."""
        # SYNC ipc_orders.finish release: what the peer wrote while it was at it
        atomics.store_release(self._answer[peer], _NUMBER, int(self._order[peer, _NUMBER]))
        self.bells[CALLER].ring()

    def sign(self, peer: int, pid: int) -> None:
        """For the peer: it has loaded."""
        # SYNC ipc_orders.sign release: nothing but the word itself
        atomics.store_release(self._answer[peer], _PID, pid)

    def signed(self, peer: int) -> int:
        """Process id of the peer that has loaded; 0 while there is none."""
        # SYNC ipc_orders.sign acquire: nothing but the word itself
        return atomics.load_acquire(self._answer[peer], _PID)

    def forget(self, peer: int) -> None:
        """Clears the row of a peer that was reaped."""
        for rows in (self._order, self._answer):
            rows[peer] = np.zeros_like(rows[peer])

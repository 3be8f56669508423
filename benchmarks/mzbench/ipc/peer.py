"""What a peer of the case `ipc` has at hand while it does what it was told."""

import time
from collections.abc import Callable
from typing import TypeVar

from mzpipe.ipc import atomics
from mzpipe.ipc.segments import Segments
from mzpipe.runtime.idle import IdleStrategy

from .orders import Orders
from .sockets import Sockets

_SPINS = 1_000

Got = TypeVar("Got")


class Peer:
    """One peer, seen from inside. It is killed when its caller no longer needs it, so it may wait for ever."""

    def __init__(self, index: int, segments: Segments, sockets: Sockets) -> None:
        self.index, self.segments, self.sockets = index, segments, sockets
        self.orders = Orders(segments)
        self.idle = IdleStrategy(self.orders.bells[index])

    def withdrawn(self) -> bool:
        """Whether an order that has no end of its own is over."""
        return self.orders.withdrawn(self.index)

    def look(self) -> None:
        """Nothing to look after while it waits."""


def spun(attempt: Callable[[], Got | None], look: Callable[[], object]) -> Got:
    """What `attempt` gives once it gives something; spins, yields now and then, and calls `look`, which may raise."""
    while True:
        for _ in range(_SPINS):
            found = attempt()
            if found is not None:
                return found
        atomics.yield_core()
        look()


def linger(delay_ns: int) -> None:
    """Lets time pass that is too short to sleep."""
    end_ns = time.monotonic_ns() + delay_ns
    while time.monotonic_ns() < end_ns:
        pass

"""The peers of the case `ipc`, as the caller sees them: started together, told what to do, gone at the end."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mzpipe.errors import MzpipeError
from mzpipe.ipc.segments import Segments
from mzpipe.runtime.idle import IdleStrategy

from ..children import Children, meeting_place
from .memory import CALLER, NUM_PEERS, SPECS
from .orders import Action, Orders
from .sockets import Sockets

_PROGRAM = "mzbench.ipc.processes"
_PATIENCE_S = 60.0


class Peers:
    """The caller's view of its peers, and what they share."""

    def __init__(self, runtime: Path, children: Children, cores: list[int], num_peers: int) -> None:
        self.runtime, self.num_peers = runtime, num_peers
        self.segments = Segments(runtime, SPECS)
        self.segments.create()
        self.sockets = Sockets(runtime)
        self.orders = Orders(self.segments)
        self.idle = IdleStrategy(self.orders.bells[CALLER])
        self._children, self._cores = children, cores
        self._deadline_s = 0.0
        self.idle.after(0)  # compiles what waits, once, before the peers load it

    def start(self, peer: int) -> None:
        """Starts one on its core, without waiting for it to load."""
        core = self._cores[peer % len(self._cores)]
        self._children.start(_name(peer), [str(self.runtime), str(peer), str(core), str(os.getpid())])

    def await_loaded(self, *peers: int) -> None:
        """Waits until these can be told something."""
        self._children.await_ready(lambda: all(self.orders.signed(peer) for peer in peers))

    def replace(self, peer: int) -> None:
        """Kills one, wherever it is, and starts another in its place, without waiting for it."""
        self._children.kill(_name(peer))
        self.orders.forget(peer)
        self.start(peer)

    def tell(self, peer: int, action: Action, count: int = 0) -> None:
        """Has a peer begin; it must have finished what it was told before."""
        self._deadline_s = time.monotonic() + _PATIENCE_S
        self.orders.give(peer, action, count)

    def withdraw(self, *peers: int) -> None:
        """Has them come to an end, and waits for it."""
        for peer in peers:
            self.orders.withdraw(peer)
        self.finish(*peers)

    def finish(self, *peers: int) -> None:
        """Waits until they have done what they were told."""
        while not all(self.orders.finished(peer) for peer in peers):
            self.look()
            self.idle.after(0)

    def look(self) -> None:
        """Raises MzpipeError when a peer has ended, or none has got anywhere for a minute."""
        self._children.check()
        if time.monotonic() > self._deadline_s:
            raise MzpipeError(f"what a peer was told has not been done within {_PATIENCE_S:.0f} s")

    def rest(self, seconds: float) -> None:
        """Leaves the machine to the peers for a while."""
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0.0:
            self._children.check(round(1000 * left_s) + 1)


@contextmanager
def started_peers(cores: list[int], num_peers: int = NUM_PEERS) -> Iterator[Peers]:
    """All peers, loaded, one core after the other; afterwards no process, segment or socket is left."""
    with meeting_place() as (run, runtime):
        children = Children("the caller", _PROGRAM, run.logs / "children.log")
        peers = Peers(runtime, children, cores, num_peers)
        try:
            for peer in range(num_peers):
                peers.start(peer)
            peers.await_loaded(*range(num_peers))
            yield peers
        finally:
            children.stop(patience_s=0.0)
            peers.sockets.close()


def _name(peer: int) -> str:
    return f"peer-{peer}"

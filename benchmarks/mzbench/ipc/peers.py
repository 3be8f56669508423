"""The peers of the case `ipc` from the caller's side: starts them, gives them orders, and ends them."""

import json
import os
import select
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mzpipe.errors import MzpipeError
from mzpipe.ipc.segments import Segments
from mzpipe.runtime.process import Child

from ..children import Children, meeting_place
from .memory import NUM_PEERS, SPECS
from .peer import Peer
from .sockets import Sockets

_PROGRAM = "mzbench.ipc.peer"
_PATIENCE_S, _LOOK_S = 60.0, 0.02


class Peers:
    """The caller's handle on its peers, and the memory they share."""

    def __init__(self, runtime: Path, children: Children, cores: list[int], num_peers: int) -> None:
        self.runtime, self.num_peers = runtime, num_peers
        self.segments, self.sockets = Segments(runtime, SPECS), Sockets(runtime)
        self.segments.create()
        self._children, self._cores = children, cores
        self._started = dict[int, Child]()
        # Peers whose answer has not been read.
        self._busy = set[int]()
        self._deadline_s = 0.0

    def start(self, peer: int) -> None:
        """Starts one on its core, without waiting for it to load."""
        words = [str(self.runtime), str(peer), str(self._cores[peer % len(self._cores)]), str(os.getpid())]
        self._started[peer] = self._children.start(_name(peer), words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._expect(peer)

    def pid(self, peer: int) -> int:
        """Process id of a peer."""
        return self._started[peer].pid

    def replace(self, peer: int) -> None:
        """Kills one at once and starts another in its place, without waiting for it."""
        self._children.kill(_name(peer))
        self.start(peer)

    def tell(self, peer: int, function: Callable[[Peer, int], object], count: int = 0) -> None:
        """Orders a peer to call a module's function after it has finished its earlier orders."""
        if peer in self._busy:
            self.finish(peer)
        self._expect(peer)
        stdin = self._started[peer].process.stdin
        assert stdin is not None
        with suppress(BrokenPipeError):  # it has ended, which `look` reports
            os.write(stdin.fileno(), f"{function.__module__} {function.__name__} {count}\n".encode())

    def finish(self, *peers: int) -> list[Any]:
        """The answers of these peers, once they have carried out their orders."""
        return [self._answer(peer) for peer in peers]

    def look(self) -> None:
        """Raises MzpipeError when a peer has ended, or none has made progress for a minute."""
        self._children.check()
        if time.monotonic() > self._deadline_s:
            raise MzpipeError(f"a peer has not carried out its order within {_PATIENCE_S:.0f} s")

    def _expect(self, peer: int) -> None:
        self._busy.add(peer)
        self._deadline_s = time.monotonic() + _PATIENCE_S

    def _answer(self, peer: int) -> Any:
        stdout = self._started[peer].process.stdout
        assert stdout is not None
        line = b""
        while not line:  # an ended peer's output reads as empty until `look` notices the end
            self.look()
            if select.select([stdout], [], [], _LOOK_S)[0]:
                line = stdout.readline()
        self._busy.remove(peer)
        return json.loads(line)


@contextmanager
def started_peers(cores: list[int], num_peers: int = NUM_PEERS) -> Iterator[Peers]:
    """All peers, loaded, one core after another; afterwards no process, segment or socket is left."""
    with meeting_place() as (run, runtime):
        children = Children("the caller", _PROGRAM, run.logs / "children.log")
        peers = Peers(runtime, children, cores, num_peers)
        try:
            for peer in range(num_peers):
                peers.start(peer)
            peers.finish(*range(num_peers))
            yield peers
        finally:
            children.stop(patience_s=0.0)
            peers.sockets.close()


def _name(peer: int) -> str:
    return f"peer-{peer}"

"""A peer of the case `ipc`: reads a line that names a function, calls it, answers with a line, and reads the next.

    order    MODULE FUNCTION COUNT        answer    the function's result, as JSON

Run as `python -m mzbench.ipc.peer RUNTIME INDEX CORE PARENT_PID`; its first answer says that it has loaded. Orders and
answers are lines on its stdin and stdout; errors go to stderr.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TypeVar

from mzpipe.ipc import atomics
from mzpipe.ipc.segments import Segments
from mzpipe.runtime.process import follow_supervisor

from .memory import SPECS
from .sockets import Sockets

_SPINS = 1_000

Got = TypeVar("Got")


class Peer:
    """The state of a peer. Its caller kills it when it is no longer needed, so it may wait for ever."""

    def __init__(self, index: int, runtime: Path) -> None:
        self.index = index
        self.segments, self.sockets = Segments(runtime, SPECS), Sockets(runtime)

    def look(self) -> None:
        """Does nothing: a waiting peer has nothing to check."""


def spun(attempt: Callable[[], Got | None], look: Callable[[], object]) -> Got:
    """The first result of `attempt` that is not None; spins, yields now and then, and calls `look`, which may raise."""
    while True:
        for _ in range(_SPINS):
            found = attempt()
            if found is not None:
                return found
        atomics.yield_core()
        look()


def linger(delay_ns: int) -> None:
    """Waits for a time that is too short to sleep."""
    end_ns = time.monotonic_ns() + delay_ns
    while time.monotonic_ns() < end_ns:
        pass


def main(runtime: str, index: str, core: str, parent_pid: str) -> None:
    """Runs the program until its orders end, or it is killed."""
    os.sched_setaffinity(0, [int(core)])
    follow_supervisor(Path(runtime), int(parent_pid))
    peer = Peer(int(index), Path(runtime))
    _answer(None)
    for line in sys.stdin:
        module, function, count = line.split()
        _answer(getattr(import_module(module), function)(peer, int(count)))


def _answer(found: object) -> None:
    sys.stdout.write(f"{json.dumps(found)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])

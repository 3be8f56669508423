"""Birth and death of the processes beside the measured learner, and the cores they run on."""

import select
import signal
import time
from pathlib import Path

from ..errors import MzpipeError
from ..ipc.dataplane import DataPlane, Member
from ..runtime.environment import child_environment
from ..runtime.process import Child, spawn
from .learner_processes import REPLAY

_PROGRAM = "mzpipe.bench.learner_processes"
_START_S, _STOP_S, _POLL_MS = 120.0, 10.0, 20


class Children:
    """The processes beside the measured one, by who they are."""

    def __init__(self, log: Path) -> None:
        self._log, self._children = log, dict[Member, Child]()
        self._poller = select.poll()

    def start(self, member: Member, words: list[str]) -> None:
        """Starts the program with these words behind the member's name."""
        with open(self._log, "ab") as log:
            arguments = [_PROGRAM, member.role, str(member.index), *words]
            child = spawn(arguments, environment=child_environment(1), log=log)
        self._children[member] = child
        self._poller.register(child.pidfd, select.POLLIN)

    def check(self, timeout_ms: int = 0) -> None:
        """Raises MzpipeError, with the last line of the log, once one of them has ended."""
        if self._poller.poll(timeout_ms):
            last = self._log.read_text(errors="replace").strip().rpartition("\n")[2]
            names = ", ".join(member.identity for member in self._children)
            raise MzpipeError(f"a process beside the learner ({names}) has ended: {last or 'it said nothing'}")

    def await_ready(self, plane: DataPlane) -> None:
        """Waits until all of them have loaded; raises MzpipeError when one ends or takes too long."""
        deadline_s = time.monotonic() + _START_S
        while not all(plane.counters(member).get("ready") for member in self._children):
            self.check(_POLL_MS)
            if time.monotonic() > deadline_s:
                raise MzpipeError(f"a process beside the learner has not started within {_START_S:.0f} s")

    def stop(self) -> None:
        """Ends those that have not ended by themselves in time, and reaps all."""
        deadline_s = time.monotonic() + _STOP_S
        for child in self._children.values():
            poller = select.poll()
            poller.register(child.pidfd, select.POLLIN)
            if not poller.poll(max(0.0, deadline_s - time.monotonic()) * 1000):
                child.signal(signal.SIGKILL)
            child.reap()
            child.close()


def shared_out(spare_cores: list[int], num_ranks: int) -> dict[Member, list[int]]:
    """The cores of each process beside rank 0: a core for every rank, the others, if any, for the refiller."""
    ranks = {Member("learner", rank): [spare_cores[-rank % len(spare_cores)]] for rank in range(1, num_ranks)}
    return {REPLAY: spare_cores[: 1 - num_ranks or None] or spare_cores, **ranks}

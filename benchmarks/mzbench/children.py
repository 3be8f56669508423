"""Starts and ends the processes around the measured one, and makes the shared runtime directory where they meet it."""

import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from mzpipe.errors import MzpipeError
from mzpipe.runs.directory import RunDirectory, sweep_leftovers
from mzpipe.runtime.environment import child_environment
from mzpipe.runtime.process import Child, make_death_pipe, spawn

_START_S, _STOP_S, _POLL_MS = 120.0, 10.0, 20


class Children:
    """Processes around `whom`, all of one program, by name."""

    def __init__(self, whom: str, program: str, log: Path) -> None:
        self._whom, self._program, self._log = whom, program, log
        self._children = dict[str, Child]()
        self._poller = select.poll()

    def start(self, name: str, words: list[str], **pipes: int) -> Child:
        """Starts the program with these words; `pipes` are those of spawn."""
        with open(self._log, "ab") as log:
            child = spawn([self._program, *words], environment=_environment(), log=log, **pipes)
        self._children[name] = child
        self._poller.register(child.pidfd, select.POLLIN)
        return child

    def check(self, timeout_ms: int = 0) -> None:
        """Raises MzpipeError, with the last line of the log, if one of them has ended."""
        if self._poller.poll(timeout_ms):
            last = self._log.read_text(errors="replace").strip().rpartition("\n")[2]
            names = ", ".join(self._children)
            raise MzpipeError(f"a process next to {self._whom} ({names}) has ended: {last or 'no message'}")

    def await_ready(self, ready: Callable[[], bool]) -> None:
        """Waits until all have loaded; raises MzpipeError if one ends or takes too long."""
        deadline_s = time.monotonic() + _START_S
        while not ready():
            self.check(_POLL_MS)
            if time.monotonic() > deadline_s:
                raise MzpipeError(f"a process next to {self._whom} has not started within {_START_S:.0f} s")

    def kill(self, name: str) -> None:
        """Kills one at once and reaps it; another may then take its name."""
        child = self._children.pop(name)
        self._poller.unregister(child.pidfd)
        _end(child, patience_s=0.0)

    def stop(self, patience_s: float = _STOP_S) -> None:
        """Ends the processes that have not ended by themselves in time, and reaps all."""
        deadline_s = time.monotonic() + patience_s
        for child in self._children.values():
            _end(child, deadline_s - time.monotonic())


def _environment() -> dict[str, str]:
    """A child's environment, with the path of this package, which is not installed."""
    environment, home = child_environment(1), str(Path(__file__).resolve().parents[1])
    return environment | {"PYTHONPATH": os.pathsep.join(filter(None, [environment.get("PYTHONPATH"), home]))}


def _end(child: Child, patience_s: float) -> None:
    poller = select.poll()
    poller.register(child.pidfd, select.POLLIN)
    if not poller.poll(max(0.0, patience_s) * 1000):
        child.signal(signal.SIGKILL)
    child.reap()
    child.close()


@contextmanager
def meeting_place() -> Iterator[tuple[RunDirectory, Path]]:
    """A run directory, and its runtime directory with a death pipe; both are removed afterwards.

    First removes what a killed measurement has left in shared memory.
    """
    sweep_leftovers()
    with (
        TemporaryDirectory(prefix="mzpipe-bench-") as home,
        RunDirectory(Path(home) / "run").locked() as locked,
        locked.runtime() as live,
    ):
        runtime = Path(live.runtime_directory)
        death_pipe = make_death_pipe(runtime)
        try:
            yield locked.directory, runtime
        finally:
            os.close(death_pipe)

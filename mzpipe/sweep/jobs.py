"""Starts the runs of trials on this machine: as many at a time as it holds, each on its own share of the cores."""

import contextlib
import itertools
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Protocol

from ..runs.files import file_errors
from ..runtime.environment import child_environment
from ..runtime.process import Child, spawn

TRAIN = ("mzpipe", "train")


class Job(Protocol):
    """A run that was started."""

    @property
    def descriptor(self) -> int | None:
        """Becomes readable when the run ends; None if the run can only be asked."""

    def code(self) -> int | None:
        """Its exit code (negative: killed by that signal); None while it lives."""

    def signal(self, number: int) -> None:
        """Sends it a signal; SIGTERM ends it in order."""

    def close(self) -> None:
        """Frees what it takes; a run that still lives ends at once."""


class Runner(Protocol):
    """Starts runs."""

    def is_live(self, name: str) -> bool:
        """Whether a run of this trial lives that an earlier sweep started; then `start` takes it up."""

    def start(self, name: str, words: Sequence[str], log: Path) -> Job:
        """Starts the run of a trial with the words of `mzpipe train`; adds its output to `log`."""


class LocalRunner:
    """Starts runs as children, which end when this process does; `program` stands for `mzpipe train`."""

    def __init__(self, num_jobs: int, program: Sequence[str] = TRAIN) -> None:
        self._program, self.free_shares = program, core_shares(sorted(os.sched_getaffinity(0)), num_jobs)

    def is_live(self, name: str) -> bool:
        """See Runner.is_live."""
        return False

    def start(self, name: str, words: Sequence[str], log: Path) -> "LocalJob":
        """See Runner.start; there are never more than `num_jobs` at a time. Raises InputOutputError."""
        output = _opened(log)
        cores = self.free_shares.pop(0)
        arguments = [str(os.getpid()), ",".join(map(str, cores)), *self._program, *words]
        child = spawn(["mzpipe.runtime.follow", *arguments], environment=child_environment(1), log=output)
        with contextlib.suppress(OSError):  # what the run prints is lost on a full disk, not the run
            output.close()
        return LocalJob(self, child, cores)


class LocalJob:
    """A child."""

    def __init__(self, runner: LocalRunner, child: Child, cores: list[int]) -> None:
        self._runner, self._child, self._cores = runner, child, cores

    @property
    def descriptor(self) -> int:
        """See Job.descriptor."""
        return self._child.pidfd

    def code(self) -> int | None:
        """See Job.code."""
        ended = os.waitid(os.P_PIDFD, self._child.pidfd, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return None if ended is None else self._child.reap()

    def signal(self, number: int) -> None:
        """See Job.signal."""
        self._child.signal(number)

    def close(self) -> None:
        """See Job.close."""
        self._child.signal(signal.SIGKILL)
        self._child.reap()
        self._child.close()
        self._runner.free_shares.append(self._cores)


def _opened(log: Path) -> IO[bytes]:
    with file_errors("write", log):
        return open(log, "ab")


def core_shares(cores: Sequence[int], num_jobs: int) -> list[list[int]]:
    """The cores of each of the runs at a time: parts of nearly equal size; runs share cores if there are fewer."""
    if num_jobs > len(cores):
        return [[cores[place % len(cores)]] for place in range(num_jobs)]
    bounds = [place * len(cores) // num_jobs for place in range(num_jobs + 1)]
    return [list(cores[low:high]) for low, high in itertools.pairwise(bounds)]

"""Roster: every process of the run, as the supervisor knows it."""

import contextlib
import os
import signal
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import IO

from ..config import Profile
from ..ipc.messages import Failed
from ..ipc.roles import Role
from ..ipc.shape import Member
from ..runtime.environment import child_environment
from ..runtime.process import Child, spawn
from .plan import num_threads

BACKOFF_S = 0.2
MAX_BACKOFF_S = 30.0
RESTART_BUDGET = 5
RESTART_WINDOW_S = 60.0


class State(Enum):
    """The state of a process."""

    ABSENT = auto()  # not started yet, or a role that is started by hand
    STARTED = auto()
    READY = auto()
    DEAD = auto()  # reaped; may be started again
    GIVEN_UP = auto()  # died too often


@dataclass
class Entry:
    """One process."""

    member: Member
    state: State = State.ABSENT
    child: Child | None = None
    foreign_pidfd: int | None = None
    starts: int = 0
    restart_at_s: float = 0.0
    deaths_s: deque[float] = field(default_factory=deque)
    failed: Failed | None = None
    # What its silence led to, once it is told; and when it is killed for that.
    silence: str = ""
    kill_at_s: float | None = None

    @property
    def pidfd(self) -> int | None:
        """Readable once the process has ended."""
        return self.child.pidfd if self.child else self.foreign_pidfd

    @property
    def pid(self) -> int | None:
        """The process id, if it is a child of this process."""
        return self.child.pid if self.child else None


class Roster:
    """Starts, reaps and counts the processes of one run."""

    def __init__(
        self,
        members: list[Member],
        profile: Profile,
        run: Path,
        logs: Path,
        note: Callable[[str], None] = lambda line: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._note, self._clock = note, clock
        self.entries = [Entry(member) for member in members]
        self._profile, self._run, self._logs = profile, run, logs

    def __getitem__(self, identity: str) -> Entry:
        return next(entry for entry in self.entries if entry.member.identity == identity)

    def is_external(self, entry: Entry) -> bool:
        """Whether this role is started by hand."""
        return entry.member.role == self._profile.topology.external

    def start(self, entry: Entry) -> None:
        """Starts the process; its output goes to its log."""
        member = entry.member
        arguments = ["mzpipe.launch.join", member.role, str(member.index), str(self._run), str(os.getpid())]
        environment = child_environment(num_threads(self._profile, member.role))
        log = self._open_log(self._logs / f"{member.identity}.log")
        entry.child = spawn(arguments, environment=environment, log=log)
        with contextlib.suppress(OSError):  # nothing was written to it here
            log.close()
        entry.starts += 1
        entry.state = State.STARTED
        entry.failed, entry.silence, entry.kill_at_s = None, "", None

    def _open_log(self, path: Path) -> IO[bytes]:
        """The log, or nowhere if the disk takes none: a process is started all the same."""
        try:
            return open(path, "ab")
        except OSError as error:
            self._note(f"cannot write {path}: {error.strerror}: what the process says is lost")
            return open(os.devnull, "ab")

    def adopt(self, entry: Entry, pid: int) -> bool:
        """Watches a process that was started by hand; returns False if it has already ended."""
        try:
            entry.foreign_pidfd = os.pidfd_open(pid)
        except OSError:
            return False
        entry.starts += 1
        entry.state = State.STARTED
        return True

    def reap(self, entry: Entry) -> int | None:
        """Returns the exit code of an ended process; None for one started by hand."""
        code = None
        if entry.child is not None:
            code = entry.child.reap()
            entry.child.close()
            entry.child = None
        elif entry.foreign_pidfd is not None:
            os.close(entry.foreign_pidfd)
            entry.foreign_pidfd = None
        entry.state = State.DEAD
        return code

    def schedule_restart(self, entry: Entry) -> bool:
        """Sets when the process is started again; returns False if its budget is spent."""
        restart_at_s = next_start_s(entry.deaths_s, self._clock())
        if restart_at_s is None:
            entry.state = State.GIVEN_UP
            return False
        entry.restart_at_s = restart_at_s
        return True

    def due_restarts(self) -> list[Entry]:
        """Dead processes whose back-off is over; ranks of the learner only when this holds for all of them."""
        now_s = self._clock()
        dead = (entry for entry in self.entries if entry.state is State.DEAD and not self.is_external(entry))
        due = [entry for entry in dead if now_s >= entry.restart_at_s]
        ranks = [entry for entry in due if entry.member.role == Role.LEARNER]
        whole = len(ranks) == sum(entry.member.role == Role.LEARNER for entry in self.entries)
        return due if whole else [entry for entry in due if entry not in ranks]

    def alive(self) -> list[Entry]:
        """Processes that have not ended."""
        return [entry for entry in self.entries if entry.pidfd is not None]

    def kill(self) -> None:
        """Kills the children that are left; a process started by hand sees the death pipe."""
        for entry in self.alive():
            if entry.child is not None:
                entry.child.signal(signal.SIGKILL)


def next_start_s(deaths_s: deque[float], now_s: float) -> float | None:
    """When what dies now is started again, after a back-off; None if its budget is spent. Counts the death."""
    deaths_s.append(now_s)
    while now_s - deaths_s[0] > RESTART_WINDOW_S:
        deaths_s.popleft()
    if len(deaths_s) > RESTART_BUDGET:
        return None
    return now_s + min(MAX_BACKOFF_S, BACKOFF_S * 2 ** (len(deaths_s) - 1))

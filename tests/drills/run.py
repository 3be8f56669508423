"""A live run under a drill: its lines with the times at which they came, and what every process has done at any time.

The drill maps the run's counters itself. They stay readable after every process of the run, and its files, are gone.
"""

import os
import re
import select
import signal
import sys
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple, Self

from mzpipe.errors import MzpipeError
from mzpipe.ipc.dataplane import DataPlane
from mzpipe.ipc.roles import Role
from mzpipe.ipc.shape import Member
from tests.pipeline.driver import START_S, Run
from tests.processes import alive, command_line

# Two actors, a reanalyzer, an evaluator that is seldom idle. The journal can be counted while it forgets nothing: it
# has room for 775,000 moves, and with so many simulations 100 kills see fewer. The learner keeps up with the actors, so
# rings have room for what they hand over when they stop.
OVERRIDES = (
    "search.num_simulations=50",
    "topology.actors=2",
    "topology.trees_per_reanalyzer_lane=8",
    "reanalyze.fraction=0.5",
    "replay.capacity_bytes=100000000",
    "replay.samples_per_insert=0.5",
    "evaluator.interval_steps=20",
)
# What a process of each role has done that is of use to others; these words only grow, also when it is started again.
USE = {
    Role.ACTOR: "env_steps",
    Role.INFERENCE: "batch_rows",
    Role.REPLAY: "handed_out",
    Role.REANALYZER: "positions",
    Role.LEARNER: "loss_steps",
    Role.EVALUATOR: "busy_laps",
    Role.GATEWAY: "pod_transitions",
}
_POLL_S, _SAMPLE_S, _KEPT_S = 0.002, 0.01, 120.0
_AGAIN_S = 90.0


class Line(NamedTuple):
    """A line of the output; it came at most a few milliseconds before `time_s`."""

    time_s: float
    text: str


class Death(NamedTuple):
    """A process that the drill has killed; `used`: what it had done until then (USE)."""

    member: Member
    pid: int
    killed_s: float
    dead_s: float
    used: int


class WatchedRun(Run):
    """A live run that is looked at every few milliseconds while the drill waits."""

    def __init__(
        self,
        directory: Path,
        *overrides: str,
        extra: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(directory, *OVERRIDES, *overrides, extra=extra, env=env)
        self.lines: list[Line] = []
        self._read_to, self._rest = 0, ""
        self._plane: DataPlane | None = None
        self._samples: deque[tuple[float, dict[Member, int]]] = deque()

    @classmethod
    @contextmanager
    def ready(cls, directory: Path, *overrides: str, extra: Sequence[str] = ()) -> Iterator[Self]:
        """A run in which every process has done something; it is ended on the way out."""
        run = cls(directory, *overrides, extra=extra)
        try:
            if not run.is_ready():
                sys.exit(f"the run did not become ready:\n{run.output}")
            yield run
        finally:
            run.end()

    # Looking.

    @property
    def plane(self) -> DataPlane:
        """The counters; raises MzpipeError before the run has made them."""
        if self._plane is None:
            plane = DataPlane.attach(self.runtime)
            plane.sums()  # maps the counters: they outlive the run
            self._plane = plane
        return self._plane

    def members(self) -> list[Member]:
        """Every process of the run but the supervisor."""
        return self.plane.shape.members()

    def count(self, member: Member, name: str) -> int:
        """A counter of a process."""
        return self.plane.counters(member).get(name)

    def used(self, member: Member) -> int:
        """What a process has done that is of use to others."""
        return self.count(member, USE[member.role])

    def successor(self, member: Member, *former: int) -> int | None:
        """The process that a member has or is given soon, other than former ones; it may still be starting."""
        found: list[int] = []

        def is_there() -> bool:
            words = [str(member.role), str(member.index), str(self.directory)]
            pids = [pid for pid in children(self.process.pid) if pid not in former]
            found[:] = [pid for pid in pids if command_line(pid)[4:7] == words]
            return bool(found) or self.is_over()

        self.watch(is_there, _AGAIN_S)
        self.seen |= set(found)
        return found[0] if found else None

    def look(self) -> None:
        """Takes in new lines, and samples the counters if a sample is due."""
        now_s = time.monotonic()
        self._read_lines(now_s)
        if self._plane is not None and (not self._samples or now_s - self._samples[-1][0] >= _SAMPLE_S):
            self._samples.append((now_s, {member: self.used(member) for member in self.members()}))
            while now_s - self._samples[0][0] > _KEPT_S:
                self._samples.popleft()

    def _read_lines(self, now_s: float) -> None:
        if self.output_path.stat().st_size == self._read_to:
            return
        with open(self.output_path, "rb") as file:
            file.seek(self._read_to)
            data = file.read()
        self._read_to += len(data)
        *whole, self._rest = (self._rest + data.decode(errors="replace")).split("\n")
        self.lines += (Line(now_s, text) for text in whole)

    def watch(self, condition: Callable[[], object], timeout_s: float) -> bool:
        """Looks until the condition holds or the time is over; returns whether it holds."""
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline_s:
                return False
            self.look()
            time.sleep(_POLL_S)
        self.look()
        return True

    def rest(self, seconds: float) -> None:
        """Looks on for a while, or until the run ends."""
        self.watch(lambda: self.process.poll() is not None, seconds)

    def find(self, pattern: str, since_s: float = 0.0) -> Line | None:
        """The first line that matches since a time."""
        return next(self.found(pattern, since_s), None)

    def found(self, pattern: str, since_s: float = 0.0) -> Iterator[Line]:
        """Lines that match since a time."""
        return (line for line in self.lines if line.time_s >= since_s and re.search(pattern, line.text))

    def wait_for(self, pattern: str, timeout_s: float, since_s: float = 0.0) -> Line | None:
        """The first line that matches since a time; None if it does not come, or the run ends without it."""
        ended = self._has_ended()
        self.watch(lambda: self.find(pattern, since_s) or ended(), timeout_s)
        return self.find(pattern, since_s)

    def _has_ended(self) -> Callable[[], bool]:
        """Whether the run has ended and all of its lines are read: true at the second look after its end."""
        looks = iter(range(1 << 60))
        return lambda: self.process.poll() is not None and next(looks) > 1

    def is_ready(self) -> bool:
        """Waits until every process works and has done something; returns False if that does not happen."""
        if self.wait_for(r"all \d+ processes are ready", 3 * START_S) is None:
            return False
        return self.watch(lambda: all(map(self.used, self.members())) or self.is_over(), START_S) and not self.is_over()

    def is_over(self) -> bool:
        """Whether the supervisor has ended."""
        return self.process.poll() is not None

    def has_counters(self) -> bool:
        """Whether the run has made its counters, which are then mapped."""
        with suppress(MzpipeError, OSError, ValueError):
            return bool(self.plane.sums())
        return False

    def rate(self, members: list[Member], begin_s: float, end_s: float) -> float | None:
        """What these did together per second between two times that were watched; None if that is not known."""
        times = [time_s for time_s, _ in self._samples]
        first, last = bisect_left(times, begin_s), min(bisect_left(times, end_s), len(times) - 1)
        if first >= last or begin_s < times[0] - _SAMPLE_S:
            return None
        (before_s, before), (after_s, after) = self._samples[first], self._samples[last]
        return sum(after[member] - before[member] for member in members) / (after_s - before_s)

    # Killing.

    def kill_members(self, pids: dict[Member, int]) -> list[Death]:
        """kill -9 of these processes, one right after the other; they are dead on return."""
        killed_s = kill_and_wait(list(pids.values()))
        dead_s = time.monotonic()
        return [Death(member, pid, killed_s, dead_s, self.used(member)) for member, pid in pids.items()]

    def is_useful_again(self, death: Death) -> float | None:
        """Seconds from the death until a successor has done something; None if that does not happen."""
        self.watch(lambda: self.used(death.member) > death.used or self.is_over(), _AGAIN_S)
        return time.monotonic() - death.dead_s if self.used(death.member) > death.used else None

    def end(self) -> None:
        """Ends what is left of the run, for good."""
        if self.process.poll() is None:
            self.kill()
        self.look()


def children(pid: int) -> list[int]:
    """The processes that a process's first thread has started and not reaped."""
    with suppress(OSError):
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def kill_and_wait(pids: list[int]) -> float:
    """kill -9 of processes, which are dead on return; returns when the first was killed."""
    descriptors = [os.pidfd_open(pid) for pid in pids]
    killed_s = time.monotonic()
    for descriptor in descriptors:
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    for descriptor in descriptors:
        select.select([descriptor], [], [], START_S)
        os.close(descriptor)
    return killed_s


def seconds_until_gone(pids: set[int], since_s: float, timeout_s: float = 10.0) -> tuple[float, int]:
    """Seconds until none of these processes is alive, and how many still are after 2 s."""
    after_2_s = None
    while (left := {pid for pid in pids if alive(pid)}) and time.monotonic() - since_s < timeout_s:
        if after_2_s is None and time.monotonic() - since_s >= 2.0:
            after_2_s = len(left)
        time.sleep(_POLL_S)
    return time.monotonic() - since_s, after_2_s or 0

"""Stops processes of a live CartPole run (SIGSTOP), and holds what follows against the promises: R2, R3, R10.

    python -m tests.drills.stops [--seconds 22] [--seed 0] [--json F]

Every role in turn is stopped and must be noticed, killed and replaced. A stopped supervisor must find everything as it
was when it is continued. At the end Ctrl-C is measured: once, and twice for a learner that will never save.
"""

import argparse
import os
import random
import re
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from mzpipe.config.profile import TopologyConfig
from mzpipe.errors import ExitCode
from mzpipe.ipc.calls import LongCall
from mzpipe.ipc.roles import Role
from mzpipe.ipc.shape import Member
from mzpipe.launch.silence import FEW_LAPS, STACKS
from mzpipe.runs.checkpoint import LATEST, CheckpointStore
from tests.drills.report import Row, finish, say
from tests.drills.run import WatchedRun
from tests.pipeline.driver import START_S, clean
from tests.processes import alive

SILENCE_S = TopologyConfig().silence_s
_LEARNER = Member(Role.LEARNER, 0)
# What the supervisor's turn, and a busy machine, may add to a limit.
_LATE_S = 0.5
_DRAINED_S, _HURRIED_S = 10.0, 2.0
_TOLD = re.compile(r"^(\S+): no progress for ([\d.]+) s, (.+) \(at most ([\d.]+) s\b.*\): its stack is in (.+)$")


class Told(NamedTuple):
    """What the line about a silent process says."""

    identity: str
    silent_s: float
    doing: str
    limit_s: float
    log: Path


class Stop(NamedTuple):
    """What followed when one role was stopped; `told` is None if nothing was said in time."""

    member: Member
    noticed_s: float
    told: Told | None
    has_stack: bool = False
    is_replaced: bool = False
    useful_s: float | None = None
    others_told: Sequence[str] = ()

    def rows(self) -> Iterator[Row]:
        """What is promised for this role."""
        name, told = self.member.identity, self.told
        limit_s = max(SILENCE_S, told.limit_s if told else 0.0)
        is_right = told is not None and told.identity == name and is_plain(told.doing)
        noticed = f"{self.noticed_s:.2f} s, limit {limit_s:.1f} s" if told else f"not in {self.noticed_s:.0f} s"
        bound = f"<= limit + {_LATE_S} s"
        yield Row("R2", f"{name}: noticed", noticed, bound, is_right and self.noticed_s <= limit_s + _LATE_S)
        yield Row("R2", f"{name}: said to be", told.doing if told else "nothing", "stage or call", is_right)
        yield Row("R2", f"{name}: stack in its log", "yes" if self.has_stack else "no", "yes", self.has_stack)
        useful = f"useful {self.useful_s:.1f} s later" if self.useful_s is not None else "no use"
        is_back = self.is_replaced and self.useful_s is not None
        yield Row("R2", f"{name}: killed and replaced", useful, "useful again", is_back)
        rest = "; ".join(self.others_told) or "none"
        yield Row("R16", f"{name}: others said to be silent", rest, "none", not self.others_told)


def read_told(line: str) -> Told | None:
    """The line about a silent process; None for any other line."""
    if (found := _TOLD.match(line)) is None:
        return None
    identity, silent_s, doing, limit_s, log = found.groups()
    return Told(identity, float(silent_s), doing, float(limit_s), Path(log))


def is_plain(doing: str) -> bool:
    """Whether a silent process's stage or call is named."""
    return re.fullmatch(r"after stage '[^']+'|before its first stage|in its \w.*", doing) is not None


def has_stack(log: str) -> bool:
    """Whether a log has the stack of a silent process, from its innermost call to the duty cycle."""
    _, _, after = log.rpartition(STACKS)
    return re.search(r"most recent call first[\s\S]+ in run_agent\b", after) is not None


class StopDrill:
    """Stops one process after another of one run."""

    def __init__(self, run: WatchedRun, seconds: float, seed: int) -> None:
        self._run, self._seconds, self._rng = run, seconds, random.Random(seed)
        self._laps_before: dict[Member, int] = {}

    def rows(self) -> Iterator[Row]:
        """Stops every role, then the supervisor."""
        for role in Role:
            index = self._rng.randrange(2) if role == Role.ACTOR else 0
            say(f"stop of {Member(role, index).identity}")
            yield from self._stop(Member(role, index)).rows()
        say("stop of the supervisor")
        yield from self._stop_supervisor()

    def _stop(self, member: Member) -> Stop:
        run = self._run
        self._wait_until_known(member)
        pid, stopped_s = run.count(member, "pid"), self._stop_in_a_lap(member)
        line = run.wait_for(rf"^{member.identity}: no progress for ", self._seconds, stopped_s)
        told = read_told(line.text) if line else None
        if told is None or line is None:
            os.kill(pid, signal.SIGCONT)
            return Stop(member, self._seconds, None)
        killed = run.wait_for(
            rf"^{member.identity} \(pid {pid}\) made no progress .* and was killed: ", 10.0, stopped_s
        )
        is_replaced = killed is not None and killed.text.endswith(("started again", "from the latest checkpoint"))
        used = run.used(member)  # it has worked for a moment while its stack was written
        run.watch(lambda: run.used(member) > used or run.is_over(), START_S)
        useful_s = time.monotonic() - (killed or line).time_s if run.used(member) > used else None
        found = has_stack(told.log.read_text(errors="replace"))
        others = [each.text for each in run.found(": no progress for ", stopped_s) if each is not line]
        return Stop(member, line.time_s - stopped_s, told, found, is_replaced, useful_s, others)

    def _wait_until_known(self, member: Member) -> None:
        """Waits until a process has done so many laps with work that its limit is the common one."""
        run = self._run
        before = run.count(member, "busy_laps")
        run.watch(lambda: run.count(member, "busy_laps") > before + 2 * FEW_LAPS or run.is_over(), START_S)
        run.rest(2.0)

    def _stop_in_a_lap(self, member: Member) -> float:
        """Stops a process outside of the calls that may take long; returns when."""
        pid = self._run.count(member, "pid")
        while True:
            os.kill(pid, signal.SIGSTOP)
            stopped_s = time.monotonic()
            if self._run.count(member, "long_call") == LongCall.NONE:
                return stopped_s
            os.kill(pid, signal.SIGCONT)
            self._run.rest(0.1)

    def _stop_supervisor(self) -> Iterator[Row]:
        run = self._run
        roles, steps = run.roles(), run.learner_steps()
        run.process.send_signal(signal.SIGSTOP)
        stopped_s = time.monotonic()
        run.watch(run.is_over, self._seconds)
        alone = run.learner_steps() - steps
        run.process.send_signal(signal.SIGCONT)
        run.rest(2 * SILENCE_S)
        again = run.learner_steps() - steps - alone
        kept = len(set(roles.items()) & set(run.roles().items()))
        what = f"supervisor stopped for {self._seconds:g} s"
        yield Row("R2", f"{what}: roles kept", f"{kept} of {len(roles)}", "all", kept == len(roles))
        said = [line.text for line in run.found(r": no progress for |\(pid \d+\) ", stopped_s)]
        yield Row("R16", f"{what}: said to be silent", "; ".join(said) or "none", "none", not said)
        is_live = again > 0 and not run.is_over()
        yield Row("R2", f"{what}: learner steps", f"{alone} while, {again} after", "> 0 after", is_live)


def interrupt_once(run: WatchedRun) -> Iterator[Row]:
    """Ctrl-C of a run at work."""
    roles, steps = run.roles(), run.learner_steps()
    run.process.send_signal(signal.SIGINT)
    yield _end_row(run, "Ctrl-C", _DRAINED_S)
    saved = CheckpointStore(run.directory / "checkpoints").load(LATEST).state["learner_steps"]
    yield Row("R10", "Ctrl-C: saved", f"step {saved:,}", f"at least {steps:,}", saved >= steps)
    left = sum(map(alive, roles.values()))
    yield Row("R10", "Ctrl-C: processes left", str(left), "0", left == 0)


def interrupt_twice(run: WatchedRun) -> Iterator[Row]:
    """Ctrl-C of a run whose learner will never save, and once more."""
    os.kill(run.count(_LEARNER, "pid"), signal.SIGSTOP)
    run.process.send_signal(signal.SIGINT)
    run.wait_for("^stopping: ", _DRAINED_S)
    run.process.send_signal(signal.SIGINT)
    yield _end_row(run, "second Ctrl-C", _HURRIED_S)


def _end_row(run: WatchedRun, what: str, bound_s: float) -> Row:
    sent_s = time.monotonic()
    run.watch(run.is_over, 6 * bound_s)
    seconds, code = time.monotonic() - sent_s, run.process.poll()
    measured = f"exit code {code} after {seconds:.2f} s"
    is_held = code == ExitCode.INTERRUPTED and seconds <= bound_s
    return Row("R10", what, measured, f"{ExitCode.INTERRUPTED:d} within {bound_s:g} s", is_held)


def main() -> int:
    """Runs the command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.drills.stops", description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=22.0, help="how long a stop lasts at most (default: 22)")
    parser.add_argument("--seed", type=int, default=0, help="which actor is stopped (default: 0)")
    parser.add_argument("--json", type=Path, help="write the table to this file too")
    arguments = parser.parse_args()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="mzpipe-drill-") as scratch:
        try:
            with WatchedRun.ready(Path(scratch) / "run") as run:
                rows += StopDrill(run, arguments.seconds, arguments.seed).rows()
                rows += interrupt_once(run)
            with WatchedRun.ready(Path(scratch) / "run") as run:
                rows += interrupt_twice(run)
        finally:
            clean(Path(scratch))
    return finish("stops", rows, arguments.json)


if __name__ == "__main__":
    sys.exit(main())

"""Kills processes of live CartPole runs at random, and holds what follows against the promises: R1, R3 to R6, R8, R9.

    python -m tests.drills.kills [--count 100] [--seed 0] [--roles actor,learner,...,supervisor] [--json F]

One run directory lives through all of it, in sessions. A session ends with a kill of the supervisor, with a kill in a
stop, or with one process killed until its budget of restarts is spent; the next one begins on what is left. Kills come
far enough apart that no other process spends its budget.
"""

import argparse
import random
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from mzpipe.errors import ExitCode
from mzpipe.ipc.calls import LongCall
from mzpipe.ipc.roles import Role
from mzpipe.ipc.shape import Member
from mzpipe.launch.roster import RESTART_BUDGET, RESTART_WINDOW_S
from mzpipe.replay.journal import read_journal
from mzpipe.runs.checkpoint import LATEST, CheckpointStore
from tests.drills.journal_check import Findings, Stored, check, count_stored, played_in
from tests.drills.kill_plan import ROLES, SUPERVISOR, Kill, Phase, Session, plan_sessions
from tests.drills.ledger import Books, balance_row, losses_of_epochs, losses_of_kills
from tests.drills.report import Row, at_most, faults_row, finish, percentile, say
from tests.drills.run import Death, WatchedRun, children, kill_and_wait, seconds_until_gone
from tests.pipeline.driver import START_S, clean

_LEARNER = Member(Role.LEARNER, 0)
_STOP_S = 40.0
# The promised seconds from a death until the role is useful again.
_USEFUL_S = {
    Role.ACTOR: 3.0,
    Role.REANALYZER: 3.0,
    Role.EVALUATOR: 3.0,
    Role.INFERENCE: 5.0,
    Role.REPLAY: 5.0,
    Role.LEARNER: 10.0,
}
# The promised rate of the others while a process is dead; the most transitions that a replay server's kill takes.
_RATE, _JOURNAL_WINDOW = 0.95, 4096


def is_stop_as_promised(code: int, output: str, member: Member, saved_since: bool) -> bool:
    """Whether a stop in which a role was killed has the right exit code.

    `saved_since`: whether the last checkpoint is at least as new as the run was at the signal.
    """
    is_grave = "no checkpoint is saved" in output or "the end of the journal may be missing" in output
    if member.role == Role.REPLAY and f"at the stop {member.identity} " in output and not is_grave:
        return False
    expected = ExitCode.INTERNAL if is_grave else ExitCode.INTERRUPTED
    return code == expected and (saved_since or is_grave)


class Figures:
    """What the drill has measured."""

    def __init__(self) -> None:
        self.kills = Counter[str]()
        self.as_promised = Counter[str]()
        self.faults: list[str] = []
        self.noticed_ms: list[float] = []
        self.useful_s = defaultdict[str, list[float]](list)
        self.others = defaultdict[str, list[float]](list)
        self.gone_s: list[float] = []
        self.orphans = self.left_behind = self.starts = 0
        # Transitions lost by epochs of actors: of those that were killed, and of all others.
        self.lost_killed: list[int] = []
        self.lost_others: list[int] = []
        self.most_in_flight = 0

    def follow(self, role: str, is_right: bool, fault: str) -> None:
        """Counts one kill, and whether what followed was as promised."""
        self.kills[role] += 1
        self.as_promised[role] += is_right
        if not is_right:
            self.faults.append(fault)


class KillDrill:
    """Lives through planned sessions in one run directory."""

    def __init__(self, directory: Path, seed: int) -> None:
        self._directory, self._rng = directory, random.Random(seed)
        self.figures, self.books = Figures(), list[Books]()
        self._stored = Stored(0, -1, Counter())
        self._former: list[Path] = []

    @property
    def journal(self) -> Path:
        """The journal of the run."""
        return self._directory / "run" / "journal"

    def live_through(self, session: Session) -> None:
        """Runs one session from its start to its end."""
        run = WatchedRun(self._directory / "run")
        self._killed_s = defaultdict[Member, list[float]](list)
        self._deaths: list[Death] = []
        try:
            self._hurt(run, session)
        finally:
            run.end()
        self._close(run, session)

    def _hurt(self, run: WatchedRun, session: Session) -> None:
        if session.end == Kill(SUPERVISOR, Phase.START):
            run.rest(self._rng.uniform(0.5, 8.0))
            self._kill_supervisor(run)
            return
        if not run.is_ready():
            sys.exit(f"the run did not become ready:\n{run.output}")
        self._find_leftovers()
        for kill in session.kills:
            if not run.is_over():
                self._kill(run, kill)
        run.rest(self._rng.uniform(3.0, 5.0))
        self._end(run, session.end)

    def _find_leftovers(self) -> None:
        """Once a run works, nothing of those before it is in shared memory."""
        self.figures.starts += 1
        self.figures.left_behind += sum(path.exists() for path in self._former)

    # Kills that the run outlives.

    def _kill(self, run: WatchedRun, kill: Kill) -> None:
        members = [self._member(role) for role in (kill.role, kill.also) if role]
        run.rest(self._rng.uniform(5.0, 8.0))
        self._wait_for_budget(run, members, RESTART_BUDGET - 2)
        self._wait_for(run, kill.phase)
        pids = {member: run.count(member, "pid") for member in members}
        deaths = self._kill_now(run, pids)
        if kill.phase is Phase.START:
            (member, pid) = (members[0], pids[members[0]])
            is_right = self._see_restart(run, deaths[0])
            self.figures.follow(member.role, is_right, f"{member.identity} before its successor's start: no line")
            successor = run.successor(member, pid)
            run.rest(self._rng.uniform(0.0, 1.5))
            deaths = self._kill_now(run, {member: successor}) if successor else []
        for death in deaths:
            is_restarted = self._see_restart(run, death)
            useful_s = run.is_useful_again(death) if is_restarted else None
            fault = f"{death.member.identity} ({kill.phase}): {'not useful again' if is_restarted else 'no line'}"
            self.figures.follow(death.member.role, useful_s is not None, fault)
            if useful_s is not None and len(pids) == 1 and kill.phase is not Phase.START:
                self.figures.useful_s[death.member.role].append(useful_s)
                self._compare(run, death, useful_s)

    def _kill_now(self, run: WatchedRun, pids: dict[Member, int]) -> list[Death]:
        deaths = run.kill_members(pids)
        self._deaths += deaths
        for death in deaths:
            self._killed_s[death.member].append(death.dead_s)
        return deaths

    def _see_restart(self, run: WatchedRun, death: Death) -> bool:
        """Waits for the line about a death, and measures how long it takes; whether it says what is promised."""
        name = rf"^{death.member.identity} \(pid {death.pid}\) was killed by SIGKILL: "
        line = run.wait_for(name, 10.0, death.killed_s)
        if line is None:
            return False
        self.figures.noticed_ms.append(1000.0 * (line.time_s - death.dead_s))
        return line.text.endswith(("it is started again", "training resumes from the latest checkpoint"))

    def _compare(self, run: WatchedRun, death: Death, useful_s: float) -> None:
        """Compares what the others did in the gap with what they had done as long before (R4)."""
        role = death.member.role
        if role == Role.ACTOR:
            others = [each for each in run.members() if each.role == role and each != death.member]
        else:
            # Not for a reanalyzer: batches wait for its successor, see docs/reliability.md.
            others = [_LEARNER] if role == Role.EVALUATOR else []
        before = run.rate(others, death.killed_s - useful_s, death.killed_s)
        after = run.rate(others, death.dead_s, death.dead_s + useful_s)
        if others and before and after is not None:
            self.figures.others[role].append(after / before)

    def _member(self, role: Role | str) -> Member:
        return Member(Role(role), self._rng.randrange(2) if role == Role.ACTOR else 0)

    def _wait_for_budget(self, run: WatchedRun, members: Sequence[Member], most: int) -> None:
        """Waits until each of these has died at most so many times within the window of its budget."""

        def recent(member: Member) -> int:
            return sum(time.monotonic() - each < RESTART_WINDOW_S + 2.0 for each in self._killed_s[member])

        run.watch(lambda: all(recent(member) <= most for member in members), 2 * RESTART_WINDOW_S)

    def _wait_for(self, run: WatchedRun, phase: Phase) -> None:
        if phase is Phase.CHECKPOINT:
            run.watch(lambda: run.count(_LEARNER, "long_call") == LongCall.SAVE or run.is_over(), START_S)

    # Kills that end a session.

    def _end(self, run: WatchedRun, end: Kill | None) -> None:
        if run.is_over():
            self.figures.faults.append(f"the run ended by itself: {run.output.rstrip().splitlines()[-1]}")
        elif end is None:
            self._interrupt(run)
        elif end.role == SUPERVISOR:
            self._wait_for(run, end.phase)
            self._kill_supervisor(run)
        elif end.phase is Phase.STORM:
            self._storm(run, self._member(end.role))
        else:
            self._kill_in_stop(run, self._member(end.role))

    def _kill_supervisor(self, run: WatchedRun) -> None:
        run.has_counters()
        pids = {*run.roles().values(), *children(run.process.pid)}
        killed_s = kill_and_wait([run.process.pid])
        code = run.process.wait()
        gone_s, orphans = seconds_until_gone({*pids, *run.roles().values()}, killed_s)
        self.figures.gone_s.append(gone_s)
        self.figures.orphans += orphans
        self.figures.follow(SUPERVISOR, code == -signal.SIGKILL, f"supervisor: exit code {code}")

    def _interrupt(self, run: WatchedRun) -> None:
        run.process.send_signal(signal.SIGINT)
        run.watch(run.is_over, _STOP_S)
        code = run.process.poll()
        if code != ExitCode.INTERRUPTED:
            self.figures.faults.append(f"Ctrl-C: exit code {code}")

    def _kill_in_stop(self, run: WatchedRun, member: Member) -> None:
        steps, pid = run.learner_steps(), run.count(member, "pid")
        run.process.send_signal(signal.SIGINT)
        run.watch(run.is_over, self._rng.uniform(0.0, 1.0))
        with suppress(ProcessLookupError):  # it has already ended
            self._kill_now(run, {member: pid})
        run.watch(run.is_over, _STOP_S)
        code = run.process.poll()
        saved = CheckpointStore(run.directory / "checkpoints").load(LATEST).state["learner_steps"] >= steps
        is_right = code is not None and is_stop_as_promised(code, run.output, member, saved)
        self.figures.follow(member.role, is_right, f"{member.identity} in a stop: exit code {code}, saved: {saved}")

    def _storm(self, run: WatchedRun, member: Member) -> None:
        """Kills one process until its budget is spent: the run continues without an actor, and ends without another."""
        self._wait_for_budget(run, [member], 0)
        pids: list[int] = []
        while len(pids) <= RESTART_BUDGET and (pid := run.successor(member, *pids)) is not None:
            pids.append(pid)
            self._kill_now(run, {member: pid})
        if member.role == Role.ACTOR:
            is_right = run.wait_for("once too often: the run continues without it", 30.0) is not None
            other = Member(Role.ACTOR, 1 - member.index)
            used = run.used(other)
            is_right &= run.watch(lambda: run.used(other) > used, START_S)
            self._interrupt(run)
        else:
            is_right = run.watch(run.is_over, _STOP_S) and run.process.poll() == ExitCode.INTERNAL
            is_right &= "once too often" in run.output
        for _ in pids:
            self.figures.follow(member.role, is_right, f"{member.identity}: storm of {len(pids)} kills")

    # The books.

    def _close(self, run: WatchedRun, session: Session) -> None:
        """Counts what the session has played and stored."""
        played = self.books[-1].played if self.books else 0
        stored = count_stored(self.journal, self._stored.last_serial)
        if run.has_counters():
            self._former.append(run.plane.directory)
            played = max(played, run.plane.total("env_steps"))
            if played > run.count(Member(Role.REPLAY, 0), "capacity") > 0:
                self.figures.faults.append("moves have left the journal, so no loss can be counted: see run.OVERRIDES")
            if session.keeps_what_is_stored:
                self._count_epochs(run, stored)
        self.books.append(Books(played, stored.transitions, run.output))
        self._stored = stored

    def _count_epochs(self, run: WatchedRun, stored: Stored) -> None:
        """Finds what each life of an actor has lost: a killed one its moves in flight, any other nothing."""
        shape = run.plane.shape
        self.figures.most_in_flight = shape.lanes_per_actor * shape.trees_per_lane * shape.trajectory_length
        played, deaths = dict[tuple[int, int], int](), Counter[int]()
        begun = {0: run.count(Member(Role.REPLAY, 0), "former_env_steps")}
        for death in self._deaths:
            if death.member.role == Role.ACTOR:
                actor = death.member.index
                played[actor, deaths[actor]] = death.used - begun.get(actor, 0)
                begun[actor] = death.used
                deaths[actor] += 1
        for actor in range(shape.actors):
            played[actor, deaths[actor]] = run.used(Member(Role.ACTOR, actor)) - begun.get(actor, 0)
        for (actor, epoch), lost in losses_of_epochs(played, stored.of_epochs).items():
            (self.figures.lost_killed if epoch < deaths[actor] else self.figures.lost_others).append(lost)

    def findings(self) -> Findings:
        """The check of every transition in the journal."""
        return check(played_in(read_journal(self.journal).trajectories()))


def rows_of(figures: Figures, books: Sequence[Books], findings: Findings) -> Iterator[Row]:
    """Every promise with what was measured."""
    for role, kills in figures.kills.items():
        right = figures.as_promised[role]
        yield Row("", f"{role}: restart or exit code", f"{right} of {kills} kills", "all", right == kills)
    measured, is_held = at_most(figures.noticed_ms, 50.0, "ms")
    yield Row("R1", "death to its line", measured, "p95 <= 50 ms", is_held)
    for role, bound_s in _USEFUL_S.items():
        if figures.useful_s[role]:
            measured, is_held = at_most(figures.useful_s[role], bound_s, "s")
            yield Row("R3", f"{role}: death to useful", measured, f"p95 <= {bound_s:g} s", is_held)
    yield from _rates(figures)
    yield from _losses(figures, books)
    yield findings.row()
    left = figures.left_behind
    yield Row("R8", "runtime directories left", f"{left} in {figures.starts} starts", "0", left == 0)
    if figures.gone_s:
        gone, orphans = f"{figures.orphans}, last gone after {max(figures.gone_s):.2f} s", figures.orphans
        yield Row("R9", "orphans 2 s after the supervisor", gone, "0", orphans == 0)
    yield faults_row(figures.faults)


def _rates(figures: Figures) -> Iterator[Row]:
    whose = {Role.ACTOR: "the other actor", Role.EVALUATOR: "the learner"}
    for role, others in whose.items():
        if ratios := figures.others[role]:
            median = percentile(ratios, 0.5)
            measured = f"p50 {median:.0%}, least {min(ratios):.0%} of {len(ratios)}"
            yield Row("R4", f"{role} dead: {others} at", measured, f"p50 >= {_RATE:.0%}", median >= _RATE)


def _losses(figures: Figures, books: Sequence[Books]) -> Iterator[Row]:
    taken = losses_of_kills(books)
    yield balance_row(books)
    if figures.lost_killed:
        most, bound = max(figures.lost_killed), figures.most_in_flight
        is_held = min(figures.lost_killed) >= 0 and most <= bound
        measured = f"at most {most} in {len(figures.lost_killed)} lives"
        yield Row("R5", "actor: lost by one kill", measured, f"<= {bound} in flight", is_held)
    if figures.lost_others:
        lost = sum(map(abs, figures.lost_others))
        lives = f"{lost} in {len(figures.lost_others)} lives"
        yield Row("R5", "lost by actors that were not killed", lives, "0, whatever else was", lost == 0)
    if taken:
        measured = f"at most {max(taken)} in {len(taken)} restores"
        yield Row("R5", "replay: lost by one kill", measured, "1 s, or 4096", max(taken) <= _JOURNAL_WINDOW)


def main() -> int:
    """Runs the command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.drills.kills", description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=100, help="kills, at least (default: 100)")
    parser.add_argument("--seed", type=int, default=0, help="which kills (default: 0)")
    parser.add_argument("--roles", default=",".join(ROLES), help="what is killed, with commas (default: %(default)s)")
    parser.add_argument("--json", type=Path, help="write the table to this file too")
    arguments = parser.parse_args()
    roles = arguments.roles.split(",")
    if unknown := set(roles) - set(ROLES):
        parser.error(f"--roles: {', '.join(sorted(unknown))}: not one of {', '.join(ROLES)}")
    sessions = plan_sessions(arguments.count, arguments.seed, roles)
    with tempfile.TemporaryDirectory(prefix="mzpipe-drill-") as scratch:
        drill = KillDrill(Path(scratch), arguments.seed)
        try:
            for number, session in enumerate([*sessions, Session([])]):  # the last one tells what the others have lost
                say(f"session {number}: {session.words()}")
                drill.live_through(session)
            findings = drill.findings()
        finally:
            clean(Path(scratch))
    return finish("kills", list(rows_of(drill.figures, drill.books, findings)), arguments.json)


if __name__ == "__main__":
    sys.exit(main())

"""Silence: finds processes that live but make no progress, has their stacks written, and kills them.

    lap ... lap ......... no lap, and no part of a long call ......... limit: stack, line ... kill ... restart or end

`progress` says what progress is. The limit is that of the long call under way; without one it follows from the
process's own longest lap. It is never below topology.silence_s.
"""

import contextlib
import signal
from pathlib import Path
from typing import NamedTuple

from ..ipc.calls import LongCall
from ..ipc.dataplane import DataPlane
from ..ipc.roles import Role
from ..runtime.attended import AttendedClock
from ..runtime.process import STACK_SIGNAL
from ..telemetry import View
from .progress import Sign, read_sign, standing_words
from .roster import Entry, Roster, State

# Begins the stacks in a role's log.
STACKS = "mzpipe: no progress for"
# A process that is not stuck in the kernel writes its stack within this time; then it is killed.
_STACK_S = 1.0
# Laps with work before which the longest one says little: first calls load and compile.
FEW_LAPS, FEW_LAPS_LIMIT_S = 100, 60.0
# How much longer than its longest lap so far a process may take.
LONGER = 5.0


class Silence(NamedTuple):
    """How long a process has made no progress, how long it may make none, and how long it made none before."""

    seconds: float
    limit_s: float
    longest_s: float

    @property
    def is_too_long(self) -> bool:
        """Whether the process counts as stuck."""
        return self.seconds > self.limit_s


class _Listener:
    """What is known of one process."""

    def __init__(self, sign: Sign, now_s: float) -> None:
        self._sign, self.since_s = sign, now_s
        self._busy_before, self.longest_s = sign.busy_laps, 0.0

    def hears(self, sign: Sign, now_s: float) -> bool:
        """Takes a sign in; returns False if it belongs to another life of the process."""
        former = self._sign
        if sign.life != former.life:
            return False
        if sign.progress != former.progress:
            if former.is_ready and former.call is LongCall.NONE:
                self.longest_s = max(self.longest_s, now_s - self.since_s)
            if sign.is_ready and not former.is_ready:
                self._busy_before = sign.busy_laps
            self._sign, self.since_s = sign, now_s
        return True

    def limit_s(self, silence_s: float) -> float:
        """How long the process may take for what it does now."""
        sign = self._sign
        if not sign.is_ready:
            return LongCall.START.limit_s
        if sign.call is not LongCall.NONE:
            return max(silence_s, sign.call.limit_s)
        least_s = FEW_LAPS_LIMIT_S if sign.busy_laps - self._busy_before < FEW_LAPS else 0.0
        return max(silence_s, LONGER * self.longest_s, least_s)


class SilenceWatch:
    """Says which processes are silent, by a clock that is looked at every turn.

    After an absence every process gets a new period: it may have been stopped as well.
    """

    def __init__(self, silence_s: float, clock: AttendedClock) -> None:
        self._silence_s, self._clock = silence_s, clock
        self._listeners: dict[str, _Listener] = {}
        self._absences = clock.absences

    def look(self, signs: dict[str, Sign]) -> dict[str, Silence]:
        """Takes in every living process's sign, by identity; returns their silences."""
        now_s = self._clock.now_s()
        if self._clock.absences != self._absences:
            self._begin_anew(now_s)
        return {identity: self._hear(identity, sign, now_s) for identity, sign in signs.items()}

    def _begin_anew(self, now_s: float) -> None:
        self._absences = self._clock.absences
        for listener in self._listeners.values():
            listener.since_s = now_s

    def _hear(self, identity: str, sign: Sign, now_s: float) -> Silence:
        listener = self._listeners.get(identity)
        if listener is None or not listener.hears(sign, now_s):
            listener = self._listeners[identity] = _Listener(sign, now_s)
        return Silence(now_s - listener.since_s, listener.limit_s(self._silence_s), listener.longest_s)


class SilenceKeeper:
    """Deals with the silent processes of a run; call `look` every turn."""

    def __init__(
        self,
        plane: DataPlane,
        roster: Roster,
        logs: Path,
        view: View,
        silence_s: float,
        clock: AttendedClock,
    ) -> None:
        self._plane, self._roster, self._logs, self._view, self._clock = plane, roster, logs, view, clock
        self._watch = SilenceWatch(silence_s, clock) if silence_s else None
        # Says of a process that it has made no progress for this long, and for longer than ever; "" if there is none.
        self._note_s, self.note = silence_s, ""

    def look(self) -> None:
        """Has the stacks of processes that fell silent written, and kills them a moment later."""
        if self._watch is None:
            return
        entries = {entry.member.identity: entry for entry in self._roster.alive()}
        silences = self._watch.look({identity: self._sign(entry) for identity, entry in entries.items()})
        for identity, entry in entries.items():
            if entry.kill_at_s is not None:
                self._kill_if_due(entry)
            elif silences[identity].is_too_long:
                self._expose(entry, silences[identity])
            else:
                entry.silence = ""
        slow = [each for each, silence in silences.items() if silence.seconds > max(self._note_s, silence.longest_s)]
        self.note = self._words(entries[slow[0]], silences[slow[0]]) if slow else ""

    def _sign(self, entry: Entry) -> Sign:
        return read_sign(self._plane, entry.member, life=entry.starts, is_ready=entry.state is State.READY)

    def _words(self, entry: Entry, silence: Silence) -> str:
        words = standing_words(self._plane, entry.member, self._sign(entry), silence.seconds)
        return f"{words} (at most {silence.limit_s:.1f} s; topology.silence_s raises this)"

    def _expose(self, entry: Entry, silence: Silence) -> None:
        """Tells of the silence, once, and has the stack written; sets when the process is killed."""
        if entry.silence:
            return
        entry.silence = f"made no progress for {silence.seconds:.1f} s and was killed"
        line = self._words(entry, silence)
        if entry.child is None:
            self._view.line(f"{line}: it was started by hand: look at it there, or end it and start it again")
            return
        entry.kill_at_s = self._clock.now_s() + _STACK_S
        for each in self._fellows(entry):
            self._write_stack(each, silence)
        self._view.line(f"{line}: its stack is in {self._log(entry)}")

    def _fellows(self, entry: Entry) -> list[Entry]:
        """The process, and for a rank of the learner all ranks: each of them waits in a step for all others."""
        if entry.member.role != Role.LEARNER:
            return [entry]
        return [each for each in self._roster.alive() if each.member.role == Role.LEARNER]

    def _write_stack(self, entry: Entry, silence: Silence) -> None:
        if entry.child is None:
            return
        # A full disk: the process is killed all the same.
        with contextlib.suppress(OSError), open(self._log(entry), "ab", buffering=0) as log:
            log.write(f"{STACKS} {silence.seconds:.1f} s; the stack of every thread:\n".encode())
        entry.child.signal(STACK_SIGNAL)
        entry.child.signal(signal.SIGCONT)  # a stopped process writes nothing

    def _kill_if_due(self, entry: Entry) -> None:
        if entry.child is not None and entry.kill_at_s is not None and self._clock.now_s() >= entry.kill_at_s:
            entry.child.signal(signal.SIGKILL)

    def _log(self, entry: Entry) -> Path:
        return self._logs / f"{entry.member.identity}.log"


def pause_run(roster: Roster) -> None:
    """Stops every process that this one has started, then this one; returns when it is told to go on (SIGCONT)."""
    children = [entry.child for entry in roster.alive() if entry.child is not None]
    for child in children:
        child.signal(signal.SIGSTOP)
    signal.raise_signal(signal.SIGSTOP)
    for child in children:
        child.signal(signal.SIGCONT)

"""Silence: finds processes that live but make no progress, has their stacks written, and kills them.

    lap ... lap ......... no lap, and no part of a long call ......... limit: stack, line ... kill ... restart or end

A process makes progress when it ends a lap or a part of a long call. One that waits for others still laps, so it is not
silent. The limit is that of the long call under way; without one it follows from the process's own longest lap. It is
never below topology.silence_s.

Reads   the counters laps, parts, busy_laps and long_call, which their process alone writes, word by word (V1 of
        ipc/counters.py names the instruction)
"""

import contextlib
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ..ipc.calls import LongCall
from ..ipc.dataplane import DataPlane
from ..ipc.roles import Role
from ..runtime.process import STACK_SIGNAL
from ..telemetry import View
from .roster import Entry, Roster, State

# Begins the stacks in a role's log.
STACKS = "mzpipe: no progress for"
# A process that is not stuck in the kernel writes its stack within this time; then it is killed.
_STACK_S = 1.0
# Laps with work before which the longest one says little: first calls load and compile.
FEW_LAPS, FEW_LAPS_LIMIT_S = 100, 60.0
# How much longer than its longest lap so far a process may take.
LONGER = 5.0


class Sign(NamedTuple):
    """What a process shows of its progress; `life` counts its starts."""

    life: int
    is_ready: bool
    laps: int
    parts: int
    busy_laps: int
    call: LongCall

    @property
    def progress(self) -> tuple[int, bool, int, int, LongCall]:
        """What changes when the process makes progress."""
        return self.life, self.is_ready, self.laps, self.parts, self.call


class Silence(NamedTuple):
    """How long a process has made no progress, and the limit that this is above."""

    seconds: float
    limit_s: float


class _Listener:
    """What is known of one process."""

    def __init__(self, sign: Sign, now_s: float) -> None:
        self._sign, self.since_s = sign, now_s
        self._busy_before, self._longest_s = sign.busy_laps, 0.0

    def hears(self, sign: Sign, now_s: float) -> bool:
        """Takes a sign in; returns False if it belongs to another life of the process."""
        former = self._sign
        if sign.life != former.life:
            return False
        if sign.progress != former.progress:
            if former.is_ready and former.call is LongCall.NONE:
                self._longest_s = max(self._longest_s, now_s - self.since_s)
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
        return max(silence_s, LONGER * self._longest_s, least_s)


class SilenceWatch:
    """Says which processes are silent.

    Time in which nobody looked does not count: it may be the supervisor that was stopped, or the machine.
    """

    def __init__(self, silence_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._silence_s, self._clock = silence_s, clock
        self._listeners: dict[str, _Listener] = {}
        self._looked_s = clock()

    def look(self, signs: dict[str, Sign]) -> dict[str, Silence]:
        """Takes in every living process's sign, by identity; returns the silences of those above their limits."""
        now_s = self._clock()
        if now_s - self._looked_s > self._silence_s / 2:
            self.begin_anew()
        self._looked_s = now_s
        return {identity: silence for identity, sign in signs.items() if (silence := self._hear(identity, sign, now_s))}

    def begin_anew(self) -> None:
        """Gives every process a new period."""
        now_s = self._clock()
        for listener in self._listeners.values():
            listener.since_s = now_s

    def _hear(self, identity: str, sign: Sign, now_s: float) -> Silence | None:
        listener = self._listeners.get(identity)
        if listener is None or not listener.hears(sign, now_s):
            listener = self._listeners[identity] = _Listener(sign, now_s)
        seconds, limit_s = now_s - listener.since_s, listener.limit_s(self._silence_s)
        return Silence(seconds, limit_s) if seconds > limit_s else None


class SilenceKeeper:
    """Deals with the silent processes of a run; call `look` every turn."""

    def __init__(
        self,
        plane: DataPlane,
        roster: Roster,
        logs: Path,
        view: View,
        silence_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._plane, self._roster, self._logs, self._view, self._clock = plane, roster, logs, view, clock
        self._watch = SilenceWatch(silence_s, clock) if silence_s else None

    def look(self) -> None:
        """Has the stacks of processes that fell silent written, and kills them a moment later."""
        if self._watch is None:
            return
        entries = {entry.member.identity: entry for entry in self._roster.alive()}
        silences = self._watch.look({identity: self._sign(entry) for identity, entry in entries.items()})
        for identity, entry in entries.items():
            if entry.kill_at_s is not None:
                self._kill_if_due(entry)
            elif identity in silences:
                self._expose(entry, silences[identity])
            else:
                entry.silence = ""

    def begin_anew(self) -> None:
        """Gives every process a new period, because all of them were stopped."""
        if self._watch is not None:
            self._watch.begin_anew()

    def _sign(self, entry: Entry) -> Sign:
        counters = self._plane.counters(entry.member)
        return Sign(
            life=entry.starts,
            is_ready=entry.state is State.READY,
            laps=counters.get("laps"),
            parts=counters.get("parts"),
            busy_laps=counters.get("busy_laps"),
            call=LongCall(counters.get("long_call")),
        )

    def _expose(self, entry: Entry, silence: Silence) -> None:
        """Tells of the silence, once, and has the stack written; sets when the process is killed."""
        if entry.silence:
            return
        entry.silence = f"made no progress for {silence.seconds:.1f} s and was killed"
        line = f"{entry.member.identity}: no progress for {silence.seconds:.1f} s, {self._doing(entry)}"
        if entry.child is None:
            self._view.line(f"{line}: it was started by hand: look at it there, or end it and start it again")
            return
        entry.kill_at_s = self._clock() + _STACK_S
        for each in self._fellows(entry):
            self._write_stack(each, silence)
        limit = f"at most {silence.limit_s:.1f} s; topology.silence_s raises this"
        self._view.line(f"{line} ({limit}): its stack is in {self._log(entry)}")

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

    def _doing(self, entry: Entry) -> str:
        call = LongCall.START if entry.state is not State.READY else self._sign(entry).call
        stage = self._plane.last_stage(entry.member)
        if call is not LongCall.NONE:
            return f"in its {call.label}"
        return f"after stage {stage.label!r}" if stage is not None else "before its first stage"

    def _kill_if_due(self, entry: Entry) -> None:
        if entry.child is not None and entry.kill_at_s is not None and self._clock() >= entry.kill_at_s:
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

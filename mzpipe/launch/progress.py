"""Progress: what a process shows of its work, and who in a run shows none, for the supervisor and for onlookers.

A process makes progress when it ends a lap or a part of a long call. One that waits for others still laps. The
supervisor (`silence`) acts on a process that makes none; `Onlooking` says so to whoever looks at the run from outside.

Reads   the counters laps, parts, busy_laps, long_call and pid, which their process alone writes, word by word (V1 of
        ipc/counters.py names the instruction)
"""

import time
from collections.abc import Callable
from typing import NamedTuple

import psutil

from ..ipc.calls import LongCall
from ..ipc.control import RUNNING
from ..ipc.counters import Counters
from ..ipc.dataplane import DataPlane
from ..ipc.shape import Member
from ..telemetry.verdict import Hindrance

# No onlooker calls a shorter time without progress a standstill.
_SHORTEST_S = 1.0
_GONE, _UNKNOWN = "gone", "unknown"


class Sign(NamedTuple):
    """What a process shows of its progress; `life` tells its lives apart."""

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


def read_sign(plane: DataPlane, member: Member, *, life: int, is_ready: bool) -> Sign:
    """A process's present sign."""
    counters = plane.counters(member)
    laps, parts, busy_laps = (counters.get(name) for name in ("laps", "parts", "busy_laps"))
    return Sign(life, is_ready, laps, parts, busy_laps, LongCall(counters.get("long_call")))


def standing_words(plane: DataPlane, member: Member, sign: Sign, seconds: float) -> str:
    """Says of a process that stands still for how long, and in what."""
    call, stage = sign.call if sign.is_ready else LongCall.START, plane.last_stage(member)
    doing = f"after stage {stage.label!r}" if stage is not None else "before its first stage"
    if call is not LongCall.NONE:
        doing = f"in its {call.label}"
    return f"{member.identity}: no progress for {seconds:.1f} s, {doing}"


class Onlooking:
    """Says which processes of a run are dead, or made no progress since the last look; it only reads."""

    def __init__(self, plane: DataPlane, clock: Callable[[], float] = time.monotonic) -> None:
        # Pages mapped now can still be read after the run has ended.
        self._plane, self._clock, self._stop = plane, clock, plane.stop_word()
        self._seen: dict[Member, _Seen] = {}

    def look(self) -> list[Hindrance]:
        """What keeps the figures since the last look from showing the run as it is while everybody works."""
        now_s, plane = self._clock(), self._plane
        states = {member: _state(plane.counters(member)) for member in plane.shape.members()}
        found = [
            Hindrance(each.role, words) for each, state in states.items() if (words := self._see(each, state, now_s))
        ]
        if self._stop.stage() != RUNNING:
            return [Hindrance(None, "the run is stopping")]
        if found and set(states.values()) - {_GONE} == {psutil.STATUS_STOPPED}:
            return [Hindrance(None, "the run is paused: all of its processes are stopped")]
        return found

    def _see(self, member: Member, state: str, now_s: float) -> str:
        """Takes a process's sign in; returns what is to be said of it, or ""."""
        pid = self._plane.counters(member).get("pid")
        sign = read_sign(self._plane, member, life=pid, is_ready=state != _GONE)
        seen = self._seen.setdefault(member, _Seen(sign, now_s))
        former = seen.take(sign, now_s)
        if not sign.is_ready and (former.is_ready or sign.laps == former.laps):
            is_starting = sign.call is LongCall.START or not pid
            return f"{member.identity}: {'is starting' if is_starting else f'has ended (it was pid {pid})'}"
        if former.life not in (0, pid):
            return f"{member.identity}: was started again in this time"
        if now_s - seen.since_s < _SHORTEST_S:
            return ""
        words = standing_words(self._plane, member, sign, now_s - seen.since_s)
        if seen.longest_s >= _SHORTEST_S:
            words += f" (its longest lap so far: {seen.longest_s:.1f} s)"
        return f"{words}; it is stopped, SIGCONT to {pid} continues it" if state == psutil.STATUS_STOPPED else words


class _Seen:
    """The last sign of a process that was new, and when it was seen."""

    def __init__(self, sign: Sign, now_s: float) -> None:
        self._sign, self.since_s, self.longest_s = sign, now_s, 0.0

    def take(self, sign: Sign, now_s: float) -> Sign:
        """Takes a sign in; returns the one before."""
        former = self._sign
        if sign.progress != former.progress:
            if sign.life == former.life and former.is_ready and former.call is LongCall.NONE:
                self.longest_s = max(self.longest_s, now_s - self.since_s)
            self._sign, self.since_s = sign, now_s
        return former


def _state(counters: Counters) -> str:
    """The state of a process by psutil's name; _GONE if it has ended or not begun, _UNKNOWN in a serial run."""
    pid = counters.get("pid")
    if not pid:
        return _UNKNOWN if counters.get("ready") else _GONE
    try:
        state = str(psutil.Process(pid).status())
    except psutil.Error:
        return _GONE
    return _GONE if state == psutil.STATUS_ZOMBIE else state

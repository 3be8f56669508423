"""Moment: everything that can be counted of a live pipeline at one time; two of them make a report."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ..ipc.dataplane import DataPlane
from ..ipc.shape import Member
from ..ipc.stages import StageReading

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
# Fields of /proc/PID/stat, counted from the one after the name: user and system time.
_USER_TIME, _SYSTEM_TIME = 11, 12


class ProcessorTime(NamedTuple):
    """Of one process, in seconds; a member that was started again is another process."""

    pid: int
    seconds: float


@dataclass(frozen=True)
class Moment:
    """Counts since the start of the session."""

    time_s: float
    members: tuple[Member, ...]
    stages: StageReading
    # Processor time; a process that cannot be looked at is left out.
    cpu: Mapping[Member, ProcessorTime]


def read_moment(plane: DataPlane) -> Moment:
    """The pipeline as it stands; only reads."""
    members = tuple(plane.shape.members())
    pids = {member: plane.counters(member).get("pid") for member in members}
    cpu = {member: ProcessorTime(pid, seconds) for member, pid in pids.items() if (seconds := _cpu_s(pid)) is not None}
    return Moment(time.monotonic(), members, plane.read_stages(), cpu)


def _cpu_s(pid: int) -> float | None:
    if pid == 0:
        return None
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None  # it ended a moment ago
    return (int(fields[_USER_TIME]) + int(fields[_SYSTEM_TIME])) / _TICKS_PER_S

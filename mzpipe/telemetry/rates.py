"""Rates: how much the whole pipeline did per second, over a measurement and over its intervals.

Shape legend    P processes   S stages
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import psutil

from ..ipc.counters import Counters
from ..ipc.dataplane import DataPlane
from ..ipc.roles import Role
from ..ipc.shape import Member
from ..ipc.stages import Stage, StageReading

# A last interval shorter than this is joined to the one before: it would show little but chance.
_SHORTEST_S = 0.4


class ProcessorTime(NamedTuple):
    """The processor time of one process, in seconds; a member that was started again is another process."""

    pid: int
    seconds: float


class DeviceTime(NamedTuple):
    """For how long one process queued work on its GPU, and the GPU did it, in seconds."""

    launching: float = 0.0
    working: float = 0.0

    def since(self, earlier: "DeviceTime") -> "DeviceTime":
        """The time since `earlier`."""
        return DeviceTime(self.launching - earlier.launching, self.working - earlier.working)


# Roles that may have a GPU.
_ON_DEVICES = (Role.LEARNER, Role.INFERENCE)


@dataclass(frozen=True)
class Moment:
    """The pipeline's counts since the start of the session, at one moment."""

    time_s: float
    members: tuple[Member, ...]
    stages: StageReading
    # Processor time; a process that cannot be inspected is left out.
    cpu: Mapping[Member, ProcessorTime]
    # Only of processes that have used a GPU.
    devices: Mapping[Member, DeviceTime] = field(default_factory=dict)


def read_moment(plane: DataPlane, now_s: float | None = None) -> Moment:
    """The present moment of a pipeline, `now_s` by a clock of the caller's; only reads."""
    members = tuple(plane.shape.members())
    pids = {member: plane.counters(member).get("pid") for member in members}
    cpu = {member: ProcessorTime(pid, seconds) for member, pid in pids.items() if (seconds := _cpu_s(pid)) is not None}
    times = {member: _device_time(plane.counters(member)) for member in members if member.role in _ON_DEVICES}
    devices = {member: each for member, each in times.items() if each.working}
    return Moment(time.monotonic() if now_s is None else now_s, members, plane.read_stages(), cpu, devices)


def _device_time(counters: Counters) -> DeviceTime:
    return DeviceTime(counters.value("launch_time"), counters.value("device_time"))


def _cpu_s(pid: int) -> float | None:
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return None  # it has not begun, or has just ended
    return times.user + times.system


class Count(NamedTuple):
    """Items of every stage since the start of the session: a small part of a Moment, cheap to keep in numbers."""

    time_s: float
    items_S: np.ndarray

    @classmethod
    def of(cls, moment: Moment) -> "Count":
        """The counts of a moment."""
        return cls(moment.time_s, moment.stages.items_PS.sum(axis=0))


class Rates(NamedTuple):
    """The rates of the whole pipeline; a learner step counts once, however many ranks take part in it."""

    env_steps_per_s: float
    simulations_per_s: float
    learner_steps_per_s: float


class RatePoint(NamedTuple):
    """The rates of one interval, which is in seconds since the first count."""

    begin_s: float
    end_s: float
    rates: Rates


def read_count(plane: DataPlane) -> Count:
    """The pipeline's present counts; only reads."""
    return Count(time.monotonic(), plane.read_stages().items_PS.sum(axis=0))


def rates_of(items_S: np.ndarray, ranks: int, seconds: float) -> Rates:
    """The rates of what was counted in `seconds`."""
    # A search takes one answer more than it has simulations: the root's.
    simulations = int(items_S[Stage.TREE] - items_S[Stage.ROOT_SEARCH])
    return Rates(
        env_steps_per_s=int(items_S[Stage.ENV_STEP]) / seconds,
        simulations_per_s=simulations / seconds,
        learner_steps_per_s=int(items_S[Stage.OPTIMIZER]) / max(ranks, 1) / seconds,
    )


def rates_over_time(counts: Sequence[Count], ranks: int) -> tuple[RatePoint, ...]:
    """The rates from each count to the next; a short last interval is joined to the one before."""
    kept, last = list(counts[:-1]), counts[-1]
    while len(kept) > 1 and last.time_s - kept[-1].time_s < _SHORTEST_S:
        kept.pop()
    begin_s = kept[0].time_s
    return tuple(
        RatePoint(
            then.time_s - begin_s,
            now.time_s - begin_s,
            rates_of(now.items_S - then.items_S, ranks, now.time_s - then.time_s),
        )
        for then, now in zip(kept, [*kept[1:], last], strict=True)
    )

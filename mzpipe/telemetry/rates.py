"""Rates: what the whole pipeline did in a second, over a measurement and at intervals of it.

Shape legend    P processes   S stages
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import psutil

from ..ipc.dataplane import DataPlane
from ..ipc.roles import Role
from ..ipc.shape import Member
from ..ipc.stages import Stage, StageReading


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
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return None  # it has not begun, or ended a moment ago
    return times.user + times.system


class StageName(NamedTuple):
    """One stage for people."""

    name: str
    role: Role
    unit: str


STAGE_NAMES = {
    Stage.ENV_STEP: StageName("env step", Role.ACTOR, "env steps"),
    Stage.ROOT_SEARCH: StageName("root search", Role.ACTOR, "searches"),
    Stage.TREE: StageName("select/backup", Role.ACTOR, "simulations"),
    Stage.TRAJECTORY_WRITE: StageName("trajectory write", Role.ACTOR, "transitions"),
    Stage.INFERENCE_GATHER: StageName("inference gather", Role.INFERENCE, "requests"),
    Stage.INFERENCE_DEVICE: StageName("inference device", Role.INFERENCE, "requests"),
    Stage.INFERENCE_REPLY: StageName("reply", Role.INFERENCE, "requests"),
    Stage.REPLAY_INSERT: StageName("replay insert", Role.REPLAY, "transitions"),
    Stage.REPLAY_SAMPLE: StageName("sample", Role.REPLAY, "samples"),
    Stage.REANALYZE: StageName("reanalyze", Role.REANALYZER, "positions"),
    Stage.BATCH_COPY: StageName("batch copy", Role.LEARNER, "batches"),
    Stage.FORWARD: StageName("learner forward", Role.LEARNER, "steps"),
    Stage.BACKWARD: StageName("learner backward", Role.LEARNER, "steps"),
    Stage.OPTIMIZER: StageName("learner optimiser", Role.LEARNER, "steps"),
    Stage.PUBLISH: StageName("publish", Role.LEARNER, "versions"),
    Stage.EVALUATION: StageName("evaluation", Role.EVALUATOR, "env steps"),
}

# Of each role whose work can hold the pipeline back: the stage whose items count its progress.
PROGRESS = {
    Role.ACTOR: Stage.ENV_STEP,
    Role.INFERENCE: Stage.INFERENCE_REPLY,
    Role.REPLAY: Stage.REPLAY_INSERT,
    Role.REANALYZER: Stage.REANALYZE,
    Role.LEARNER: Stage.OPTIMIZER,
}


def stages_of(role: Role) -> dict[str, Stage]:
    """A role's stages by name."""
    return {each.name: stage for stage, each in STAGE_NAMES.items() if each.role == role}


# The last interval is as long as the measurement leaves it: a shorter one would show little but chance.
_SHORTEST_S = 0.4


class Count(NamedTuple):
    """Items of every stage since the start of the session: the part of a Moment that is cheap to keep many of."""

    time_s: float
    items_S: np.ndarray

    @classmethod
    def of(cls, moment: Moment) -> "Count":
        """What was counted at a moment."""
        return cls(moment.time_s, moment.stages.items_PS.sum(axis=0))


class Rates(NamedTuple):
    """Of the whole pipeline; a learner step is one, however many ranks take part in it."""

    env_steps_per_s: float
    simulations_per_s: float
    learner_steps_per_s: float


class RatePoint(NamedTuple):
    """Rates of one interval, in seconds since the first count."""

    begin_s: float
    end_s: float
    rates: Rates


def read_count(plane: DataPlane) -> Count:
    """The pipeline's counts as they stand; only reads."""
    return Count(time.monotonic(), plane.read_stages().items_PS.sum(axis=0))


def rates_of(items_S: np.ndarray, ranks: int, seconds: float) -> Rates:
    """Rates of what was counted in so many seconds."""
    # A search takes an answer more than it has simulations: the root's.
    simulations = int(items_S[Stage.TREE] - items_S[Stage.ROOT_SEARCH])
    return Rates(
        env_steps_per_s=int(items_S[Stage.ENV_STEP]) / seconds,
        simulations_per_s=simulations / seconds,
        learner_steps_per_s=int(items_S[Stage.OPTIMIZER]) / max(ranks, 1) / seconds,
    )


def rates_over_time(counts: Sequence[Count], ranks: int) -> tuple[RatePoint, ...]:
    """Rates from each count to the next; what would be a short last interval is part of the one before."""
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

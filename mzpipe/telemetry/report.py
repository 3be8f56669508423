"""ProfileReport: compares two moments of a pipeline.

The parts busy, wait_in, wait_out and other of a process add up to its time. A
stage's busy is its part of the time of the processes that run it; its waits are
those of these processes, and `elsewhere` is what they spent on other things. So
these four add up as well.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from ..ipc.roles import Role
from ..ipc.shape import Member
from ..ipc.stages import Stage, StageReading, quantile_us
from .rates import Count, DeviceTime, Moment, RatePoint, rates_of, rates_over_time
from .verdict import DeviceUse, Hindrance, RoleUse, Verdict, judge

# Fields of a report that are not written to its file.
_OF_THE_PAGE = ("roles", "histograms", "over_time")
# Stages in which a role's process launches work on its device, and waits for it.
_ON_DEVICES = {
    Role.INFERENCE: (Stage.INFERENCE_DEVICE,),
    Role.LEARNER: (Stage.FORWARD, Stage.BACKWARD, Stage.OPTIMIZER),
}


@dataclass(frozen=True)
class StageUse:
    """One stage, over all processes that run it; parts are fractions of these processes' time."""

    role: Role
    items_per_s: float
    unit: str
    busy: float
    wait_in: float
    wait_out: float
    elsewhere: float
    # The time of one call, which handles many items at once; None if there was no call.
    p50_us: float | None
    p99_us: float | None


@dataclass(frozen=True)
class ProcessUse:
    """One process; the first four parts are fractions of the time that it accounts for, and add up to 1."""

    busy: float
    wait_in: float
    wait_out: float
    other: float
    # That time over the time that passed: about 1, because calls may begin or end outside; less for a dead process.
    accounted: float
    # In cores; None if it is unknown.
    cpu: float | None


@dataclass(frozen=True)
class ProfileReport:
    """The work and waits of a pipeline between two moments."""

    seconds: float
    cores: int
    env_steps_per_s: float
    simulations_per_s: float
    learner_steps_per_s: float
    samples_per_insert: float | None
    stages: Mapping[str, StageUse]
    processes: Mapping[str, ProcessUse]
    verdict: Verdict
    # Shown only on the page: processes of one role together, calls of every stage by bucket, rates over time.
    roles: Mapping[Role, RoleUse]
    histograms: Mapping[str, np.ndarray]
    over_time: tuple[RatePoint, ...] = ()

    @property
    def devices(self) -> dict[Role, DeviceUse]:
        """The roles whose processes have used a GPU."""
        return {role: use.device for role, use in self.roles.items() if use.device is not None}

    def as_json(self) -> dict[str, Any]:
        """The fields for a file; their names are a contract (`bottleneck` is a stage's name)."""
        fields = {name: value for name, value in asdict(self).items() if name not in _OF_THE_PAGE}
        if self.devices:
            fields["devices"] = {role: use._asdict() for role, use in self.devices.items()}
        fields["bottleneck"] = self.verdict.stage
        return {**fields, "verdict": self.verdict.sentence, "predicted_speedup": self.verdict.predicted_speedup}


def make_report(
    first: Moment,
    last: Moment,
    cores: int,
    between: Sequence[Count] = (),
    *,
    lacking: Collection[Role] = (),
    hindrances: Sequence[Hindrance] = (),
) -> ProfileReport:
    """The report on two moments of one session, on a machine with `cores` cores; see `judge` for the others.

    With the counts `between` them the report has rates over time.
    """
    seconds = last.time_s - first.time_s
    cpu = {
        member: (now.seconds - then.seconds) / seconds
        for member, now in last.cpu.items()
        if (then := first.cpu.get(member)) is not None and then.pid == now.pid
    }
    devices = {member: now.since(first.devices.get(member, DeviceTime())) for member, now in last.devices.items()}
    change = _Change(last.members, last.stages.since(first.stages), cpu, devices, seconds)
    report = _report(change, cores, lacking, hindrances)
    counts = [Count.of(first), *between, Count.of(last)]
    return replace(report, over_time=rates_over_time(counts, len(_rows_of(last.members, Role.LEARNER))))


def whole_report(last: Moment, cores: int, *, lacking: Collection[Role] = ()) -> ProfileReport:
    """The report on a session up to a moment, after which its processes may have died; processor times are unknown.

    The session is as long as the longest time that a process accounts for.
    """
    seconds = max(float(last.stages.accounted_P.max()), 1e-9)
    return _report(_Change(last.members, last.stages, {}, last.devices, seconds), cores, lacking)


class _Change(NamedTuple):
    """What happened between two moments; `cpu` is in cores."""

    members: Sequence[Member]
    stages: StageReading
    cpu: Mapping[Member, float]
    devices: Mapping[Member, DeviceTime]
    seconds: float


def _report(
    all_of: _Change, cores: int, lacking: Collection[Role], hindrances: Sequence[Hindrance] = ()
) -> ProfileReport:
    members, change, cpu, _, seconds = all_of
    parts = _Parts(change, seconds)
    rows_by_stage = {stage: rows for stage in Stage if (rows := _rows_of(members, stage.role))}
    histograms = {stage.label: change.histogram_PSB[rows, stage].sum(axis=0) for stage, rows in rows_by_stage.items()}
    stages = {
        stage.label: _stage_use(stage, rows, change, parts, histograms[stage.label], seconds)
        for stage, rows in rows_by_stage.items()
    }
    processes = {
        member.identity: ProcessUse(
            float(parts.busy_P[row]),
            float(parts.wait_in_P[row]),
            float(parts.wait_out_P[row]),
            float(parts.other_P[row]),
            float(parts.accounted_P[row]),
            cpu.get(member),
        )
        for row, member in enumerate(members)
    }
    items_S = change.items_PS.sum(axis=0)
    rates = rates_of(items_S, len(_rows_of(members, Role.LEARNER)), seconds)
    roles = _role_uses(all_of, parts, stages)
    inserted, sampled = int(items_S[Stage.REPLAY_INSERT]), int(items_S[Stage.REPLAY_SAMPLE])
    return ProfileReport(
        seconds=seconds,
        cores=cores,
        env_steps_per_s=rates.env_steps_per_s,
        simulations_per_s=rates.simulations_per_s,
        learner_steps_per_s=rates.learner_steps_per_s,
        samples_per_insert=sampled / inserted if inserted else None,
        stages=stages,
        processes=processes,
        verdict=judge(roles, cores, lacking=lacking, hindrances=hindrances),
        roles=roles,
        histograms=histograms,
    )


class _Parts:
    """Fractions of the time that each process accounts for; zeros if it accounts for none."""

    def __init__(self, change: StageReading, seconds: float) -> None:
        accounted_P = change.accounted_P
        self.accounted_P = accounted_P / seconds
        divisor_P = np.where(accounted_P > 0.0, accounted_P, np.inf)
        self.wait_in_P, self.wait_out_P = change.wait_in_P / divisor_P, change.wait_out_P / divisor_P
        self.other_P = change.other_P / divisor_P
        self.busy_PS = change.busy_PS / divisor_P[:, None]
        self.busy_P = self.busy_PS.sum(axis=1)


def _stage_use(
    stage: Stage, rows: list[int], change: StageReading, parts: _Parts, histogram_B: np.ndarray, seconds: float
) -> StageUse:
    busy, wait_in, wait_out = (
        float(part.mean()) for part in (parts.busy_PS[rows, stage], parts.wait_in_P[rows], parts.wait_out_P[rows])
    )
    return StageUse(
        role=stage.role,
        items_per_s=float(change.items_PS[rows, stage].sum()) / seconds,
        unit=stage.unit,
        busy=busy,
        wait_in=wait_in,
        wait_out=wait_out,
        elsewhere=max(0.0, 1.0 - busy - wait_in - wait_out),
        p50_us=quantile_us(histogram_B, 0.5),
        p99_us=quantile_us(histogram_B, 0.99),
    )


def _rows_of(members: Sequence[Member], role: Role) -> list[int]:
    return [row for row, member in enumerate(members) if member.role == role]


def _role_uses(change: _Change, parts: _Parts, stages: Mapping[str, StageUse]) -> dict[Role, RoleUse]:
    uses = {}
    for role in dict.fromkeys(member.role for member in change.members):
        rows = _rows_of(change.members, role)
        own = {name: use.busy for name, use in stages.items() if use.role == role}
        uses[role] = RoleUse(
            processes=len(rows),
            working=float((parts.busy_P[rows] + parts.other_P[rows]).mean()),
            wait_in=float(parts.wait_in_P[rows].mean()),
            wait_out=float(parts.wait_out_P[rows].mean()),
            cpu=sum(cores for member, cores in change.cpu.items() if member.role == role),
            stage=max(own, key=lambda name: own[name]),
            device=_device_use(change, parts, role),
        )
    return uses


def _device_use(change: _Change, parts: _Parts, role: Role) -> DeviceUse | None:
    rows = [row for row in _rows_of(change.members, role) if change.members[row] in change.devices]
    times_R2 = np.array([change.devices[change.members[row]] for row in rows])
    accounted_R = parts.accounted_P[rows] * change.seconds
    if not rows or not times_R2[:, 1].any() or not accounted_R.all():
        return None
    launching, device = (float(part) for part in (times_R2 / accounted_R[:, None]).mean(axis=0))
    elsewhere = parts.busy_P[rows] + parts.other_P[rows] - parts.busy_PS[rows][:, _ON_DEVICES[role]].sum(axis=1)
    return DeviceUse(device, launching, launching + float(elsewhere.mean()))

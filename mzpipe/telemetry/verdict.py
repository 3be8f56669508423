"""Verdict: says which stage holds a pipeline back, and what one more process of its role would give."""

from collections.abc import Mapping
from typing import NamedTuple

from ..ipc.roles import Role

# Above this part of all cores in use, no process can be added without taking time from another.
_MACHINE_IS_FULL = 0.9

# For each role that can have several processes: the field to set, and what that adds.
_REMEDIES = {
    Role.ACTOR: ("topology.actors", "another actor"),
    Role.INFERENCE: ("inference.devices", "another inference server"),
    Role.REANALYZER: ("topology.reanalyzers", "another reanalyzer"),
    Role.LEARNER: ("learner.devices", "another learner rank"),
}
# The evaluator plays outside the pipeline: no process waits for it.
_BESIDE = Role.EVALUATOR


class RoleUse(NamedTuple):
    """All processes of one role; parts are fractions of their time, cpu is in cores."""

    processes: int
    working: float
    wait_in: float
    wait_out: float
    cpu: float
    # The role's stage that takes most of its time.
    stage: str


class Verdict(NamedTuple):
    """Why the pipeline is not faster."""

    stage: str
    role: Role
    # How many times as fast the pipeline would be with one more process of the role; 1 if that would not help.
    predicted_speedup: float
    sentence: str


def judge(uses: Mapping[Role, RoleUse], cores: int, *, another_rank: bool = True) -> Verdict:
    """Finds the role whose processes wait least, and predicts what one more process of it would give.

    `another_rank` says whether there is a device for one more rank of the learner.
    The prediction assumes that the work per item stays. Then each other role can reach rate / working, the role itself
    as much with one more process, and the cores bound all of them together.
    """
    role = max((role for role in uses if role != _BESIDE), key=lambda role: uses[role].working)
    use, cpu = uses[role], sum(each.cpu for each in uses.values())
    bounds = {
        name: 1.0 / each.working for name, each in uses.items() if name not in (role, _BESIDE) and each.working > 0.0
    }
    own = (use.processes + 1) / use.processes / use.working if use.working > 0.0 else 1.0
    by_cores = cores / cpu if cpu > 0.0 else float("inf")
    is_full = cpu >= _MACHINE_IS_FULL * cores
    has_device = another_rank or role != Role.LEARNER
    can_grow = role in _REMEDIES and has_device and not is_full
    speedup = max(1.0, min([own, by_cores, *bounds.values()])) if can_grow else 1.0
    waits = ", ".join(
        f"{name}s wait {each.wait_in + each.wait_out:.0%}"
        for name, each in uses.items()
        if name in (Role.ACTOR, Role.LEARNER) and name != role
    )
    begin = f"{role}-bound: {use.working:.0%} busy, mostly with {use.stage}"
    advice = _advice(role, use, uses, cpu, cores, speedup, is_full=is_full, has_device=has_device)
    return Verdict(use.stage, role, speedup, "; ".join(filter(None, [begin, waits, advice])))


def _advice(
    role: Role,
    use: RoleUse,
    uses: Mapping[Role, RoleUse],
    cpu: float,
    cores: int,
    speedup: float,
    *,
    is_full: bool,
    has_device: bool,
) -> str:
    if is_full:
        first = sorted(uses, key=lambda name: -uses[name].cpu)[:3]
        shares = ", ".join(f"{name} {uses[name].cpu:.2f}" for name in first)
        return (
            f"the processors are the limit: {cpu:.2f} of {cores} cores are in use ({shares}), "
            "so only less work per item would help"
        )
    if role not in _REMEDIES:
        return "there can be only one such process: less work per item would help"
    field, what = _REMEDIES[role]
    if not has_device:
        return f"there is no device for {what} ({field}, now {use.processes}): less work per item would help"
    return f"{what} ({field}, now {use.processes}) would give about +{speedup - 1.0:.0%}"

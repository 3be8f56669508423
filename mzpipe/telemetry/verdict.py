"""Verdict: says which stage holds a pipeline back, and what one more process of its role would give."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from ..format import percent
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
# Roles of which two processes may share a GPU, each with launches of its own. A second rank of the learner launches as
# much for half a batch.
_SHARING = (Role.INFERENCE,)
# What makes a role's host launch less, and its batches larger.
_LAUNCHES_LESS = {
    Role.INFERENCE: "captured graphs (a note at the start says where a capture failed) launch less, and larger batches "
    "(topology.trees_per_lane, topology.lanes_per_actor) cost the host no more",
    Role.LEARNER: "learner.cuda_graphs or learner.compile launches less, and a larger learner.batch_size costs the "
    "host no more",
}
# The evaluator plays outside the pipeline: no process waits for it.
_BESIDE = Role.EVALUATOR
# A verdict names this many processes that do not work.
_NAMED = 3


class DeviceUse(NamedTuple):
    """A role's GPUs; parts of its processes' time, which overlap."""

    # In which the GPU worked on what the process had queued, by events.
    device: float
    # In which the process queued that.
    launching: float
    # In which the process worked, launches included, without its waits for the GPU.
    host: float

    @property
    def is_launch_bound(self) -> bool:
        """Whether the host takes longer for a batch than the GPU."""
        return self.host >= self.device

    def words(self) -> str:
        """A text such as "launch-bound: the host works 93% of the time (launching 80%), the GPU 40%"."""
        kind = "launch-bound" if self.is_launch_bound else "compute-bound"
        return (
            f"{kind}: the host works {percent(self.host)} of the time (launching {percent(self.launching)}), "
            f"the GPU {percent(self.device)}"
        )


class RoleUse(NamedTuple):
    """All processes of one role; parts are fractions of their time, cpu is in cores."""

    processes: int
    working: float
    wait_in: float
    wait_out: float
    cpu: float
    # The role's stage that takes most of its time.
    stage: str
    # None without a GPU.
    device: DeviceUse | None = None


class Verdict(NamedTuple):
    """Why the pipeline is not faster."""

    stage: str
    role: Role
    # How many times as fast the pipeline would be with one more process of the role; 1 if that would not help.
    predicted_speedup: float
    sentence: str


class Hindrance(NamedTuple):
    """Why the figures do not show what limits a pipeline at work; no role: the whole run does not work."""

    role: Role | None
    words: str


def judge(
    uses: Mapping[Role, RoleUse],
    cores: int,
    *,
    lacking: Collection[Role] = (),
    hindrances: Sequence[Hindrance] = (),
) -> Verdict:
    """Finds the role whose processes wait least, and predicts what one more process of it would give.

    `lacking` are the roles that have a process on every GPU already. If there are hindrances, the verdict names them
    instead; nobody waits for the evaluator, so its own only come last.
    The prediction assumes that the work per item stays. Then each other role can reach rate / working, the role itself
    as much with one more process, and the cores bound all of them together.
    """
    role = max((role for role in uses if role != _BESIDE), key=lambda role: uses[role].working)
    grave = [each for each in hindrances if each.role != _BESIDE]
    if grave:
        role = grave[0].role or role
        return Verdict(uses[role].stage, role, 1.0, _named(grave))
    use = uses[role]
    waits = ", ".join(
        f"{name}s wait {each.wait_in + each.wait_out:.0%}"
        for name, each in uses.items()
        if name in (Role.ACTOR, Role.LEARNER) and name != role
    )
    begin = f"{role}-bound: {use.working:.0%} busy, mostly with {use.stage}"
    cpu = sum(each.cpu for each in uses.values())
    if cpu >= _MACHINE_IS_FULL * cores and not (use.device and not use.device.is_launch_bound):
        speedup, advice = 1.0, _full(uses, cpu, cores)
    else:
        speedup, advice = _one_more(role, uses, cores / cpu if cpu > 0.0 else float("inf"), role in lacking)
    device = use.device.words() if use.device else ""
    return Verdict(
        use.stage, role, speedup, "; ".join(filter(None, [begin, waits, device, advice, _named(hindrances)]))
    )


def _named(hindrances: Sequence[Hindrance]) -> str:
    more = [f"and {len(hindrances) - _NAMED} more"] if len(hindrances) > _NAMED else []
    return "; ".join([*(each.words for each in hindrances[:_NAMED]), *more])


def _full(uses: Mapping[Role, RoleUse], cpu: float, cores: int) -> str:
    first = sorted(uses, key=lambda name: -uses[name].cpu)[:3]
    shares = ", ".join(f"{name} {uses[name].cpu:.2f}" for name in first)
    return (
        f"the processors are the limit: {cpu:.2f} of {cores} cores are in use ({shares}), "
        "so only less work per item would help"
    )


def _one_more(role: Role, uses: Mapping[Role, RoleUse], by_cores: float, is_lacking: bool) -> tuple[float, str]:
    """How many times as fast the pipeline would be with one more process of the role, and what to do."""
    if role not in _REMEDIES:
        return 1.0, "there can be only one such process: less work per item would help"
    use, (field, what) = uses[role], _REMEDIES[role]
    others = _less_work(role, use.device)
    if not _would_help(role, use.device, is_lacking):
        no_device = f"there is no device for {what} ({field}, now {use.processes})" if is_lacking else ""
        return 1.0, ": ".join(filter(None, [no_device, others]))
    own = (use.processes + 1) / use.processes / use.working if use.working > 0.0 else 1.0
    bounds = [1.0 / each.working for name, each in uses.items() if name not in (role, _BESIDE) and each.working > 0.0]
    by_device = 1.0 / use.device.device if use.device and is_lacking else float("inf")
    speedup = max(1.0, min([own, by_cores, by_device, *bounds]))
    gain = f"{what} ({field}, now {use.processes}) would give about +{speedup - 1.0:.0%}"
    return speedup, gain if use.device is None else f"{gain}; {others}"


def _would_help(role: Role, device: DeviceUse | None, is_lacking: bool) -> bool:
    """Whether one more process would have something to launch from, or something to launch on."""
    if device is not None and device.is_launch_bound:
        return role in _SHARING
    return not is_lacking or (device is None and role in _SHARING)


def _less_work(role: Role, device: DeviceUse | None) -> str:
    if device is None:
        return "less work per item would help"
    if device.is_launch_bound:
        return _LAUNCHES_LESS[role]
    return f'larger batches do not help, a smaller network, {role}.precision="bfloat16" or a faster GPU does'

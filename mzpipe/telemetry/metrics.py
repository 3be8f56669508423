"""Metrics: declares every curve of a run once; TensorBoard, the views and docs/metrics.md derive from METRICS.

Words in capitals stand for a family of curves: `learner/value_error/K` has one curve for every unroll step.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Generic, NamedTuple, TypeVar

from ..config import Profile
from ..ipc.counters import BY_NAME
from ..ipc.dataplane import DataPlane
from ..ipc.diagnostics import DIAGNOSTICS, Diagnostic
from ..ipc.roles import Role
from ..ipc.shape import Member
from ..ipc.stages import Stage
from .gpus import GpuUse
from .report import StageUse
from .verdict import DeviceUse


@dataclass(frozen=True)
class Recent:
    """A run's last seconds and its present state; counters are in their units."""

    profile: Profile
    plane: DataPlane
    seconds: float
    totals: Mapping[str, float]
    # The change of the totals in these seconds.
    change: Mapping[str, float]
    # Stages by label; empty if no time has passed.
    stages: Mapping[str, StageUse]
    # The machine's GPUs by their number in nvidia-smi.
    gpus: Mapping[str, GpuUse]
    # Roles whose processes have used a GPU; empty if no time has passed.
    devices: Mapping[Role, DeviceUse]

    def rate(self, counter: str) -> float:
        """How much a counter grows per second; for a counter of seconds, the part of the time."""
        return self.change[counter] / self.seconds

    def mean(self, counter: str, number: str) -> float | None:
        """How much one counter grew per step of another; None if the other did not grow."""
        return _ratio(self.change[counter], self.change[number])

    def first(self, role: Role, counter: str) -> float:
        """A counter of a role's first process."""
        return self.plane.counters(Member(role, 0)).value(counter)

    def fill(self, role: Role) -> float | None:
        """The fullest of the rings that a role's processes write into."""
        members = [member for member in self.plane.shape.members() if member.role == role]
        return max((self.plane.counters(member).value("queue_fill") for member in members), default=None)


class When(NamedTuple):
    """When a metric exists, in words and as a test."""

    words: str
    holds: Callable[[Any], bool]


_ALWAYS = When("", lambda source: True)
_REANALYZE = When("with reanalyzers", lambda recent: recent.plane.shape.reanalyzers > 0)
_PODS = When("with `cluster.pods`", lambda recent: recent.plane.shape.pods > 0)
_CONSISTENCY = When("with `network.consistency`", lambda recent: recent.profile.network.consistency)
_RECONSTRUCTION = When("with `network.reconstruction`", lambda recent: recent.profile.network.reconstruction)
_RESIGN = When("with `actor.resign_below`", lambda recent: recent.profile.actor.resign_below is not None)
_CHANCE = When("with `network.chance_codes`", lambda recent: recent.profile.network.chance_codes > 0)
_GPUS = When("with an NVIDIA GPU", lambda recent: bool(recent.gpus))
_DEVICES = When("with the role on a GPU", lambda recent: bool(recent.devices))
_DIAGNOSED = When(
    "every `learner.diagnostics_interval` steps", lambda recent: recent.plane.diagnostics()["learner_steps"][0] > 0
)

Source = TypeVar("Source")
Values = Mapping[str, float | None]


@dataclass(frozen=True)
class Metric(Generic[Source]):
    """One curve, or a family of curves, one for each value of the capitals in its tag."""

    tag: str
    unit: str
    meaning: str
    # None if there was nothing to measure.
    value: Callable[[Source], float | Values | None]
    when: When = _ALWAYS
    # The least and greatest value in a healthy run.
    healthy: tuple[float, float] | None = None

    def read(self, source: Source) -> Values:
        """The metric's value or values by tag; empty if it does not exist in this run."""
        if not self.when.holds(source):
            return {}
        value = self.value(source)
        if not isinstance(value, Mapping):
            return {self.tag: value}
        return {_CAPITALS.sub(key, self.tag): each for key, each in value.items()}

    def is_healthy(self, value: float) -> bool:
        """Whether a healthy run can have this value."""
        return self.healthy is None or self.healthy[0] <= value <= self.healthy[1]


_CAPITALS = re.compile("[A-Z]+")


def read(metrics: Iterable[Metric[Source]], source: Source) -> dict[str, float | None]:
    """The values of all these metrics by tag."""
    return {tag: value for metric in metrics for tag, value in metric.read(source).items()}


_NONE = (0.0, 0.0)
_TIME = "part of the time"


def _mean(tag: str, unit: str, counter: str, number: str, meaning: str = "", when: When = _ALWAYS) -> Metric[Recent]:
    return Metric(tag, unit, meaning or BY_NAME[counter].meaning, lambda recent: recent.mean(counter, number), when)


def _rate(tag: str, counter: str, unit: str, when: When = _ALWAYS) -> Metric[Recent]:
    return Metric(tag, unit, BY_NAME[counter].meaning, lambda recent: recent.rate(counter), when)


def _now(tag: str, unit: str, healthy: tuple[float, float] | None = None, when: When = _ALWAYS) -> Metric[Recent]:
    """The present value of a counter of a role's first process; the tag names both."""
    role, counter = tag.split("/")
    return Metric(tag, unit, BY_NAME[counter].meaning, lambda recent: recent.first(Role(role), counter), when, healthy)


def _loss(name: str, when: When = _ALWAYS) -> Metric[Recent]:
    return _mean(f"loss/{name}", "loss", f"loss_{name}", "loss_steps", when=when)


def _samples_per_insert(recent: Recent) -> float | None:
    """Samples per insert without the warm-up, in which nothing is sampled."""
    sampled, inserted = recent.totals["sampled"], recent.totals["inserted"]
    return _ratio(sampled, inserted - recent.profile.replay.min_size_to_sample) if sampled else None


def _stale_priorities(recent: Recent) -> float | None:
    stale = recent.change["stale_priorities"]
    return _ratio(stale, stale + recent.change["priority_updates"])


def _false_resigns(recent: Recent) -> float | None:
    return _ratio(recent.totals["false_resigns"], recent.totals["given_up"])


def _batch_mean(recent: Recent) -> float:
    return recent.mean("batch_rows", "batches") or 0.0


def _target(recent: Recent) -> float:
    return recent.profile.replay.samples_per_insert


def _reanalyzers_busy(recent: Recent) -> float:
    return recent.rate("busy") / recent.plane.shape.reanalyzers


def _ratio(numerator: float, denominator: float) -> float | None:
    return numerator / denominator if denominator > 0 else None


def _diagnostic(diagnostic: Diagnostic) -> Metric[Recent]:
    def values(recent: Recent) -> Values:
        numbers = recent.plane.diagnostics()[diagnostic.name].tolist()
        keys = diagnostic.per.keys(recent.plane.shape.num_unroll_steps)
        return {key: number for key, number in zip(keys, numbers, strict=True) if number or not diagnostic.per.may_lack}

    tag = f"learner/{diagnostic.name}{diagnostic.per.place}"
    return Metric(tag, diagnostic.unit, diagnostic.meaning, values, _DIAGNOSED)


class Row(NamedTuple):
    """A row of the live view: a stage, its rate, and how full the rings that it writes into are."""

    stage: Stage
    rate: Metric[Recent]
    fill: Metric[Recent] | None


def _row(
    stage: Stage, name: str, counter: str, items: str = "", fills: Role | None = None, when: When = _ALWAYS
) -> Row:
    """`name` stands for the stage in tags; `items` are what the counter counts, if not the stage's own items."""
    rate = _rate(f"stage/{name}/items_per_s", counter, f"{items or stage.unit}/s", when)
    tag, meaning = f"stage/{name}/queue_fill", f"{BY_NAME['queue_fill'].meaning}; near 1 its reader is slower"
    return Row(stage, rate, Metric(tag, "fraction", meaning, lambda recent: recent.fill(fills)) if fills else None)


ROWS = (
    _row(Stage.ENV_STEP, "actor", "env_steps", fills=Role.ACTOR),
    _row(Stage.TREE, "search", "simulations"),
    _row(Stage.INFERENCE_DEVICE, "inference", "batches", "batches"),
    _row(Stage.REPLAY_INSERT, "replay insert", "inserted"),
    _row(Stage.REPLAY_SAMPLE, "replay sample", "sampled", fills=Role.REPLAY),
    _row(Stage.REANALYZE, "reanalyze", "positions", when=_REANALYZE),
    _row(Stage.OPTIMIZER, "learner", "learner_steps"),
)


def _part(part: str, meaning: str) -> Metric[Recent]:
    def values(recent: Recent) -> Values:
        return {label: getattr(use, part) for label, use in recent.stages.items()}

    return Metric(f"stage/STAGE/{part}", _TIME, f"time {meaning}", values)


def _gpu(name: str, unit: str, meaning: str, field: str) -> Metric[Recent]:
    def values(recent: Recent) -> Values:
        return {number: getattr(use, field) for number, use in recent.gpus.items()}

    return Metric(f"perf/{name}/GPU", unit, f"{meaning}, by number in nvidia-smi", values, _GPUS)


def _device(name: str, meaning: str, field: str) -> Metric[Recent]:
    def values(recent: Recent) -> Values:
        return {role: getattr(use, field) for role, use in recent.devices.items()}

    return Metric(f"perf/{name}/ROLE", _TIME, f"time {meaning}", values, _DEVICES)


METRICS: tuple[Metric[Recent], ...] = (
    _mean("charts/episodic_return", "return", "episode_return", "episodes", "mean return of training games"),
    _mean("charts/episode_length", "env steps", "episode_length", "episodes", "mean length of training games"),
    _mean("resign/resigned", "fraction", "resigned", "episodes", when=_RESIGN),
    Metric(
        "resign/false",
        "fraction",
        "resignations that would have been wrong, by the games that are played out, over the session",
        _false_resigns,
        _RESIGN,
        healthy=(0.0, 0.05),
    ),
    *(_loss(name) for name in ("total", "policy", "value", "reward")),
    _loss("consistency", _CONSISTENCY),
    _loss("reconstruction", _RECONSTRUCTION),
    *(_loss(name, _CHANCE) for name in ("afterstate", "code", "commitment")),
    _rate("perf/env_steps_per_s", "env_steps", "env steps/s"),
    _rate("perf/simulations_per_s", "simulations", "simulations/s"),
    _rate("perf/learner_steps_per_s", "learner_steps", "steps/s"),
    Metric("perf/inference_batch_mean", "requests", "mean size of inference batches, in trees", _batch_mean),
    _gpu("gpu_busy", _TIME, "time in which a kernel ran", "busy"),
    _gpu("gpu_memory", "bytes", "memory in use, of all programs", "used_bytes"),
    _gpu("gpu_power", "W", "power", "watts"),
    _device("device_time", "in which the GPU worked for a process of the role, between events", "device"),
    _device("launch_time", "in which the process queued work on the GPU", "launching"),
    _device("host_time", "in which the process worked, without its waits for the GPU", "host"),
    Metric(
        "replay/transitions", "transitions", "size of the table", lambda recent: recent.first(Role.REPLAY, "stored")
    ),
    Metric("replay/samples_per_insert", "ratio", "samples per insert, over the run so far", _samples_per_insert),
    Metric("replay/samples_per_insert_target", "ratio", "`replay.samples_per_insert`, the limiter's goal", _target),
    *(_rate(f"replay/{name}_wait", f"{name}_wait", _TIME) for name in ("insert", "sample", "reanalyze", "learner")),
    _now("replay/refused", "transitions", _NONE),
    _now("replay/unjournaled", "transitions", _NONE),
    _now("replay/journal_bytes", "bytes"),
    Metric("replay/stale_priorities", "fraction", "new priorities whose positions were gone", _stale_priorities),
    _mean("replay/evicted", "fraction", "evicted", "handed_out"),
    _mean("staleness/weights_versions", "versions", "staleness", "handed_out", "mean age of the positions trained on"),
    _mean("staleness/targets", "versions", "target_age", "handed_out", "mean age of the targets' searches", _REANALYZE),
    _mean("reanalyze/fraction", "fraction", "reanalyzed", "handed_out", when=_REANALYZE),
    Metric("reanalyze/busy", _TIME, BY_NAME["busy"].meaning, _reanalyzers_busy, _REANALYZE),
    _mean("targets/value_error", "value", "value_error", "loss_steps"),
    Metric(
        "targets/clipped_fraction",
        "fraction",
        "targets outside the support; above this range the support is too narrow",
        lambda recent: recent.mean("clipped_targets", "targets"),
        healthy=(0.0, 0.01),
    ),
    _now("gateway/links", "pods", when=_PODS),
    _now("gateway/pod_lost", "transitions", _NONE, _PODS),
    _rate("gateway/transitions_per_s", "pod_transitions", "transitions/s", _PODS),
    _rate("gateway/bytes_in_per_s", "link_bytes_in", "bytes/s", _PODS),
    _rate("gateway/bytes_out_per_s", "link_bytes_out", "bytes/s", _PODS),
    _now("gateway/refused_pods", "joins", _NONE, _PODS),
    _now("learner/skipped_steps", "steps", _NONE),
    *(_diagnostic(diagnostic) for diagnostic in DIAGNOSTICS),
    *(metric for row in ROWS for metric in (row.rate, row.fill) if metric is not None),
    _part("busy", "that the stage's processes spent in it"),
    _part("wait_in", "in which the stage's processes had nothing to do"),
    _part("wait_out", "in which a full ring or the rate limiter held the stage's processes back"),
)

# Metrics of an `Evaluation`, placed on the x axis where its weights were published.
EVALUATION_METRICS: tuple[Metric[Any], ...] = (
    Metric("eval/return_mean", "return", "mean return of an evaluation's games", attrgetter("return_mean")),
    Metric("eval/return_std", "return", "standard deviation of these returns", attrgetter("return_std")),
    Metric(
        "eval/human_normalised",
        "fraction",
        "mean return on a scale from random play (0) to a person's play (1)",
        attrgetter("human_normalised"),
        When("for Atari games with published figures", lambda evaluation: evaluation.human_normalised is not None),
    ),
)

# Metrics of a checkpoint's `Rating`, written by `mzpipe elo`.
_BY_ELO = When("after `mzpipe elo`", lambda rating: True)
RATING_METRICS: tuple[Metric[Any], ...] = (
    Metric("eval/elo", "Elo", "strength of a checkpoint among the run's checkpoints", attrgetter("elo"), _BY_ELO),
    Metric("eval/elo_low", "Elo", "lower end of the interval of this strength", attrgetter("low"), _BY_ELO),
    Metric("eval/elo_high", "Elo", "upper end of the interval of this strength", attrgetter("high"), _BY_ELO),
)

BY_TAG = {metric.tag: metric for metric in METRICS}

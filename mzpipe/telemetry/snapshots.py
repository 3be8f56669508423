"""From counters to snapshots: what the supervisor shows and writes."""

import dataclasses
import time
from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from ..config import Profile
from ..ipc.counters import MILLION
from ..ipc.dataplane import DataPlane
from ..ipc.shape import Member
from ..ipc.slots import MODEL_PARTS
from ..runs.scores import Evaluation
from . import Snapshot, StageRate
from .rates import Moment, read_moment
from .report import make_report

# Rates are taken over this long, so that a single slow lap does not show.
_RATE_WINDOW_S = 10.0
_SUMS = {
    "actor": (
        "env_steps",
        "simulations",
        "episodes",
        "episode_return_millionths",
        "episode_length",
    ),
    "inference": ("batches", "batch_rows"),
    "replay": (
        "inserted",
        "sampled",
        "handed_out",
        "staleness_millionths",
        "target_age_millionths",
        "reanalyzed",
        "evicted",
        "refused",
        "stale_priorities",
        "priority_updates",
        "insert_wait_us",
        "sample_wait_us",
        "reanalyze_wait_us",
        "learner_wait_us",
        "unjournaled",
        "targets",
    ),
    "reanalyzer": ("positions", "busy_us"),
    "learner": (
        "learner_steps",
        "clipped_targets",
        "loss_steps",
        "loss_total_millionths",
        "loss_policy_millionths",
        "loss_value_millionths",
        "loss_reward_millionths",
        "loss_consistency_millionths",
        "value_error_millionths",
    ),
}
Totals = dict[str, int]


class Progress(NamedTuple):
    """What former sessions of a run have reached.

    `inserted`: transitions that a session which was killed had taken into its table; 0 where nobody knows.
    `began_s`: when the command that starts this session began, on the monotonic clock; None where it is not told.
    """

    env_steps: int
    learner_steps: int
    best_return_mean: float | None
    inserted: int = 0
    began_s: float | None = None


class SnapshotMaker:
    """Reads the counters; keeps the recent past for rates and means."""

    def __init__(self, profile: Profile, plane: DataPlane) -> None:
        self._profile, self._plane = profile, plane
        self._start_s = time.monotonic()
        self._past: deque[tuple[Moment, Totals]] = deque()
        self.evaluation: Evaluation | None = None
        self.best_return_mean: float | None = None

    def from_the_start(self) -> None:
        """Makes the next rates and means those of everything that the counters hold."""
        now = read_moment(self._plane)
        seconds, nothing = float(now.stages.accounted_P.max()), dict.fromkeys(self.totals(), 0)
        beginning = dataclasses.replace(now, time_s=now.time_s - seconds, stages=now.stages.since(now.stages))
        self._past = deque([(beginning, nothing)])

    def totals(self) -> Totals:
        """Sums of all counters that add up."""
        return {name: self._plane.total(role, name) for role, names in _SUMS.items() for name in names}

    def make(self, note: str) -> Snapshot:
        """The state of the run now."""
        now, totals = read_moment(self._plane), self.totals()
        self._past.append((now, totals))
        while len(self._past) > 2 and now.time_s - self._past[0][0].time_s > _RATE_WINDOW_S:
            self._past.popleft()
        before, then = self._past[0]
        span_s = max(now.time_s - before.time_s, 1e-9)
        recent = {name: totals[name] - then[name] for name in totals}
        rates = {name: change / span_s if now is not before else 0.0 for name, change in recent.items()}
        losses = ("total", "policy", "value", "reward", *(["consistency"] if self._profile.network.consistency else []))
        inserted, sampled = totals["inserted"], totals["sampled"]
        replay = self._plane.counters(Member("replay", 0))
        learner = self._plane.counters(Member("learner", 0))
        return Snapshot(
            elapsed_s=now.time_s - self._start_s,
            env_steps=totals["env_steps"],
            learner_steps=totals["learner_steps"],
            episodes=totals["episodes"],
            env_steps_per_s=rates["env_steps"],
            simulations_per_s=rates["simulations"],
            learner_steps_per_s=rates["learner_steps"],
            inference_batch_mean=_ratio(recent["batch_rows"], recent["batches"]) or 0.0,
            return_mean=_ratio(recent["episode_return_millionths"] / MILLION, recent["episodes"]),
            episode_length_mean=_ratio(recent["episode_length"], recent["episodes"]),
            evaluation=self.evaluation,
            best_return_mean=self.best_return_mean,
            samples_per_insert=_ratio(sampled, inserted - self._profile.replay.min_size_to_sample) if sampled else None,
            samples_per_insert_target=self._profile.replay.samples_per_insert,
            replay_transitions=replay.get("stored"),
            replay_capacity=replay.get("capacity"),
            weights_version=learner.get("weights_version"),
            staleness=_ratio(recent["staleness_millionths"] / MILLION, recent["handed_out"]),
            losses={
                name: recent[f"loss_{name}_millionths"] / MILLION / recent["loss_steps"]
                for name in losses
                if recent["loss_steps"]
            },
            skipped_steps=learner.get("skipped_steps"),
            restarts=sum(self._plane.counters(member).get("restarts") for member in self._plane.shape.members()),
            clipped_fraction=_ratio(recent["clipped_targets"], recent["targets"]),
            metrics=self._metrics(recent, rates, span_s) | stage_metrics(before, now),
            stages=self._stages(rates),
            limits=self.limits(),
            note=note,
        )

    def _metrics(self, recent: Totals, rates: dict[str, float], span_s: float) -> dict[str, float | None]:
        """Curves that need no place of their own in a snapshot, by TensorBoard tag."""
        shape, replay = self._plane.shape, self._plane.counters(Member("replay", 0))
        waits = ("insert_wait", "sample_wait", "reanalyze_wait", "learner_wait")
        metrics: dict[str, float | None] = {f"replay/{name}": recent[f"{name}_us"] / MILLION / span_s for name in waits}
        metrics |= {f"replay/{name}": float(replay.get(name)) for name in ("refused", "unjournaled", "journal_bytes")}
        metrics["replay/stale_priorities"] = _ratio(
            recent["stale_priorities"], recent["stale_priorities"] + recent["priority_updates"]
        )
        metrics["replay/evicted"] = _ratio(recent["evicted"], recent["handed_out"])
        metrics["targets/value_error"] = _ratio(recent["value_error_millionths"] / MILLION, recent["loss_steps"])
        if shape.reanalyzers:
            metrics["reanalyze/fraction"] = _ratio(recent["reanalyzed"], recent["handed_out"])
            metrics["reanalyze/busy"] = recent["busy_us"] / MILLION / span_s / shape.reanalyzers
            metrics["staleness/targets"] = _ratio(recent["target_age_millionths"] / MILLION, recent["handed_out"])
        return metrics | diagnostic_metrics(self._plane.diagnostics())

    def _stages(self, rates: dict[str, float]) -> tuple[StageRate, ...]:
        actors = [self._fill(member) for member in self._plane.shape.members() if member.role == "actor"]
        reanalyze = StageRate("reanalyze", rates["positions"], "positions/s", None)
        return (
            StageRate("actor", rates["env_steps"], "env steps/s", max(actors, default=None)),
            StageRate("search", rates["simulations"], "simulations/s", None),
            StageRate("inference", rates["batches"], "batches/s", None),
            StageRate("replay insert", rates["inserted"], "transitions/s", None),
            StageRate("replay sample", rates["sampled"], "samples/s", self._fill(Member("replay", 0))),
            *([reanalyze] if self._plane.shape.reanalyzers else []),
            StageRate("learner", rates["learner_steps"], "steps/s", None),
        )

    def _fill(self, member: Member) -> float:
        return self._plane.counters(member).get("queue_fill_millionths") / MILLION

    def limits(self) -> dict[str, tuple[float, float]]:
        """(now, limit) of every stop condition that is set."""
        stop = self._profile.stop
        now = {
            "env_steps": self._plane.total("actor", "env_steps"),
            "learner_steps": self._plane.total("learner", "learner_steps"),
            "minutes": (time.monotonic() - self._start_s) / 60.0,
            "return_mean": self.evaluation.return_mean if self.evaluation else float("nan"),
        }
        limits = {name: getattr(stop, name) for name in now}
        return {name: (now[name], limit) for name, limit in limits.items() if limit is not None}


def stage_metrics(before: Moment, now: Moment) -> dict[str, float | None]:
    """What every stage's processes did with their time, by TensorBoard tag; empty where no time has passed."""
    if now.time_s <= before.time_s:
        return {}
    stages = make_report(before, now, cores=1).stages
    parts = ("busy", "wait_in", "wait_out")
    return {f"stage/{name}/{part}": getattr(use, part) for name, use in stages.items() for part in parts}


def diagnostic_metrics(gauges: Mapping[str, np.ndarray]) -> dict[str, float | None]:
    """The diagnostics segment by TensorBoard tag; empty before the first measurement."""
    if gauges["learner_steps"][0] == 0:
        return {}
    single = ("policy_entropy", "search_policy_entropy", "state_mean", "state_spread", "sample_size")
    metrics: dict[str, float | None] = {f"learner/{name}": float(gauges[name][0]) for name in single}
    metrics |= {f"learner/value_error/{k}": float(error) for k, error in enumerate(gauges["value_error"])}
    metrics |= {f"learner/reward_error/{k}": float(error) for k, error in enumerate(gauges["reward_error"], start=1)}
    norms = zip(MODEL_PARTS, gauges["gradient_norm"], strict=True)
    return metrics | {f"learner/gradient_norm/{part}": float(norm) for part, norm in norms if norm}


def _ratio(numerator: float, denominator: float) -> float | None:
    return numerator / denominator if denominator > 0 else None

"""Makes snapshots, which the supervisor shows and writes, from counters."""

import dataclasses
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from ..config import Profile
from ..ipc.dataplane import DataPlane
from ..ipc.pods import COUNTS
from ..ipc.roles import Role
from ..runs.scores import Evaluation
from .gpus import GpuReader
from .metrics import METRICS, Recent, read
from .rates import Moment, read_moment
from .report import make_report
from .snapshot import PodState, Snapshot

# Rates are taken over this long, so that a single slow lap does not show.
_WINDOW_S = 10.0
# Replaces a time of 0, when a moment is compared with itself: nothing has changed, so every rate is 0.
_SHORTEST_S = 1e-9


class _Past(NamedTuple):
    """What rates and means are taken of; `pod_steps`: env steps of each pod."""

    moment: Moment
    totals: dict[str, float]
    pod_steps: list[int]


class SnapshotMaker:
    """Reads the counters; keeps the recent past for rates and means."""

    def __init__(self, profile: Profile, plane: DataPlane, clock: Callable[[], float] = time.monotonic) -> None:
        self._profile, self._plane, self._clock = profile, plane, clock
        self._start_s, self._gpus = clock(), GpuReader()
        self._past: deque[_Past] = deque()
        self._pods = [plane.pod_row(pod) for pod in range(plane.shape.pods)]
        self.evaluation: Evaluation | None = None
        self.best_return_mean: float | None = None

    def from_the_start(self) -> None:
        """Takes the next rates and means over everything that the counters hold."""
        now = read_moment(self._plane, self._clock())
        seconds, nothing = float(now.stages.accounted_P.max()), dict.fromkeys(self._plane.sums(), 0.0)
        beginning = dataclasses.replace(
            now, time_s=now.time_s - seconds, stages=now.stages.since(now.stages), devices={}
        )
        self._past = deque([_Past(beginning, nothing, [0] * len(self._pods))])

    def make(self, note: str) -> Snapshot:
        """The present state of the run."""
        now, totals = read_moment(self._plane, self._clock()), self._plane.sums()
        self._past.append(_Past(now, totals, self._pod_steps()))
        while len(self._past) > 2 and now.time_s - self._past[0].moment.time_s > _WINDOW_S:
            self._past.popleft()
        recent = self._recent()
        weights_version = int(recent.first(Role.LEARNER, "weights_version"))
        return Snapshot(
            elapsed_s=now.time_s - self._start_s,
            env_steps=int(totals["env_steps"]),
            learner_steps=int(totals["learner_steps"]),
            episodes=int(totals["episodes"]),
            replay_capacity=int(recent.first(Role.REPLAY, "capacity")),
            weights_version=weights_version,
            restarts=int(totals["restarts"]),
            evaluation=self.evaluation,
            best_return_mean=self.best_return_mean,
            metrics=read(METRICS, recent),
            limits=self.limits(),
            note=note,
            pods=tuple(self._pod_state(pod, recent.seconds, weights_version) for pod in range(len(self._pods))),
        )

    def _pod_steps(self) -> list[int]:
        place = COUNTS.index("env_steps")
        return [int(row.counted()[place]) for row in self._pods]

    def _pod_state(self, pod: int, seconds: float, newest_version: int) -> PodState:
        row, steps = self._pods[pod], self._past[-1].pod_steps[pod] - self._past[0].pod_steps[pod]
        return PodState(
            node=row.node,
            is_linked=row.is_linked,
            env_steps_per_s=steps / seconds,
            versions_behind=max(0, newest_version - row.weights_version),
            on_their_way=row.on_their_way(),
        )

    def _recent(self) -> Recent:
        (before, then, _), (now, totals, _) = self._past[0], self._past[-1]
        seconds = now.time_s - before.time_s
        report = make_report(before, now, cores=1) if seconds > 0.0 else None
        return Recent(
            profile=self._profile,
            plane=self._plane,
            seconds=max(seconds, _SHORTEST_S),
            totals=totals,
            change={name: total - then[name] for name, total in totals.items()},
            stages=report.stages if report else {},
            devices=report.devices if report else {},
            gpus=self._gpus.read(),
        )

    def limits(self) -> dict[str, tuple[float, float]]:
        """(now, limit) of every stop condition that is set."""
        stop = self._profile.stop
        now = {
            "env_steps": self._plane.total("env_steps"),
            "learner_steps": self._plane.total("learner_steps"),
            "minutes": (self._clock() - self._start_s) / 60.0,
            "return_mean": self.evaluation.return_mean if self.evaluation else float("nan"),
        }
        limits = {name: getattr(stop, name) for name in now}
        return {name: (now[name], limit) for name, limit in limits.items() if limit is not None}

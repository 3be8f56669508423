"""Snapshot: everything that the reports say about a run at one moment."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ..runs.scores import Evaluation
from .metrics import BY_TAG

_LOSS = "loss/"
SECONDS_PER_MINUTE = 60.0


@dataclass(frozen=True)
class PodState:
    """One pod at one moment, as the run's machine knows it."""

    # The name of its machine; "" before it has joined.
    node: str
    is_linked: bool
    env_steps_per_s: float
    # Versions that the run's machine has and the pod has not.
    versions_behind: int
    # Transitions that it has played and that have not arrived.
    on_their_way: int


@dataclass(frozen=True)
class Snapshot:
    """One moment of a run; None stands for a value that has not been measured yet."""

    elapsed_s: float
    env_steps: int
    learner_steps: int
    episodes: int
    replay_capacity: int
    weights_version: int
    restarts: int
    # The latest evaluation, and the best mean return of all.
    evaluation: Evaluation | None
    best_return_mean: float | None
    # By tag; metrics that do not exist in this run are left out.
    metrics: Mapping[str, float | None]
    # (now, limit) for each limit of the run: env_steps, learner_steps, minutes, return_mean.
    limits: Mapping[str, tuple[float, float]]
    # What the run is doing, e.g. "training" or "waiting for replay: 340 of 1000 transitions".
    note: str
    # By number; empty in a run without pods.
    pods: tuple[PodState, ...] = ()

    def __getitem__(self, tag: str) -> float | None:
        """A metric; raises KeyError for a tag that is not declared."""
        return self.metrics.get(BY_TAG[tag].tag)

    @property
    def linked_pods(self) -> int:
        """How many pods answer."""
        return sum(pod.is_linked for pod in self.pods)

    def known(self, tag: str) -> float:
        """A metric, or 0 while it has not been measured."""
        return self[tag] or 0.0

    def newest_return(self, former: float | None) -> float | None:
        """The mean return of recent training games, or `former` if none has ended."""
        newest = self["charts/episodic_return"]
        return former if newest is None else newest

    @property
    def losses(self) -> dict[str, float]:
        """The losses by name, total first; empty before the first learner step."""
        found = {tag: value for tag, value in self.metrics.items() if tag.startswith(_LOSS) and value is not None}
        return {tag.removeprefix(_LOSS): value for tag, value in found.items()}

    @property
    def axis(self) -> int:
        """The place of this moment on the x axis: env steps, or learner steps in a run that plays no games."""
        return self.env_steps or self.learner_steps


def seconds_to_limit(snapshot: Snapshot) -> float | None:
    """Seconds until the first limit is reached, a return left out; None if no estimate can be made."""
    estimates = (seconds_to(snapshot, name) for name in snapshot.limits)
    return min((seconds for seconds in estimates if seconds is not None), default=None)


def seconds_to(snapshot: Snapshot, name: str) -> float | None:
    """Seconds until one limit is reached at the present rate; None for a return, or while nothing moves."""
    now, limit = snapshot.limits[name]
    units_per_s = _units_per_s(snapshot, name)
    if units_per_s is None:
        return None
    if now >= limit:
        return 0.0
    return (limit - now) / units_per_s if units_per_s > 0.0 else None


def progress(now: float, limit: float) -> float:
    """The part of the way to a limit that is done, 0..1.

    A return may be negative: progress towards a negative limit is measured from below (-500 of -100 is a fifth), and
    towards any other from zero. For a value that is not known yet (NaN) it is 0.
    """
    if math.isnan(now):
        return 0.0
    if now >= limit:
        return 1.0
    return max(0.0, now / limit if limit > 0.0 else limit / now)


def _units_per_s(snapshot: Snapshot, name: str) -> float | None:
    rates = {
        "env_steps": snapshot.known("perf/env_steps_per_s"),
        "learner_steps": snapshot.known("perf/learner_steps_per_s"),
        "minutes": 1.0 / SECONDS_PER_MINUTE,
    }
    return rates.get(name)

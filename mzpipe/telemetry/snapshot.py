"""Snapshot: everything the reports say about a run at one moment."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ..runs.scores import Evaluation


@dataclass(frozen=True)
class StageRate:
    """How fast one stage of the pipeline works, and how full it leaves the queue behind it."""

    name: str
    items_per_s: float
    unit: str
    # 0..1, of the queue that the stage writes into; None where it writes into none.
    queue_fill: float | None


@dataclass(frozen=True)
class Snapshot:
    """One moment of a run; None stands for what has not been measured yet."""

    elapsed_s: float
    env_steps: int
    learner_steps: int
    episodes: int

    env_steps_per_s: float
    simulations_per_s: float
    learner_steps_per_s: float
    inference_batch_mean: float

    # Means over the training games that ended since the last snapshot.
    return_mean: float | None
    episode_length_mean: float | None
    # The latest evaluation, and the best mean return of any.
    evaluation: Evaluation | None
    best_return_mean: float | None

    samples_per_insert: float | None
    samples_per_insert_target: float
    replay_transitions: int
    replay_capacity: int

    weights_version: int
    # Mean age, in weights versions, of the data trained on.
    staleness: float | None
    # Keys total, policy, value, reward; empty before the first learner step.
    losses: Mapping[str, float]
    skipped_steps: int
    restarts: int
    clipped_fraction: float | None
    # Further curves by TensorBoard tag: waits of the replay server and of reanalyzers are fractions of the time.
    metrics: Mapping[str, float | None]

    stages: tuple[StageRate, ...]
    # (now, limit) for each limit of the run: env_steps, learner_steps, minutes, return_mean.
    limits: Mapping[str, tuple[float, float]]
    # What the run is doing, e.g. "training" or "waiting for replay: 340 of 1000 transitions".
    note: str

    @property
    def axis(self) -> int:
        """Where the curves of this moment stand: env steps; learner steps in a run that plays no games."""
        return self.env_steps or self.learner_steps


SECONDS_PER_MINUTE = 60.0


def seconds_to_limit(snapshot: Snapshot) -> float | None:
    """Seconds until the first limit that time alone reaches, or None where no estimate can be made."""
    estimates = (seconds_to(snapshot, name) for name in snapshot.limits)
    return min((seconds for seconds in estimates if seconds is not None), default=None)


def seconds_to(snapshot: Snapshot, name: str) -> float | None:
    """Seconds until one limit at the present rate; None for a return, or while nothing moves."""
    now, limit = snapshot.limits[name]
    units_per_s = _units_per_s(snapshot, name)
    if units_per_s is None:
        return None
    if now >= limit:
        return 0.0
    return (limit - now) / units_per_s if units_per_s > 0.0 else None


def progress(now: float, limit: float) -> float:
    """The part of the way to a limit that lies behind, 0..1.

    A return may be negative: towards a negative limit the way is measured from below (-500 of -100 is a fifth),
    towards any other it starts at zero. A value that is not known yet (NaN) is 0.
    """
    if math.isnan(now):
        return 0.0
    if now >= limit:
        return 1.0
    return max(0.0, now / limit if limit > 0.0 else limit / now)


def _units_per_s(snapshot: Snapshot, name: str) -> float | None:
    rates = {
        "env_steps": snapshot.env_steps_per_s,
        "learner_steps": snapshot.learner_steps_per_s,
        "minutes": 1.0 / SECONDS_PER_MINUTE,
    }
    return rates.get(name)

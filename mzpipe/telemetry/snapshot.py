"""Snapshot: everything the reports say about a run at one moment."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ..runs.scores import Evaluation
from .metrics import BY_TAG

_LOSS = "loss/"


@dataclass(frozen=True)
class Snapshot:
    """One moment of a run; None stands for what has not been measured yet."""

    elapsed_s: float
    env_steps: int
    learner_steps: int
    episodes: int
    replay_capacity: int
    weights_version: int
    restarts: int
    # The latest evaluation, and the best mean return of any.
    evaluation: Evaluation | None
    best_return_mean: float | None
    # By tag; what does not exist in this run is left out.
    metrics: Mapping[str, float | None]
    # (now, limit) for each limit of the run: env_steps, learner_steps, minutes, return_mean.
    limits: Mapping[str, tuple[float, float]]
    # What the run is doing, e.g. "training" or "waiting for replay: 340 of 1000 transitions".
    note: str

    def __getitem__(self, tag: str) -> float | None:
        """A metric; raises KeyError for a tag that is not declared."""
        return self.metrics.get(BY_TAG[tag].tag)

    def known(self, tag: str) -> float:
        """A metric that counts from 0 on: 0 while it has not been measured."""
        return self[tag] or 0.0

    def newest_return(self, former: float | None) -> float | None:
        """Mean of the training games that ended lately, or the former one where none has."""
        newest = self["charts/episodic_return"]
        return former if newest is None else newest

    @property
    def losses(self) -> dict[str, float]:
        """The losses by name, total first; empty before the first learner step."""
        found = {tag: value for tag, value in self.metrics.items() if tag.startswith(_LOSS) and value is not None}
        return {tag.removeprefix(_LOSS): value for tag, value in found.items()}

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
        "env_steps": snapshot.known("perf/env_steps_per_s"),
        "learner_steps": snapshot.known("perf/learner_steps_per_s"),
        "minutes": 1.0 / SECONDS_PER_MINUTE,
    }
    return rates.get(name)

"""How far a run is from the limits that end it, and how long it needs to get there."""

import math

from .snapshot import Snapshot

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

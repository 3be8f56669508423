"""When a run ends; the first condition met ends it."""

from .base import PositiveFloat, PositiveInt, section


@section(frozen=True)
class StopConfig:
    """Limits of a run; a missing one never stops it."""

    env_steps: PositiveInt | None = None
    learner_steps: PositiveInt | None = None
    minutes: PositiveFloat | None = None
    # The run is solved once an evaluation's mean return reaches this.
    return_mean: float | None = None

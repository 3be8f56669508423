"""The replay server: how much is kept, how often it is reused, and its targets."""

import math
from typing import Annotated

from pydantic import Field

from .base import PositiveFloat, PositiveInt, section


@section(frozen=True)
class ReplayConfig:
    """Storage bound, reuse and n-step targets."""

    # Bytes of the preallocated table; the oldest trajectories make room for new ones.
    capacity_bytes: Annotated[int, Field(ge=1 << 16)] = 256 << 20
    # How often each transition is trained on, on average.
    samples_per_insert: PositiveFloat = 32.0
    # Width of the corridor around samples_per_insert, in transitions inserted ahead of (or
    # behind) what the learner has consumed.
    max_insert_lead: PositiveInt = 2_000
    # Transitions stored before the first batch is sampled.
    min_size_to_sample: PositiveInt = 1_000
    # Rewards summed before the value target bootstraps; past the end of a game it never does.
    td_steps: Annotated[int, Field(ge=1, le=4096)] = 10


def least_insert_lead(*, batch_size: int, samples_per_insert: float, trajectory_length: int) -> int:
    """The narrowest corridor in which sampling and inserting can never wait for each other for ever.

    Inserting stops within one record of the corridor's upper end, sampling within
    one batch (as transitions) of its lower end; both ends are max_insert_lead away
    from the middle.
    """
    return math.ceil((batch_size / samples_per_insert + trajectory_length) / 2)

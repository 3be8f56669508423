"""The replay server: how much is kept, how often it is reused, what is drawn, and its targets."""

import math
from typing import Annotated, Literal

from pydantic import Field

from ..errors import ConfigError
from .base import Fraction, NonNegativeInt, PositiveFloat, PositiveInt, section


@section(frozen=True)
class ReplayConfig:
    """Storage bound, reuse, sampling, n-step targets and the journal."""

    # Bytes of the preallocated table; the oldest trajectories make room for new ones.
    capacity_bytes: Annotated[int, Field(ge=1 << 16)] = 256 << 20
    # Bytes of the compressed tier, which takes the frames that no longer fit into the table; 0: none.
    compressed_bytes: NonNegativeInt = 0
    # How many times smaller the tier's frames are expected to be; only says how many transitions it has room for.
    compression_ratio: Annotated[float, Field(ge=1.0, le=1000.0)] = 16.0
    # How often each transition is trained on, on average.
    samples_per_insert: PositiveFloat = 32.0
    # Width of the corridor around samples_per_insert, in transitions inserted ahead of (or
    # behind) what the learner has consumed.
    max_insert_lead: PositiveInt = 2_000
    # Transitions stored before the first batch is sampled.
    min_size_to_sample: PositiveInt = 1_000
    # "prioritized" draws transitions by |v - z|^priority_alpha, "uniform" all alike.
    sampler: Literal["prioritized", "uniform"] = "prioritized"
    priority_alpha: Annotated[float, Field(gt=0.0, le=4.0)] = 0.6
    # Exponent of the importance weights: from the first to the last value over stop.learner_steps
    # (where that is not set, it stays at the first).
    priority_beta: tuple[Fraction, Fraction] = (0.4, 1.0)
    # Rewards summed before the value target bootstraps; past the end of a game it never does.
    td_steps: Annotated[int, Field(ge=1, le=4096)] = 10
    # Off-policy correction: td_steps falls by 1 per this many learner steps of a transition's age, to 1; 0: never.
    auto_td_steps: NonNegativeInt = 0
    # The journal that a resume restores the table from.
    journal: bool = True
    # Seconds between two saves of the priorities into the journal's directory.
    journal_state_s: PositiveFloat = 30.0
    # Directory of a finished run: train on its journal, without actors. Written `replay.from` in a profile.
    source: str = ""


def least_insert_lead(*, batch_size: int, samples_per_insert: float, trajectory_length: int) -> int:
    """The narrowest corridor in which sampling and inserting can never wait for each other for ever.

    Inserting stops within one record of the corridor's upper end, sampling within
    one batch (as transitions) of its lower end; both ends are max_insert_lead away
    from the middle.
    """
    return math.ceil((batch_size / samples_per_insert + trajectory_length) / 2)


def check_corridor(*, samples_per_insert: float, max_insert_lead: int, batch_size: int, trajectory_length: int) -> None:
    """Raises ConfigError for a corridor narrower than least_insert_lead."""
    least = least_insert_lead(
        batch_size=batch_size, samples_per_insert=samples_per_insert, trajectory_length=trajectory_length
    )
    if max_insert_lead < least:
        raise ConfigError(
            f"replay.max_insert_lead={max_insert_lead}: with learner.batch_size={batch_size}, "
            f"replay.samples_per_insert={samples_per_insert:g} and actor.trajectory_length={trajectory_length} "
            f"sampling and inserting would wait for each other for ever: set it to at least {least}"
        )

"""The replay server: how much it keeps, how often it reuses and how it samples it, and how it computes targets."""

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
    # Bytes of the compressed tier, which holds the frames that no longer fit into the table; 0: no tier.
    compressed_bytes: NonNegativeInt = 0
    # How many times smaller the tier's frames are expected to be; it only sets how many transitions the tier can hold.
    compression_ratio: Annotated[float, Field(ge=1.0, le=1000.0)] = 16.0
    # How often each transition is trained on, on average.
    samples_per_insert: PositiveFloat = 32.0
    # Half the width of the corridor around samples_per_insert: the transitions by which inserting
    # may be ahead of the learner's consumption, or behind it.
    max_insert_lead: PositiveInt = 2_000
    # Transitions stored before the first batch is sampled.
    min_size_to_sample: PositiveInt = 1_000
    # "prioritized" draws transitions in proportion to |v - z|^priority_alpha, "uniform" all with the same probability.
    sampler: Literal["prioritized", "uniform"] = "prioritized"
    priority_alpha: Annotated[float, Field(gt=0.0, le=4.0)] = 0.6
    # Priority of new transitions: "error", the |v - z| of their own search, or "max", the greatest that any transition
    # has had so far (EfficientZero): then none waits long for its first draw, even if its own |v - z| is 0.
    initial_priority: Literal["error", "max"] = "error"
    # Exponent of the importance weights: from the first to the last value over stop.learner_steps
    # (it stays at the first if that is not set).
    priority_beta: tuple[Fraction, Fraction] = (0.4, 1.0)
    # Importance weights, over the batch's largest, are not below it (EfficientZero V2: 0.1): one sample that was
    # nearly never drawn then cannot take the weight of all others; 0: as they are.
    min_importance_weight: Fraction = 0.0
    # Rewards summed before the value target bootstraps; past the end of a game it never does.
    td_steps: Annotated[int, Field(ge=1, le=4096)] = 10
    # Off-policy correction: td_steps falls by 1 per this many learner steps of a transition's age, to 1; 0: never.
    auto_td_steps: NonNegativeInt = 0
    # "n-step": rewards and a bootstrap value. "mixed" (EfficientZero V2): from learner step mixed_after_steps on,
    # samples that are not among the newest mixed_newest transitions take the values of their newest searches instead.
    value_target: Literal["n-step", "mixed"] = "n-step"
    mixed_after_steps: NonNegativeInt = 30_000
    mixed_newest: NonNegativeInt = 5_000
    # Whether to keep a journal, from which a resume restores the table.
    journal: bool = True
    # Seconds between two saves of the priorities into the journal's directory.
    journal_state_s: PositiveFloat = 30.0
    # Directory of a finished run: train on its journal, without actors. Written `replay.from` in a profile.
    source: str = ""


def least_insert_lead(*, batch_size: int, samples_per_insert: float, trajectory_length: int) -> int:
    """The narrowest corridor in which sampling and inserting can never wait for each other for ever.

    Inserting stops within one record of the corridor's upper end, sampling within one
    batch (counted in transitions) of its lower end. Both ends are max_insert_lead from
    the middle.
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

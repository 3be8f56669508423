"""The replay server: how much it keeps, how often it reuses and how it samples it, and how it computes targets."""

import math
from typing import Annotated, Literal

from pydantic import Field

from ..errors import ConfigError
from .base import Fraction, NonNegativeInt, PositiveFloat, PositiveInt, section


@section(frozen=True)
class ReplayConfig:
    """Storage bound, reuse, sampling, n-step targets and the journal."""

    capacity_bytes: Annotated[int, Field(ge=1 << 16)] = 256 << 20
    """Bytes of the preallocated table; the oldest trajectories make room for new ones."""

    compressed_bytes: NonNegativeInt = 0
    """Bytes of the compressed tier, which holds the frames that no longer fit into the table; 0: no tier."""

    compression_ratio: Annotated[float, Field(ge=1.0, le=1000.0)] = 16.0
    """How many times smaller the tier's frames are expected to be; it only sets how many transitions the tier can hold.
    """

    samples_per_insert: PositiveFloat = 32.0
    """How often each transition is trained on, on average."""

    max_insert_lead: PositiveInt = 2_000
    """Half the width of the corridor around samples_per_insert: the transitions by which inserting may be ahead of the
    learner's consumption, or behind it."""

    min_size_to_sample: PositiveInt = 1_000
    """Transitions stored before the first batch is sampled."""

    sampler: Literal["prioritized", "uniform"] = "prioritized"
    """How transitions are drawn: "prioritized", in proportion to |v - z|^priority_alpha, or "uniform", all alike."""

    priority_alpha: Annotated[float, Field(gt=0.0, le=4.0)] = 0.6
    """Exponent of the priorities |v - z|."""

    initial_priority: Literal["error", "max"] = "error"
    """Priority of new transitions: "error", the |v - z| of their own search, or "max", the greatest that any transition
    has had so far (EfficientZero): then none waits long for its first draw, even if its own |v - z| is 0."""

    priority_beta: tuple[Fraction, Fraction] = (0.4, 1.0)
    """Exponent of the importance weights: from the first to the last value over stop.learner_steps (it stays at the
    first if that is not set)."""

    min_importance_weight: Fraction = 0.0
    """Importance weights, over the batch's largest, are not below it (EfficientZero V2: 0.1): one sample that was
    nearly never drawn then cannot take the weight of all others; 0: as they are."""

    td_steps: Annotated[int, Field(ge=1, le=4096)] = 10
    """Rewards summed before the value target bootstraps; past the end of a game it never does."""

    auto_td_steps: NonNegativeInt = 0
    """Off-policy correction: td_steps falls by 1 per this many learner steps of a transition's age, to 1; 0: never."""

    value_target: Literal["n-step", "mixed"] = "n-step"
    """What values are trained towards: "n-step", rewards and a bootstrap value; "mixed" (EfficientZero V2): older
    samples take the values of their newest searches instead."""

    mixed_after_steps: NonNegativeInt = 30_000
    """mixed: learner steps before which every target is an n-step one."""

    mixed_newest: NonNegativeInt = 5_000
    """mixed: the newest transitions, this many, keep n-step targets."""

    journal: bool = True
    """Whether to keep a journal, from which a resume restores the table."""

    journal_state_s: PositiveFloat = 30.0
    """Seconds between two saves of the priorities into the journal's directory."""

    source: str = ""
    """Directory of a finished run: train on its journal, without actors. Written `replay.from` in a profile."""


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

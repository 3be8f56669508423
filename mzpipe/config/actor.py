"""Actors: games played with search."""

from typing import Annotated

from pydantic import Field

from .base import Fraction, NonNegativeFloat, NonNegativeInt, section


@section(frozen=True)
class ActorConfig:
    """How training games are played."""

    # Transitions per trajectory record sent to the replay server.
    trajectory_length: Annotated[int, Field(ge=1, le=4096)] = 64
    # Actions are sampled from visits^(1/T); T takes these values...
    temperatures: tuple[NonNegativeFloat, ...] = (1.0, 0.5, 0.25)
    # ...from these fractions of stop.learner_steps on (the first must be 0).
    temperature_fractions: tuple[Fraction, ...] = (0.0, 0.5, 0.75)
    # Moves of an episode that are sampled; after them the most visited action is played (board games: 30). 0: all.
    temperature_moves: NonNegativeInt = 0

"""Scores: normalised by a person's, aggregated over runs and games with intervals, beside published ones."""

from .aggregates import Aggregate, aggregate
from .figures import (
    AGENTS_100K,
    MUZERO_20B,
    Figures,
    atari_figures,
    game_of,
    human_normalised,
    normalised_fields,
    spoken_normalised,
)

__all__ = [
    "AGENTS_100K",
    "MUZERO_20B",
    "Aggregate",
    "Figures",
    "aggregate",
    "atari_figures",
    "game_of",
    "human_normalised",
    "normalised_fields",
    "spoken_normalised",
]

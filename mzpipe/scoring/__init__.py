"""Scores: normalised by a person's, aggregated over runs and games with intervals, beside published ones."""

from ..games.figures import (
    AGENTS_100K,
    MUZERO_20B,
    Figures,
    atari_figures,
    game_of,
    human_normalised,
    normalised_fields,
    spoken_normalised,
)
from .aggregates import Aggregate, aggregate
from .report import GameScores, ScoreReport, make_report
from .run import Run
from .table import aggregates_table, games_table, runs_table

__all__ = [
    "AGENTS_100K",
    "MUZERO_20B",
    "Aggregate",
    "Figures",
    "GameScores",
    "Run",
    "ScoreReport",
    "aggregate",
    "aggregates_table",
    "atari_figures",
    "game_of",
    "games_table",
    "human_normalised",
    "make_report",
    "normalised_fields",
    "runs_table",
    "spoken_normalised",
]

"""Reanalyze: stored positions searched again with newer weights."""

from typing import Annotated

from pydantic import Field

from .base import Fraction, PositiveInt, section


@section(frozen=True)
class ReanalyzeConfig:
    """How much of each batch is fresh (MuZero Reanalyze; Schrittwieser et al. 2020, appendix H)."""

    # Part of each batch's positions that is searched again before the learner sees it; 0: no reanalyzers run.
    fraction: Fraction = 0.0
    # Learner steps after which the target network, whose values targets bootstrap from, becomes the newest one.
    target_interval: PositiveInt = 200
    # Batches that may wait for their fresh targets at the same time.
    batches_in_flight: Annotated[int, Field(ge=1, le=64)] = 4

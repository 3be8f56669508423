"""Which processes run, how many of each, and the sizes of what lies between them."""

from typing import Annotated, Literal

from pydantic import Field

from .base import PositiveInt, section

ExternalRole = Literal["none", "actor", "inference", "replay", "reanalyzer", "learner", "evaluator"]


@section(frozen=True)
class TopologyConfig:
    """Numbers of processes and of the lanes between them."""

    actors: Annotated[int, Field(ge=1, le=1024)] = 1
    # Groups of trees searched in lockstep; while one is on the device another is in the kernels.
    lanes_per_actor: Annotated[int, Field(ge=1, le=16)] = 2
    # Games of one lane.
    trees_per_lane: Annotated[int, Field(ge=1, le=4096)] = 16
    # Reanalyzers, which run only where reanalyze.fraction is above 0, and the positions that each searches in lockstep.
    reanalyzers: Annotated[int, Field(ge=1, le=1024)] = 1
    lanes_per_reanalyzer: Annotated[int, Field(ge=1, le=16)] = 2
    trees_per_reanalyzer_lane: Annotated[int, Field(ge=1, le=4096)] = 32
    # A role that the supervisor leaves to be started by hand, under a debugger say.
    external: ExternalRole = "none"
    # Slots of each ring.
    trajectory_ring_slots: PositiveInt = 64
    batch_ring_slots: PositiveInt = 4

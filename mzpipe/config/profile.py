"""A profile: one complete run, with one section per process."""

from typing import Annotated

from pydantic import Field

from .actor import ActorConfig
from .base import section
from .evaluator import EvaluatorConfig
from .game import GameConfig
from .inference import InferenceConfig
from .learner import LearnerConfig
from .network import NetworkConfig
from .reanalyze import ReanalyzeConfig
from .replay import ReplayConfig
from .search import SearchConfig
from .stop import StopConfig
from .telemetry import TelemetryConfig
from .topology import TopologyConfig


@section(frozen=True)
class Profile:
    """Everything that defines a run; the file on disk names only what differs from the defaults."""

    # Every random stream of the run is derived from it.
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    game: GameConfig = Field(default_factory=GameConfig)
    search: SearchConfig = Field(default_factory=SearchConfig)
    network: NetworkConfig = Field(default_factory=NetworkConfig)
    actor: ActorConfig = Field(default_factory=ActorConfig)
    replay: ReplayConfig = Field(default_factory=ReplayConfig)
    reanalyze: ReanalyzeConfig = Field(default_factory=ReanalyzeConfig)
    learner: LearnerConfig = Field(default_factory=LearnerConfig)
    inference: InferenceConfig = Field(default_factory=InferenceConfig)
    evaluator: EvaluatorConfig = Field(default_factory=EvaluatorConfig)
    topology: TopologyConfig = Field(default_factory=TopologyConfig)
    stop: StopConfig = Field(default_factory=StopConfig)
    telemetry: TelemetryConfig = Field(default_factory=TelemetryConfig)

"""Profiles: frozen, typed, closed; `load` reads a `Profile` from a file."""

from .game import AtariConfig, BoardConfig, GameConfig, GymnasiumConfig, MinAtarConfig
from .load import load_profile, parse_profile, profile_text
from .profile import (
    ActorConfig,
    EvaluatorConfig,
    InferenceConfig,
    LearnerConfig,
    NetworkConfig,
    OpponentName,
    Profile,
    ReanalyzeConfig,
    StopConfig,
    TelemetryConfig,
    TopologyConfig,
)
from .protocols import GREEDY, PROTOCOLS, Protocol, find_protocol, score_protocol, under_protocol
from .replay import ReplayConfig
from .search import SearchConfig

__all__ = [
    "GREEDY",
    "PROTOCOLS",
    "ActorConfig",
    "AtariConfig",
    "BoardConfig",
    "EvaluatorConfig",
    "GameConfig",
    "GymnasiumConfig",
    "InferenceConfig",
    "LearnerConfig",
    "MinAtarConfig",
    "NetworkConfig",
    "OpponentName",
    "Profile",
    "Protocol",
    "ReanalyzeConfig",
    "ReplayConfig",
    "SearchConfig",
    "StopConfig",
    "TelemetryConfig",
    "TopologyConfig",
    "find_protocol",
    "load_profile",
    "parse_profile",
    "profile_text",
    "score_protocol",
    "under_protocol",
]

"""Profiles: frozen, typed, closed; see `load` for the way from a file to a `Profile`."""

from .actor import ActorConfig
from .evaluator import EvaluatorConfig, OpponentName
from .game import AtariConfig, BoardConfig, GameConfig, GymnasiumConfig, MinAtarConfig
from .inference import InferenceConfig
from .learner import LearnerConfig
from .load import load_profile, parse_profile, save_profile
from .network import NetworkConfig
from .profile import Profile
from .protocols import GREEDY, PROTOCOLS, Protocol, find_protocol, score_protocol, under_protocol
from .reanalyze import ReanalyzeConfig
from .replay import ReplayConfig
from .search import SearchConfig
from .stop import StopConfig
from .telemetry import TelemetryConfig
from .topology import TopologyConfig

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
    "save_profile",
    "score_protocol",
    "under_protocol",
]

"""Profiles: frozen, typed, closed; see `load` for the way from a file to a `Profile`."""

from .actor import ActorConfig
from .evaluator import EvaluatorConfig
from .game import AtariConfig, GameConfig, GymnasiumConfig, MinAtarConfig
from .inference import InferenceConfig
from .learner import LearnerConfig
from .load import load_profile, parse_profile, save_profile
from .network import NetworkConfig
from .profile import Profile
from .reanalyze import ReanalyzeConfig
from .replay import ReplayConfig
from .search import SearchConfig
from .stop import StopConfig
from .telemetry import TelemetryConfig
from .topology import TopologyConfig

__all__ = [
    "ActorConfig",
    "AtariConfig",
    "EvaluatorConfig",
    "GameConfig",
    "GymnasiumConfig",
    "InferenceConfig",
    "LearnerConfig",
    "MinAtarConfig",
    "NetworkConfig",
    "Profile",
    "ReanalyzeConfig",
    "ReplayConfig",
    "SearchConfig",
    "StopConfig",
    "TelemetryConfig",
    "TopologyConfig",
    "load_profile",
    "parse_profile",
    "save_profile",
]

"""Profiles: frozen, typed, closed; `load` reads a `Profile` from a file.

The names here are loaded on first use: `mzpipe.search` needs `config.search` alone, and no library that profiles need.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .cluster import ClusterConfig
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
    "ClusterConfig",
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

# In which the names are looked for, in this order.
_MODULES = (".search", ".game", ".replay", ".cluster", ".profile", ".protocols", ".load")


def __getattr__(name: str) -> Any:
    """Loads the module that has the name."""
    for module in _MODULES if name in __all__ else ():
        found = import_module(module, __name__)
        if hasattr(found, name):
            return globals().setdefault(name, getattr(found, name))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

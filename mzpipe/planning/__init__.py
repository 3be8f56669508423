"""Planning: a batch of trees driven over one inference lane."""

from .lane_planner import LanePlanner
from .seeds import derive_seed
from .settings import greedy_search, signed_search

__all__ = ["LanePlanner", "derive_seed", "greedy_search", "signed_search"]

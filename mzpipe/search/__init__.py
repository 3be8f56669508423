"""Monte Carlo tree search over a batch of trees: numpy and Numba only, no network, no clock, no socket.

BatchedSearch (search) steps the kernels of simulate, DeepSearch (deep) those of leaves, which keep several simulations
of one tree in flight. The steps of a simulation, in order:

    select    roots to edges: puct, gumbel          expand    outputs to node k, its row of weights (rows)
    backup    node k's value to the root            decide    roots to policies; visits to actions

tree holds the records they share, arithmetic keeps their bits the same everywhere, noise makes the exploration at the
root; faults and inputs check the callers' arrays; searched has the results of a search; reading copies a tree for
inspection.
"""

from ..config.search import SearchConfig
from .decide import SearchResult, sample_action
from .deep import DeepSearch
from .reading import SearchedTree
from .search import BatchedSearch
from .searched import search_bytes

__all__ = [
    "BatchedSearch",
    "DeepSearch",
    "SearchConfig",
    "SearchResult",
    "SearchedTree",
    "sample_action",
    "search_bytes",
]

"""Monte Carlo tree search over a batch of trees: numpy and Numba only, no network, no clock, no socket.

    tree      the arrays                      noise     Dirichlet noise at the roots
    select    roots to edges                  decide    roots to policies, visits to actions
    expand    outputs to nodes                inputs    what callers may hand in
    backup    values to the roots             search    BatchedSearch: the four kernels in order
"""

from ..config.search import SearchConfig
from .decide import SearchResult, sample_action
from .search import BatchedSearch

__all__ = ["BatchedSearch", "SearchConfig", "SearchResult", "sample_action"]

"""Monte Carlo tree search over a batch of trees: numpy and Numba only, no network, no clock, no socket.

BatchedSearch (search) steps the kernels in this order; tree holds their arrays, inputs checks what callers hand in:

    expand    a root's outputs to node 0      noise     Dirichlet noise on its prior
    select    roots to edges                  backup    outputs to node k (expand), its value to the root
    decide    roots to policies; visits to actions
"""

from ..config.search import SearchConfig
from .decide import SearchResult, sample_action
from .search import BatchedSearch

__all__ = ["BatchedSearch", "SearchConfig", "SearchResult", "sample_action"]

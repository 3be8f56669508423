"""Root noise: a Dirichlet draw mixed into the prior of every root.

Every tree draws from its own generator, seeded by (seed, index of the tree), and
always one number per action. So the noise of a tree depends on neither the size
of the batch nor the other trees' legal actions, and a search repeats bit for bit.

Shape legend    B trees   N nodes per tree   A actions
Reads           log_gamma_BA, tree.children_BNA
Writes          tree.prior_BNA[:, ROOT]
Preconditions   P1  expand_root has started every tree.
Postconditions  I1  prior = (1 - fraction) * prior + fraction * Dirichlet(alpha) over the
                    legal actions of each root; illegal ones stay 0.
Numerics        a Dirichlet draw is the softmax of log-gamma draws, taken in float64: it
                does not underflow for the small alpha of large boards. fastmath off.
Oracle          tests/naive/search.py (mixing), moments of the distribution in tests/search
"""

import numpy as np
from numba import njit

from .tree import ILLEGAL, ROOT, Tree


class RootNoise:
    """Draws the logarithms of Gamma(alpha) variables, one row per tree."""

    def __init__(self, alpha: float, *, batch_size: int, num_actions: int, seed: int) -> None:
        self._alpha = alpha
        seeds = (np.random.SeedSequence(seed, spawn_key=(tree,)) for tree in range(batch_size))
        self._generators = [np.random.Generator(np.random.Philox(tree_seed)) for tree_seed in seeds]
        self._gamma_BA = np.empty((batch_size, num_actions), np.float64)
        self._exponential_BA = np.empty((batch_size, num_actions), np.float64)

    def draw(self) -> np.ndarray:
        """log_gamma_BA, from Gamma(alpha) = Gamma(alpha + 1) * U^(1 / alpha) (Marsaglia and Tsang 2000)."""
        for generator, gamma_A, exponential_A in zip(
            self._generators, self._gamma_BA, self._exponential_BA, strict=True
        ):
            generator.standard_gamma(self._alpha + 1.0, out=gamma_A)
            generator.standard_exponential(out=exponential_A)
        return np.log(self._gamma_BA) - self._exponential_BA / self._alpha


@njit(cache=True, nogil=True, fastmath=False)
def mix_noise(tree: Tree, log_gamma_BA: np.ndarray, fraction: float) -> None:
    """Mixes a Dirichlet draw over the legal actions into the prior of every root."""
    num_trees, num_actions = log_gamma_BA.shape
    for b in range(num_trees):
        highest, total = -np.inf, 0.0
        for action in range(num_actions):
            if tree.children_BNA[b, ROOT, action] != ILLEGAL:
                highest = max(highest, log_gamma_BA[b, action])
        for action in range(num_actions):
            if tree.children_BNA[b, ROOT, action] != ILLEGAL:
                total += np.exp(log_gamma_BA[b, action] - highest)
        for action in range(num_actions):
            if tree.children_BNA[b, ROOT, action] != ILLEGAL:
                noise = np.exp(log_gamma_BA[b, action] - highest) / total
                prior = np.float64(tree.prior_BNA[b, ROOT, action])
                tree.prior_BNA[b, ROOT, action] = (1.0 - fraction) * prior + fraction * noise

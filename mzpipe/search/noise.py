"""Root noise: Dirichlet draws for pUCT, Gumbel draws for Gumbel MuZero.

Every tree draws from its own generator, seeded by (seed, index of the tree), and always one number per action.
Therefore the noise of a tree depends on neither the size of the batch nor the other trees' legal actions, and a search
repeats bit for bit. Noise is drawn for several searches at once: a generator's call costs more than a row of numbers.

Shape legend    B trees   A actions   T searches drawn ahead
Reads           log_gamma_A, legal_A
Writes          root_prior_A
Postconditions  I1  prior = (1 - fraction) * prior + fraction * Dirichlet(alpha) over the
                    legal actions of the root; illegal ones stay 0.
Numerics        a Dirichlet draw is the softmax of log-gamma draws: it does not underflow for the small alpha of large
                boards. Draws are float32 and depend only on numpy's generators and its logarithm: where two platforms'
                logarithms differ in the last place, a draw may differ in its last place. Sums over actions are
                float64, in order of the actions. fastmath off.
Oracle          tests/naive/search.py (mixing), moments of the distribution in tests/search
"""

import numpy as np

from .arithmetic import exp_nonpositive
from .compiled import kernel
from .tree import Tree

# Numbers that each tree draws ahead.
_DRAWS_AHEAD = 1024
# Keeps the logarithm finite where a float32 exponential number is drawn as 0.
_LEAST_EXPONENTIAL = np.float32(2.0**-30)


class RootNoise:
    """Noise for many searches at a time; each tree has its own generator.

    With `alpha` it is log-gamma noise, whose softmax is a Dirichlet draw; without, it is Gumbel noise times `scale`.
    """

    def __init__(
        self, *, batch_size: int, num_actions: int, seed: int, alpha: float | None = None, scale: float = 1.0
    ) -> None:
        seeds = (np.random.SeedSequence(seed, spawn_key=(tree,)) for tree in range(batch_size))
        self._generators = [np.random.Generator(np.random.Philox(tree_seed)) for tree_seed in seeds]
        self._alpha, self._scale = alpha, np.float32(scale)
        self._num_ahead = max(1, _DRAWS_AHEAD // num_actions)
        self.noise_BTA = np.empty((batch_size, self._num_ahead, num_actions), np.float32)
        self._next = self._num_ahead

    def next(self) -> int:
        """The index t of the next search's noise, noise_BTA[:, t]."""
        if self._next == self._num_ahead:
            self._draw_gumbel() if self._alpha is None else self._draw_log_gamma(self._alpha)
            self._next = 0
        self._next += 1
        return self._next - 1

    def _draw_log_gamma(self, alpha: float) -> None:
        """Gamma(alpha) = Gamma(alpha + 1) * U^(1 / alpha) (Marsaglia and Tsang 2000); -ln U is exponential."""
        exponential_BTA = np.empty_like(self.noise_BTA)
        for generator, noise_TA, exponential_TA in zip(self._generators, self.noise_BTA, exponential_BTA, strict=True):
            generator.standard_gamma(alpha + 1.0, out=noise_TA, dtype=np.float32)
            generator.standard_exponential(out=exponential_TA, dtype=np.float32)
        np.log(self.noise_BTA, out=self.noise_BTA)
        self.noise_BTA -= exponential_BTA / np.float32(alpha)

    def _draw_gumbel(self) -> None:
        """A Gumbel number is -ln of an exponential one."""
        for generator, noise_TA in zip(self._generators, self.noise_BTA, strict=True):
            generator.standard_exponential(out=noise_TA, dtype=np.float32)
        np.log(np.maximum(self.noise_BTA, _LEAST_EXPONENTIAL), out=self.noise_BTA)
        self.noise_BTA *= -self._scale


@kernel
def mix_dirichlet(tree: Tree, log_gamma_A, legal_A, fraction):
    """Mixes the Dirichlet draw, softmax(log_gamma_A), into the root's prior."""
    highest, total = np.float32(-np.inf), np.float64(0.0)
    for action in range(legal_A.shape[0]):
        if legal_A[action]:
            highest = max(highest, log_gamma_A[action])
    for action in range(legal_A.shape[0]):
        if legal_A[action]:
            total += exp_nonpositive(log_gamma_A[action] - highest)
    for action in range(legal_A.shape[0]):
        if legal_A[action]:
            noise = exp_nonpositive(log_gamma_A[action] - highest) / np.float32(total)
            tree.root_prior_A[action] += fraction * (noise - tree.root_prior_A[action])

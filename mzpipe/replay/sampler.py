"""Samplers: which stored steps a batch is made of."""

import numpy as np

from .table import Table


class UniformSampler:
    """Every stored transition is as likely as any other, with replacement; importance weights are 1."""

    def __init__(self, table: Table, seed: int) -> None:
        self._table = table
        self._rng = np.random.default_rng(seed)

    def sample(self, count: int) -> np.ndarray:
        """Step numbers of `count` transitions; the table must not be empty."""
        return self._rng.integers(self._table.tail, self._table.head, count)

    def random_key(self) -> int:
        """A fresh key for the draws of one batch."""
        return int(self._rng.integers(2**62))

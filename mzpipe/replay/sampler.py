"""Samplers: which stored transitions a batch is made of, and how much each of them counts.

Shape legend    B positions of a batch   N transitions of a record
"""

from typing import NamedTuple, Protocol

import numpy as np

from ..config import ReplayConfig
from .sum_tree import SumTree
from .table import Table

# Added to |v - z|, so that a transition with a perfect value can still be drawn (Schaul et al. 2016, section 3.3).
PRIORITY_EPSILON = 1e-6


class Draw(NamedTuple):
    """Step numbers (int64) of the drawn transitions and their importance weights (float32, the largest 1)."""

    step_B: np.ndarray
    weight_B: np.ndarray


class Sampler(Protocol):
    """What the replay server asks of a sampler."""

    def draw(self, count: int, beta: float) -> Draw:
        """`count` stored transitions, with replacement; the table must not be empty."""

    def insert(self, first_step: int, priority_N: np.ndarray) -> None:
        """Takes in the newest transitions of the table, and forgets those that made room for them."""

    def update(self, step_B: np.ndarray, priority_B: np.ndarray) -> int:
        """New priorities; returns how many were for transitions that are gone, and dropped."""

    def random_key(self) -> int:
        """A fresh key for the draws of one batch."""

    def weights(self, step_N: np.ndarray) -> np.ndarray | None:
        """(|v - z| + epsilon)^alpha of transitions as float32, for the journal; None where all are alike."""


class _Seeded:
    """What all samplers have: their table and their own random stream."""

    def __init__(self, table: Table, seed: int) -> None:
        self._table, self._rng = table, np.random.default_rng(seed)

    def random_key(self) -> int:
        """See Sampler."""
        return int(self._rng.integers(2**62))


class UniformSampler(_Seeded):
    """Every stored transition is as likely as any other; importance weights are 1."""

    def draw(self, count: int, beta: float) -> Draw:
        """See Sampler."""
        step_B = self._rng.integers(self._table.tail, self._table.head, count)
        return Draw(step_B, np.ones(count, np.float32))

    def insert(self, first_step: int, priority_N: np.ndarray) -> None:
        """Nothing to keep."""

    def update(self, step_B: np.ndarray, priority_B: np.ndarray) -> int:
        """Nothing to change."""
        return int((step_B < self._table.tail).sum())

    def weights(self, step_N: np.ndarray) -> np.ndarray | None:
        """See Sampler."""
        return None


class PrioritizedSampler(_Seeded):
    """P(i) = p_i^alpha / sum p^alpha; weight_i = (N P(i))^-beta over the batch's largest (Schaul et al. 2016).

    p_i = |v_i - z_i|: on insertion from the search's own value, later as the learner reports it.
    """

    def __init__(self, table: Table, seed: int, *, alpha: float) -> None:
        super().__init__(table, seed)
        self._alpha = alpha
        self._tree = SumTree(table.capacity)
        self._tail = table.tail

    def draw(self, count: int, beta: float) -> Draw:
        """See Sampler; the draws are independent."""
        table = self._table
        place_B = self._tree.draw(self._rng.random(count))
        probability_B = self._tree.get(place_B) / self._tree.total
        weight_B = (table.size * probability_B) ** -beta
        return Draw(table.step_at(place_B), (weight_B / weight_B.max()).astype(np.float32))

    def insert(self, first_step: int, priority_N: np.ndarray) -> None:
        """See Sampler."""
        table = self._table
        if self._tail < table.tail:
            gone = np.arange(self._tail, table.tail)
            self._tree.set(gone % table.capacity, np.zeros(len(gone)))
            self._tail = table.tail
        step_N = np.arange(first_step, first_step + len(priority_N))
        self._tree.set(step_N % table.capacity, self._weight(priority_N))

    def update(self, step_B: np.ndarray, priority_B: np.ndarray) -> int:
        """See Sampler."""
        taken_B = (step_B >= self._table.tail) & np.isfinite(priority_B)
        self._tree.set(step_B[taken_B] % self._table.capacity, self._weight(priority_B[taken_B]))
        return int(len(step_B) - taken_B.sum())

    def weights(self, step_N: np.ndarray) -> np.ndarray | None:
        """See Sampler."""
        return self._tree.get(step_N % self._table.capacity).astype(np.float32)

    def _weight(self, priority_N: np.ndarray) -> np.ndarray:
        return (priority_N.astype(np.float64) + PRIORITY_EPSILON) ** self._alpha


def priority_of_weight(weight_N: np.ndarray, alpha: float) -> np.ndarray:
    """|v - z| of what Sampler.weights gave, under the alpha that it gave it with."""
    return np.maximum(weight_N.astype(np.float64) ** (1.0 / alpha) - PRIORITY_EPSILON, 0.0)


def make_sampler(config: ReplayConfig, table: Table, seed: int) -> Sampler:
    """The sampler that the profile asks for."""
    if config.sampler == "uniform":
        return UniformSampler(table, seed)
    return PrioritizedSampler(table, seed, alpha=config.priority_alpha)

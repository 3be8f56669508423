"""Samplers: choose the stored transitions of a batch, and the weight of each.

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
    """The sampler's interface to the replay server."""

    def draw(self, count: int, beta: float) -> Draw:
        """Draws `count` stored transitions, with replacement; the table must not be empty."""

    @property
    def greatest_priority(self) -> float:
        """The greatest priority that a transition has had so far; 1 while none has had one above 0."""

    def insert(self, first_step: int, priority_N: np.ndarray) -> None:
        """Adds the newest transitions of the table, and forgets those that were removed for them."""

    def update(self, step_B: np.ndarray, priority_B: np.ndarray) -> int:
        """Sets new priorities; returns how many it dropped because their transitions are gone."""

    def random_key(self) -> int:
        """A fresh key for the draws of one batch."""

    def weights(self, step_N: np.ndarray) -> np.ndarray | None:
        """(|v - z| + epsilon)^alpha of transitions as float32, for the journal; None if all are equal."""


class _Seeded:
    """The common part of all samplers: a table and a random stream."""

    def __init__(self, table: Table, seed: int) -> None:
        self._table, self._rng = table, np.random.default_rng(seed)

    def random_key(self) -> int:
        """See Sampler."""
        return int(self._rng.integers(2**62))


class UniformSampler(_Seeded):
    """Every stored transition is as likely as any other; importance weights are 1."""

    greatest_priority = 1.0

    def draw(self, count: int, beta: float) -> Draw:
        """See Sampler."""
        step_B = self._rng.integers(self._table.tail, self._table.head, count)
        return Draw(step_B, np.ones(count, np.float32))

    def insert(self, first_step: int, priority_N: np.ndarray) -> None:
        """Does nothing: there are no priorities."""

    def update(self, step_B: np.ndarray, priority_B: np.ndarray) -> int:
        """Changes nothing; returns how many transitions are gone."""
        return int((step_B < self._table.tail).sum())

    def weights(self, step_N: np.ndarray) -> np.ndarray | None:
        """See Sampler."""
        return None


class PrioritizedSampler(_Seeded):
    """P(i) = p_i^alpha / sum p^alpha; weight_i = (N P(i))^-beta over the batch's largest (Schaul et al. 2016).

    p_i is the store's first priority on insertion, and later the learner's |v_i - z_i|; no weight is below min_weight.
    """

    def __init__(self, table: Table, seed: int, *, alpha: float, min_weight: float = 0.0) -> None:
        super().__init__(table, seed)
        self._alpha, self._min_weight, self._greatest = alpha, min_weight, 0.0
        self._tree = SumTree(table.capacity)
        self._tail = table.tail

    def draw(self, count: int, beta: float) -> Draw:
        """See Sampler; the draws are independent."""
        table = self._table
        place_B = self._tree.draw(self._rng.random(count))
        probability_B = self._tree.get(place_B) / self._tree.total
        weight_B = (table.size * probability_B) ** -beta
        weight_B = np.maximum(weight_B / weight_B.max(), self._min_weight)
        return Draw(table.step_at(place_B), weight_B.astype(np.float32))

    @property
    def greatest_priority(self) -> float:
        """See Sampler."""
        return self._greatest or 1.0

    def insert(self, first_step: int, priority_N: np.ndarray) -> None:
        """See Sampler."""
        table = self._table
        if self._tail < table.tail:
            gone = np.arange(self._tail, table.tail)
            self._tree.set(gone % table.capacity, np.zeros(len(gone)))
            self._tail = table.tail
        step_N = np.arange(first_step, first_step + len(priority_N))
        self._set(step_N, priority_N)

    def update(self, step_B: np.ndarray, priority_B: np.ndarray) -> int:
        """See Sampler."""
        taken_B = (step_B >= self._table.tail) & np.isfinite(priority_B)
        self._set(step_B[taken_B], priority_B[taken_B])
        return int(len(step_B) - taken_B.sum())

    def weights(self, step_N: np.ndarray) -> np.ndarray | None:
        """See Sampler."""
        return self._tree.get(step_N % self._table.capacity).astype(np.float32)

    def _set(self, step_N: np.ndarray, priority_N: np.ndarray) -> None:
        self._greatest = max(self._greatest, float(priority_N.max(initial=0.0)))
        weight_N = (priority_N.astype(np.float64) + PRIORITY_EPSILON) ** self._alpha
        self._tree.set(step_N % self._table.capacity, weight_N)


def priority_of_weight(weight_N: np.ndarray, alpha: float) -> np.ndarray:
    """|v - z| from what Sampler.weights returned with this alpha."""
    return np.maximum(weight_N.astype(np.float64) ** (1.0 / alpha) - PRIORITY_EPSILON, 0.0)


def make_sampler(config: ReplayConfig, table: Table, seed: int) -> Sampler:
    """The sampler that the profile asks for."""
    if config.sampler == "uniform":
        return UniformSampler(table, seed)
    return PrioritizedSampler(table, seed, alpha=config.priority_alpha, min_weight=config.min_importance_weight)

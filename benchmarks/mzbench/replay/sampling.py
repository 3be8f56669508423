"""The parts `draw`, `update` and `draw-and-update` of the case `replay`: SumTree against NumPy and cpprb.

Shape legend    B positions of a batch   N places of a sum-tree
"""

import itertools
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from mzpipe.replay.sum_tree import SumTree

from ..rates import MZPIPE, rates_of, rows_of
from ..report import Comparison
from ..timing import Contestant
from .cpprb import prioritized_buffer
from .rates import CPPRB, NUMPY
from .references import NumpyTree
from .tables import ALPHA, BATCH_SIZE, BETA, POSITIONS

Draw = Callable[[], tuple[np.ndarray, np.ndarray]]
Update = Callable[[np.ndarray, np.ndarray], object]
Sampler = tuple[Draw, Update]


def compare_sampling(cpprb: Any | None, num_places: int, rounds: int) -> list[Comparison]:
    """Compares draws with importance weights, updates, and both in turn as in a learner step."""
    rng = np.random.default_rng(0)
    priority_N, priority_B = rng.exponential(size=num_places), rng.exponential(size=BATCH_SIZE)
    turns = itertools.cycle(rng.integers(0, num_places, (POSITIONS // BATCH_SIZE, BATCH_SIZE)))
    samplers = _samplers(cpprb, priority_N)
    parts = {
        "draw": [Contestant(name, draw) for name, (draw, _) in samplers.items()],
        "update": _updates(samplers, turns, priority_B),
        "draw-and-update": _draws_and_updates(samplers, priority_B),
    }
    rows = []
    for part, every in parts.items():
        rows += rows_of(f"replay/{part}/{num_places}", "positions/s", rates_of(every, BATCH_SIZE, rounds))
    return rows


def _samplers(cpprb: Any | None, priority_N: np.ndarray) -> dict[str, Sampler]:
    samplers = {
        MZPIPE: tree_sampler(SumTree(len(priority_N)), priority_N),
        NUMPY: tree_sampler(NumpyTree(len(priority_N)), priority_N),
    }
    if cpprb:
        samplers[CPPRB] = _cpprb_sampler(cpprb, priority_N)
    return samplers


def _updates(samplers: dict[str, Sampler], turns: Iterator[np.ndarray], priority_B: np.ndarray) -> list[Contestant]:
    """All contestants except numpy, whose update is just an assignment: its cost is in the draw."""
    return [
        Contestant(name, partial(lambda update: update(next(turns), priority_B), update))
        for name, (_, update) in samplers.items()
        if name != NUMPY
    ]


def _draws_and_updates(samplers: dict[str, Sampler], priority_B: np.ndarray) -> list[Contestant]:
    return [
        Contestant(name, partial(lambda draw, update: update(draw()[0], priority_B), draw, update))
        for name, (draw, update) in samplers.items()
    ]


def tree_sampler(tree: SumTree | NumpyTree, priority_N: np.ndarray) -> tuple[Draw, Update]:
    """PrioritizedSampler's draw and update on its tree."""
    rng, num_places = np.random.default_rng(1), len(priority_N)
    tree.set(np.arange(num_places), priority_N**ALPHA)

    def draw() -> tuple[np.ndarray, np.ndarray]:
        place_B = tree.draw(rng.random(BATCH_SIZE))
        weight_B = (num_places * tree.get(place_B) / tree.total) ** -BETA
        return place_B, (weight_B / weight_B.max()).astype(np.float32)

    return draw, lambda place_B, priority_B: tree.set(place_B, priority_B**ALPHA)


def _cpprb_sampler(cpprb: Any, priority_N: np.ndarray) -> tuple[Draw, Update]:
    buffer = prioritized_buffer(cpprb, priority_N)

    def draw() -> tuple[np.ndarray, np.ndarray]:
        sample = buffer.sample(BATCH_SIZE, beta=BETA)
        return sample["indexes"], sample["weights"]

    return draw, buffer.update_priorities

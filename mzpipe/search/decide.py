"""Decide kernel: read the searched roots, and choose actions from their visits.

Last of the four search kernels (select, expand, backup, decide).

Shape legend    B trees   N nodes per tree   A actions
Reads           tree.{children_BNA, visits_BN, value_BN, q_BN}
Writes          result.{visits_BA, root_value_B, q_BA, search_policy_BA}
Preconditions   P1  every tree has at least one finished simulation.
Postconditions  I1  visits_BA sums to the finished simulations; illegal actions have 0.
                I2  search_policy_BA = visits / sum of visits.
                I3  q_BA is 0 where visits_BA is 0: unvisited or illegal.
Numerics        float32, fastmath off.
Oracle          tests/naive/search.py
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from ..errors import SearchInputError
from .tree import ROOT, Tree


class SearchResult(NamedTuple):
    """What a search found at the root of every tree."""

    # Simulations through each root action, int32.
    visits_BA: np.ndarray
    # Mean of the root's own evaluation and every return backed up to it, float32.
    root_value_B: np.ndarray
    # reward + discount * value of each root action, not normalised, float32; 0 where unvisited.
    q_BA: np.ndarray
    # visits / sum of visits, float32: the policy target.
    search_policy_BA: np.ndarray


def allocate_result(batch_size: int, num_actions: int) -> SearchResult:
    """Fresh arrays for one result; the caller keeps them."""
    return SearchResult(
        visits_BA=np.empty((batch_size, num_actions), np.int32),
        root_value_B=np.empty(batch_size, np.float32),
        q_BA=np.empty((batch_size, num_actions), np.float32),
        search_policy_BA=np.empty((batch_size, num_actions), np.float32),
    )


@njit(cache=True, nogil=True, fastmath=False)
def decide(tree: Tree, result: SearchResult) -> None:
    """Writes what the simulations so far say about every root."""
    num_trees, num_actions = result.visits_BA.shape
    for b in range(num_trees):
        simulations = np.float32(tree.visits_BN[b, ROOT] - 1)
        result.root_value_B[b] = tree.value_BN[b, ROOT]
        for action in range(num_actions):
            child = tree.children_BNA[b, ROOT, action]
            visits = tree.visits_BN[b, child] if child > ROOT else np.int32(0)
            result.visits_BA[b, action] = visits
            result.q_BA[b, action] = tree.q_BN[b, child] if child > ROOT else np.float32(0.0)
            result.search_policy_BA[b, action] = np.float32(visits) / simulations


def sample_action(visits_BA: np.ndarray, temperature: float | np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """action_B int32, drawn with probability proportional to visits^(1 / temperature).

    `temperature` is one number or one per tree; 0 takes the most visited action, the lowest index among equals.
    Raises SearchInputError for a negative or NaN temperature and for a tree without visits.
    """
    temperature_B1 = np.broadcast_to(np.asarray(temperature, np.float64), visits_BA.shape[:1])[:, None]
    if not np.all(temperature_B1 >= 0.0):
        raise SearchInputError(f"temperature={temperature} must be at least 0")
    most_B1 = visits_BA.max(axis=1, keepdims=True)
    if not np.all(most_B1 > 0):
        raise SearchInputError(f"visits_BA[{np.argmin(most_B1)}] has no visit to choose an action from")
    greedy_B1 = temperature_B1 == 0.0
    with np.errstate(divide="ignore", over="ignore"):
        score_BA = np.log(visits_BA / most_B1) / np.where(greedy_B1, 1.0, temperature_B1)
    noise_BA = rng.gumbel(size=visits_BA.shape)  # the largest of score + Gumbel noise is a draw from softmax(score)
    return np.argmax(score_BA + np.where(greedy_B1, 0.0, noise_BA), axis=1).astype(np.int32)

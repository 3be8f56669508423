"""Decide kernels: read the searched roots and choose actions.

Last of the four search kernels (select, expand, backup, decide).

Shape legend    B trees   A actions
Reads           the arena
Writes          visits_BA, root_value_B, q_BA, search_policy_BA; best_action_B
Preconditions   P1  every tree has at least one finished simulation, and no unfinished one.
Postconditions  I1  visits_BA sums to the finished simulations; illegal actions have 0.
                I2  search_policy_BA sums to 1: for pUCT it is visits / sum of visits, for Gumbel the improved policy of
                    its own module; illegal actions have 0.
                I3  q_BA is 0 where visits_BA is 0: unvisited or illegal.
Numerics        float32, the sum of a policy target float64; fastmath off.
Oracle          tests/naive/search.py
"""

from typing import NamedTuple

import numpy as np

from ..errors import SearchInputError
from .compiled import entry, kernel
from .gumbel import best_of_equals, write_policy_target
from .tree import NONE, ROOT, Tree, header_of, tree_of

_ZERO = np.float32(0.0)


class SearchResult(NamedTuple):
    """The results of a search at the root of every tree."""

    # Simulations through each root action, int32.
    visits_BA: np.ndarray
    # Mean of the root's own evaluation and every return backed up to it, float32.
    root_value_B: np.ndarray
    # reward + discount * value of each root action, not normalised, float32; 0 where unvisited.
    q_BA: np.ndarray
    # The policy target, float32: shares of the visits (pUCT), or the improved policy (Gumbel).
    search_policy_BA: np.ndarray


def allocate_result(batch_size: int, num_actions: int) -> SearchResult:
    """Fresh arrays for one result; the caller keeps them."""
    return SearchResult(
        visits_BA=np.zeros((batch_size, num_actions), np.int32),
        root_value_B=np.empty(batch_size, np.float32),
        q_BA=np.zeros((batch_size, num_actions), np.float32),
        search_policy_BA=np.zeros((batch_size, num_actions), np.float32),
    )


@kernel
def decide_root(tree: Tree, visits_A, q_A, search_policy_A):
    """Writes visits, q and shares of the visits of the root's children."""
    root = tree.edges_N[ROOT]
    child = root.first_child
    while child != NONE:
        edge = tree.edges_N[child]
        visits_A[edge.action] = edge.visits
        q_A[edge.action] = edge.q
        search_policy_A[edge.action] = np.float32(edge.visits) / np.float32(root.visits - 1)
        child = edge.next_sibling


@entry
def decide(arena, is_gumbel, visits_BA, root_value_B, q_BA, search_policy_BA):
    """Writes the results of the simulations so far for every root; the arrays must be filled with zeros."""
    header = header_of(arena)
    for b in range(root_value_B.shape[0]):
        tree = tree_of(arena, header, b)
        root_value_B[b] = tree.nodes_N[ROOT].value
        decide_root(tree, visits_BA[b], q_BA[b], search_policy_BA[b])
        if is_gumbel:
            write_policy_target(tree, header, search_policy_BA[b])


@kernel
def most_visits(edges_N):
    """The number of visits of the root's most visited edge."""
    most = np.uint16(0)
    child = edges_N[ROOT].first_child
    while child != NONE:
        most = max(most, edges_N[child].visits)
        child = edges_N[child].next_sibling
    return most


@entry
def best_actions(arena, action_B):
    """Gumbel's choice: the greatest noise + ln prior + sigma(q) among the most visited."""
    header = header_of(arena)
    for b in range(action_B.shape[0]):
        tree = tree_of(arena, header, b)
        most = most_visits(tree.edges_N)
        best = best_of_equals(tree.edges_N, tree.nodes_N[ROOT], tree.root_score_A, header, most)
        action_B[b] = tree.edges_N[best].action


def sample_action(visits_BA: np.ndarray, temperature: float | np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """action_B int32, drawn with probability proportional to visits^(1 / temperature).

    `temperature` is one number or one per tree; 0 takes the most visited action, the lowest index among equals.
    An action without visits is never drawn. Raises SearchInputError for a temperature that is negative, infinite or
    NaN, and for a tree without visits.
    """
    temperature_B1 = np.broadcast_to(np.asarray(temperature, np.float64), visits_BA.shape[:1])[:, None]
    bad_B1 = ~(np.isfinite(temperature_B1) & (temperature_B1 >= 0.0))
    if bad_B1.any():
        raise SearchInputError(f"temperature={temperature_B1[bad_B1][0]} must be finite and at least 0")
    most_B1 = visits_BA.max(axis=1, keepdims=True)
    if not np.all(most_B1 > 0):
        raise SearchInputError(f"visits_BA[{np.argmin(most_B1)}] has no visit to choose an action from")
    greedy_B1 = temperature_B1 == 0.0
    with np.errstate(divide="ignore", over="ignore"):
        score_BA = np.log(visits_BA / most_B1) / np.where(greedy_B1, 1.0, temperature_B1)
    noise_BA = rng.gumbel(size=visits_BA.shape)  # the largest of score + Gumbel noise is a draw from softmax(score)
    score_BA += np.where(greedy_B1, 0.0, noise_BA)
    return np.where(visits_BA > 0, score_BA, -np.inf).argmax(axis=1).astype(np.int32)

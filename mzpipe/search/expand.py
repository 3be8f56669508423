"""Expand kernels: turn the network's outputs into a root or a new leaf.

Second of the four search kernels (select, expand, backup, decide).

Shape legend    B trees   N nodes per tree   A actions
Reads           reward_B, value_B, policy_logits_BA, legal_actions_BA, tree.{parent_BN, action_BN}
Writes          one node of every tree: its row of children and prior, visits, value,
                reward, q; the edge that leads to it; at the root also q_min_B, q_max_B
Preconditions   P1  `find_bad_root` or `find_bad_outputs` returned NO_FAULT for the arrays.
                P2  parent_BN[b, k] and action_BN[b, k] name an UNVISITED edge.
Postconditions  I1  prior sums to 1 over the legal actions; illegal ones hold 0 and
                    are ILLEGAL. Only a root has illegal actions.
                I2  a root has visits 1 and the network's value; a leaf has visits 0
                    and value 0 until backup carries its value up.
                I3  the checks write nothing: refused arrays leave the trees as they were.
Numerics        float32 softmax less its maximum, summed in action order; fastmath off.
Oracle          tests/naive/search.py
"""

import numpy as np
from numba import njit

from .tree import ILLEGAL, ROOT, UNVISITED, Tree

# What a check found wrong; the tree's index comes with it.
NO_FAULT = 0
BAD_REWARD = 1
BAD_VALUE = 2
BAD_LOGITS = 3
NO_LEGAL_ACTION = 4


@njit(cache=True, nogil=True, fastmath=False)
def find_bad_outputs(reward_B: np.ndarray, value_B: np.ndarray, policy_logits_BA: np.ndarray) -> tuple[int, int]:
    """The fault of the first tree whose network outputs are not all finite, and that tree."""
    for b in range(value_B.shape[0]):
        if not np.isfinite(reward_B[b]):
            return BAD_REWARD, b
        if not np.isfinite(value_B[b]):
            return BAD_VALUE, b
        for action in range(policy_logits_BA.shape[1]):
            if not np.isfinite(policy_logits_BA[b, action]):
                return BAD_LOGITS, b
    return NO_FAULT, 0


@njit(cache=True, nogil=True, fastmath=False)
def find_bad_root(value_B: np.ndarray, policy_logits_BA: np.ndarray, legal_actions_BA: np.ndarray) -> tuple[int, int]:
    """The fault of the first tree that cannot be started, and that tree."""
    fault, bad_tree = find_bad_outputs(value_B, value_B, policy_logits_BA)
    if fault == BAD_REWARD:
        fault = BAD_VALUE
    for b in range(bad_tree if fault else value_B.shape[0]):
        if not np.any(legal_actions_BA[b]):
            return NO_LEGAL_ACTION, b
    return fault, bad_tree


@njit(cache=True, nogil=True, fastmath=False)
def write_prior(logits_A: np.ndarray, children_A: np.ndarray, prior_A: np.ndarray) -> None:
    """Softmax of the logits over the actions that are not ILLEGAL; 0 for the others."""
    highest = np.float32(-np.inf)
    for action in range(logits_A.shape[0]):
        if children_A[action] != ILLEGAL:
            highest = max(highest, logits_A[action])
    total = np.float32(0.0)
    for action in range(logits_A.shape[0]):
        prior_A[action] = np.float32(0.0)
        if children_A[action] != ILLEGAL:
            prior_A[action] = np.exp(logits_A[action] - highest)
            total += prior_A[action]
    for action in range(logits_A.shape[0]):
        prior_A[action] /= total


@njit(cache=True, nogil=True, fastmath=False)
def expand_root(
    tree: Tree, value_B: np.ndarray, policy_logits_BA: np.ndarray, legal_actions_BA: np.ndarray
) -> tuple[int, int]:
    """Starts every tree with its root evaluated once; nothing is written where a fault is returned."""
    fault = find_bad_root(value_B, policy_logits_BA, legal_actions_BA)
    if fault[0] != NO_FAULT:
        return fault
    for b in range(value_B.shape[0]):
        for action in range(policy_logits_BA.shape[1]):
            tree.children_BNA[b, ROOT, action] = UNVISITED if legal_actions_BA[b, action] else ILLEGAL
        write_prior(policy_logits_BA[b], tree.children_BNA[b, ROOT], tree.prior_BNA[b, ROOT])
        tree.visits_BN[b, ROOT] = 1
        tree.value_BN[b, ROOT] = value_B[b]
        tree.q_min_B[b] = np.inf
        tree.q_max_B[b] = -np.inf
    return fault


@njit(cache=True, nogil=True, fastmath=False)
def expand_leaf(tree: Tree, b: int, k: int, reward: float, logits_A: np.ndarray) -> None:
    """Hangs node `k` under the edge that select chose in tree `b`; all its edges are unvisited."""
    tree.children_BNA[b, tree.parent_BN[b, k], tree.action_BN[b, k]] = k
    tree.children_BNA[b, k, :] = UNVISITED
    write_prior(logits_A, tree.children_BNA[b, k], tree.prior_BNA[b, k])
    tree.visits_BN[b, k] = 0
    tree.value_BN[b, k] = 0.0
    tree.reward_BN[b, k] = reward

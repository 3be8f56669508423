"""Backup kernel: expand the chosen edges and carry each new value up to its root.

Third of the four search kernels (select, expand, backup, decide). From the leaf
up, G = value of the leaf, then G = reward + discount * G over each edge; a
negative discount turns the return around for the other player at every ply.

Shape legend    B trees   N nodes per tree   A actions
Reads           reward_B, value_B, policy_logits_BA, tree.{parent_BN, action_BN, reward_BN}
Writes          node k (see expand); tree.{visits_BN, value_BN, q_BN} on the path, q_min_B, q_max_B
Preconditions   P1  select chose the edges of simulation k in every tree.
Postconditions  I1  every node on path b, root and leaf included, gains exactly one
                    visit; no other node changes.
                I2  value is the mean of the returns backed up through the node,
                    with the root's own evaluation as its first.
                I3  q_BN[b, n] = reward + discount * value for every edge on the path, and
                    [q_min_B, q_max_B] holds every q ever written, stale ones too. The root
                    has no edge into it, so its value is not in the range.
                I4  where a fault is returned, nothing was written.
Numerics        float32 running means, leaf to root; fastmath off.
Oracle          tests/naive/search.py
"""

import numpy as np
from numba import njit

from .expand import NO_FAULT, expand_leaf, find_bad_outputs
from .tree import ROOT, Tree


@njit(cache=True, nogil=True, fastmath=False)
def add_return(tree: Tree, b: int, node: int, path_return: float) -> None:
    """Counts one visit of `node` and takes the return into its mean."""
    visits = tree.visits_BN[b, node] + 1
    tree.visits_BN[b, node] = visits
    tree.value_BN[b, node] += (path_return - tree.value_BN[b, node]) / np.float32(visits)


@njit(cache=True, nogil=True, fastmath=False)
def backup_path(tree: Tree, b: int, leaf: int, path_return: float, discount: np.float32) -> None:
    """Adds the leaf's value to every node from `leaf` to the root of tree `b`."""
    node = leaf
    while node != ROOT:
        add_return(tree, b, node, path_return)
        reward = tree.reward_BN[b, node]
        q = reward + discount * tree.value_BN[b, node]
        tree.q_BN[b, node] = q
        tree.q_min_B[b] = min(tree.q_min_B[b], q)
        tree.q_max_B[b] = max(tree.q_max_B[b], q)
        path_return = reward + discount * path_return
        node = tree.parent_BN[b, node]
    add_return(tree, b, ROOT, path_return)


@njit(cache=True, nogil=True, fastmath=False)
def expand_and_backup(
    tree: Tree, k: int, reward_B: np.ndarray, value_B: np.ndarray, policy_logits_BA: np.ndarray, discount: np.float32
) -> tuple[int, int]:
    """Ends simulation `k` in every tree; returns the first fault of the arrays and its tree."""
    fault = find_bad_outputs(reward_B, value_B, policy_logits_BA)
    if fault[0] != NO_FAULT:
        return fault
    for b in range(value_B.shape[0]):
        expand_leaf(tree, b, k, reward_B[b], policy_logits_BA[b])
        backup_path(tree, b, k, value_B[b], discount)
    return fault

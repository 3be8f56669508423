"""Select kernel: walk each tree from its root to the edge to expand next.

First of the four search kernels (select, expand, backup, decide). The score of
an edge is the pUCT rule of MuZero (Schrittwieser et al. 2020, appendix B) with
N(s) in place of the sum over its edges, as in mctx:

    score(s, a) = q(s, a) + prior(s, a) * exploration(N(s)) / (1 + N(s, a))
    exploration(n) = sqrt(n) * (pb_c_init + ln((n + pb_c_base + 1) / pb_c_base))

where q is scaled to [0, 1] by the least and greatest q this tree has seen, left
as it is until those two differ, and 0 for an edge never visited.

Shape legend    B trees   N nodes per tree   A actions
Reads           tree.{children_BNA, prior_BNA, visits_BN, q_BN, q_min_B, q_max_B}, exploration_N
Writes          tree.parent_BN[:, k], tree.action_BN[:, k], parent_index_B, action_B
Preconditions   P1  1 <= k < N and nodes 0 .. k - 1 of every tree are expanded.
                P2  the root of every tree has at least one legal action.
                P3  exploration_N covers every visit count, 0 .. N - 1.
Postconditions  I1  children[b, parent_index[b], action[b]] is UNVISITED, never ILLEGAL.
                I2  every edge on the way has the highest score of its node; ties
                    go to the lowest action index.
                I3  parent_index_B and action_B are copies: later changes to them
                    do not reach the tree.
Numerics        float32, fastmath off; the factor exploration is tabulated in float64.
Oracle          tests/naive/search.py
"""

import numpy as np
from numba import njit

from .tree import ILLEGAL, ROOT, UNVISITED, Tree


def exploration_table(num_nodes: int, pb_c_init: float, pb_c_base: float) -> np.ndarray:
    """exploration_N: the part of the score that depends on N(s) alone, float32."""
    visits_N = np.arange(num_nodes, dtype=np.float64)
    growth_N = pb_c_init + np.log((visits_N + pb_c_base + 1.0) / pb_c_base)
    return (np.sqrt(visits_N) * growth_N).astype(np.float32)


@njit(cache=True, nogil=True, fastmath=False)
def best_action(tree: Tree, b: int, node: int, exploration: float) -> int:
    """The action with the highest pUCT score at `node`; the first legal one where every score is NaN."""
    low = tree.q_min_B[b]
    spread = tree.q_max_B[b] - low
    best, best_score = -1, np.float32(-np.inf)
    for action in range(tree.prior_BNA.shape[2]):
        child = tree.children_BNA[b, node, action]
        if child == ILLEGAL:
            continue
        score = tree.prior_BNA[b, node, action] * exploration
        if child != UNVISITED:
            q = tree.q_BN[b, child]
            if spread > np.float32(0.0):
                q = (q - low) / spread
            score = q + score / np.float32(1 + tree.visits_BN[b, child])
        if best < 0 or score > best_score:
            best, best_score = action, score
    return best


@njit(cache=True, nogil=True, fastmath=False)
def select(tree: Tree, k: int, exploration_N: np.ndarray, parent_index_B: np.ndarray, action_B: np.ndarray) -> None:
    """Chooses for every tree the edge that simulation `k` expands."""
    for b in range(tree.visits_BN.shape[0]):
        child, node, action = ROOT, ROOT, -1
        while child != UNVISITED:
            node = child
            action = best_action(tree, b, node, exploration_N[tree.visits_BN[b, node]])
            child = tree.children_BNA[b, node, action]
        tree.parent_BN[b, k] = node
        tree.action_BN[b, k] = action
        parent_index_B[b] = node
        action_B[b] = action

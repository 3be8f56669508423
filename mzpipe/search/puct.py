"""Selection by pUCT: walks each tree from its root to the edge to expand next.

First of the four search kernels (select, expand, backup, decide). The score of
an edge is the pUCT rule of MuZero (Schrittwieser et al. 2020, appendix B) with
N(s) in place of the sum over its edges, as in mctx:

    score(s, a) = q(s, a) + prior(s, a) * exploration(N(s)) / (1 + N(s, a))
    exploration(n) = sqrt(n) * (pb_c_init + ln((n + pb_c_base + 1) / pb_c_base))

where q stands for (q - low) * scale. `search.q_normalization` sets low and scale:

    tree       to [0, 1] over every q this tree has seen; q as it is until two of them differ by 1.2e-38, the smallest
               normal float32
    siblings   to [0, 1] over V(s) and the visited q(s, .)
    bounds     to [0, 1] over search.q_bounds

where tree and siblings divide by no less than search.min_q_spread. `search.unvisited_q` sets q of an unvisited edge:

    zero   0 after scaling (the paper)
    mean   at the root the mean of the visited q(s, .); below it (carried + sum of the visited q) / (1 + their number),
           where carried is the mean used at the node above (EfficientZero, Ye et al. 2021). A negative discount turns
           its sign. It is cut to the q of this tree, or to V(s) and the visited q(s, .), where these set the scale:
           divided by a tiny spread, a number outside it would outweigh all else.

The unvisited edges of a node share q and the factor exploration, so the one with the greatest prior has their best
score. A node keeps that edge, and selection compares it with the visited edges only. The result is the argmax of a full
scan in which ties go to the lowest action; unvisited edges are compared by their weights, before rounding can equalise
scores.

Shape legend    B trees   N nodes per tree
Reads           edges_N, nodes_N, tables_N.exploration
Writes          parent of node k
Preconditions   P1  1 <= k < N and nodes 0 .. k - 1 of the tree are expanded.
                P2  the root has at least one legal action.
Postconditions  I1  node k's parent has an unvisited edge, and it is the best there is.
                I2  every edge on the way has the highest score of its node; ties go to the lowest action.
Numerics        float32, sums over children newest first, fastmath off; exploration is tabulated in float64. Even
                outputs so large that scores become NaN cannot lead to an illegal edge.
Oracle          tests/naive/search.py
"""

import numpy as np

from .compiled import kernel
from .tree import NONE, ROOT

# Values of the header's normalization.
TREE, SIBLINGS, BOUNDS = 0, 1, 2
# Smallest normal float32: least spread at which the q of a tree are scaled.
_TINY = np.float32(1.1754944e-38)
_ONE, _ZERO, _LOWEST = np.float32(1.0), np.float32(0.0), np.float32(-np.inf)


def exploration_table(num_nodes: int, pb_c_init: float, pb_c_base: float) -> np.ndarray:
    """exploration_N: the part of the score that depends on N(s) alone, float32."""
    visits_N = np.arange(num_nodes, dtype=np.float64)
    growth_N = pb_c_init + np.log((visits_N + pb_c_base + 1.0) / pb_c_base)
    return (np.sqrt(visits_N) * growth_N).astype(np.float32)


@kernel
def tree_normalization(root, header):
    """(low, scale, least carried q, greatest carried q) for all nodes of one tree."""
    if header.normalization == TREE:
        spread = root.q_max - root.q_min
        if spread >= _TINY:
            return root.q_min, _ONE / max(spread, header.min_q_spread), root.q_min, root.q_max
        return _ZERO, _ONE, root.q_min, root.q_max
    return header.q_low, header.q_scale, _LOWEST, -_LOWEST


@kernel
def sibling_normalization(edges_N, first_child, value, min_q_spread):
    """The same over V(node) and the q of its visited edges."""
    low = high = value
    child = first_child
    while child != NONE:
        edge = edges_N[child]
        low, high = min(low, edge.q), max(high, edge.q)
        child = edge.next_sibling
    return low, _ONE / max(high - low, min_q_spread), low, high


@kernel
def mean_q(edges_N, index, carried, least, most):
    """The mean of a node's visited q; below the root the carried one, cut to [least, most], is one of them."""
    sum_q, count = _ZERO, 0
    child = edges_N[index].first_child
    while child != NONE:
        sum_q, count = sum_q + edges_N[child].q, count + 1
        child = edges_N[child].next_sibling
    if index == ROOT:
        return sum_q / np.float32(count)
    return (min(max(carried, least), most) + sum_q) / np.float32(count + 1)


@kernel
def best_child(edges_N, first_child, node, unvisited_q, exploration, low, scale):
    """The child with the highest score, or NONE where the best unvisited edge beats them all."""
    child = first_child
    best, best_action, best_score = NONE, node.best_action, unvisited_q + node.best_prior * exploration
    if best_action == NONE:
        best, best_action, best_score = child, edges_N[child].action, _LOWEST
    while child != NONE:
        edge = edges_N[child]
        score = (edge.q - low) * scale + edge.prior * exploration / np.float32(edge.visits + 1)
        if score > best_score or (score == best_score and edge.action < best_action):
            best, best_action, best_score = child, edge.action, score
        child = edge.next_sibling
    return best


@kernel
def select_puct(edges_N, nodes_N, tables_N, header, k):
    """Chooses the node whose best unvisited edge simulation `k` expands."""
    low, scale, least, most = tree_normalization(nodes_N[ROOT], header)
    siblings, takes_mean = header.normalization == SIBLINGS, header.unvisited_mean
    mean = unvisited_q = _ZERO
    index = child = ROOT
    while child != NONE:
        index = child
        edge, node = edges_N[index], nodes_N[index]
        if edge.first_child == NONE:
            break
        if siblings:
            low, scale, least, most = sibling_normalization(edges_N, edge.first_child, node.value, header.min_q_spread)
        if takes_mean:
            mean = mean_q(edges_N, index, -mean if header.discount < _ZERO else mean, least, most)
            unvisited_q = (mean - low) * scale
        exploration = tables_N[edge.visits].exploration
        child = best_child(edges_N, edge.first_child, node, unvisited_q, exploration, low, scale)
    nodes_N[k].parent = index

"""Chance kernels: trees in which decision nodes and chance nodes take turns.

They search as Stochastic MuZero does (Antonoglou et al. 2022), with pUCT or Gumbel MuZero's rules in decision nodes. A
decision node's edges are the A actions, and lead to chance nodes: the afterstates. A chance node's edges are the C
codes of what chance may do, and lead to decision nodes. The root is a decision node. Network outputs and rows have
A + C places, the actions first; a node reads its own kind's and never the others.

    decision node   pUCT, as `puct` has it; the carried mean passes a chance node unchanged. Or Gumbel, as `gumbel` has
                    it, at the root and below it
    chance node     argmax over codes of prior(code) / (1 + N(code)): visits follow the network's probabilities, without
                    a draw, as in mctx
    edges           into a chance node q is the afterstate's value, without reward and discount; into a decision node it
                    is reward + discount * value

Shape legend    B trees   N nodes per tree   A actions   C codes   L = A + C, padded: places of one row
Reads           reward, value and policy_A of one tree
Writes          as select_puct or select_gumbel, expand_leaf and backup_path do, and is_chance of node k
Preconditions   P1  those of `puct` or `gumbel`, `expand` and `backup`; policies are logits.
                P2  at the root the codes are illegal.
Postconditions  I1  node k is a chance node if and only if its parent is a decision node.
                I2  an edge out of a chance node has an action of A or more, every other one less.
                I3  priors of a node's own kind sum to 1.
Numerics        as in `puct`, `gumbel`, `expand` and `backup`.
Oracle          tests/naive/search.py
"""

import numpy as np

from .arithmetic import FIXED_ONE
from .backup import add_return
from .compiled import expression, kernel
from .expand import close_row, row_of
from .gumbel import considered_child, select_below
from .puct import SIBLINGS, best_child, mean_q, sibling_normalization, tree_normalization
from .rows import copy_padded, exponentiate, greatest, mass
from .tree import NONE, ROOT, TAKEN, Tree

_ONE, _ZERO, _NOTHING = np.float32(1.0), np.float32(0.0), np.float32(-np.inf)


@kernel
def hide(row_L, is_chance, num_actions, value):
    """Puts `value` in the places of the other kind's edges."""
    if is_chance:
        for place in range(num_actions):
            row_L[place] = value
    else:
        for place in range(num_actions, row_L.shape[0]):
            row_L[place] = value


@expression
def weigh_kind(tree: Tree, node, full_L, num_actions):
    """Turns the logits of a node's own kind into weights that sum to 1, and closes the row."""
    record = tree.nodes_N[node]
    exponentiate(full_L, greatest(full_L))
    record.unvisited_mass = mass(full_L)
    record.row_scale = FIXED_ONE / np.float32(record.unvisited_mass)
    hide(full_L, record.is_chance, num_actions, TAKEN)
    close_row(tree, node, full_L)


@expression
def write_kind_row(tree: Tree, k, policy_A, num_actions):
    """Keeps the policy of a new node: that of its own kind's edges."""
    full_L = tree.spare_L if tree.labels_R.shape[0] else row_of(tree, k)
    copy_padded(policy_A, full_L, _NOTHING)
    hide(full_L, tree.nodes_N[k].is_chance, num_actions, _NOTHING)
    if tree.labels_R.shape[0]:
        weigh_kind(tree, k, full_L, num_actions)


@expression
def open_kind(tree: Tree, node, num_actions):
    """Weighs the row of a node that is about to get its first child."""
    if node != ROOT and tree.labels_R.shape[0] == 0:
        weigh_kind(tree, node, row_of(tree, node), num_actions)


@kernel
def set_kind(nodes_N, k):
    """Makes node `k` of the other kind than its parent; no reward comes before chance has played."""
    leaf = nodes_N[k]
    leaf.is_chance = 1 - nodes_N[leaf.parent].is_chance
    if leaf.is_chance:
        leaf.reward = _ZERO


@kernel
def backup_chance(edges_N, nodes_N, leaf, discount):
    """Adds the leaf's value to every node from `leaf` to the root."""
    root = nodes_N[ROOT]
    low, high = root.q_min, root.q_max
    index = np.uint16(leaf)
    path_return = nodes_N[leaf].raw_value
    while index != ROOT:
        edge, node = edges_N[index], nodes_N[index]
        add_return(edge, node, path_return)
        factor = _ONE if node.is_chance else discount
        edge.q = node.reward + factor * node.value
        if node.is_chance:  # only edges that are chosen by q set its scale
            low, high = min(low, edge.q), max(high, edge.q)
        path_return = node.reward + factor * path_return
        index = node.parent
    root.q_min, root.q_max = low, high
    add_return(edges_N[ROOT], root, path_return)


@kernel
def likeliest_child(edges_N, first_child, node):
    """The child that a chance node visits next, or NONE for its best unvisited edge."""
    return best_child(edges_N, first_child, node, _ZERO, _ONE, _ZERO, _ZERO)


@kernel
def select_puct_chance(edges_N, nodes_N, tables_N, header, k):
    """Chooses by pUCT the node whose best unvisited edge simulation `k` expands."""
    low, scale, least, most = tree_normalization(nodes_N[ROOT], header)
    siblings, takes_mean = header.normalization == SIBLINGS, header.unvisited_mean
    mean = unvisited_q = _ZERO
    index = child = ROOT
    while child != NONE:
        index = child
        edge, node = edges_N[index], nodes_N[index]
        if edge.first_child == NONE:
            break
        if node.is_chance:
            child = likeliest_child(edges_N, edge.first_child, node)
            continue
        if siblings:
            low, scale, least, most = sibling_normalization(edges_N, edge.first_child, node.value, header.min_q_spread)
        if takes_mean:
            mean = mean_q(edges_N, index, -mean if header.discount < _ZERO else mean, least, most)
            unvisited_q = (mean - low) * scale
        exploration = tables_N[edge.visits].exploration
        child = best_child(edges_N, edge.first_child, node, unvisited_q, exploration, low, scale)
    nodes_N[k].parent = index


@kernel
def select_gumbel_chance(edges_N, nodes_N, root_score_A, halving_K, weight_L, header, k):
    """Chooses by Gumbel MuZero the node whose best unvisited edge simulation `k` expands."""
    index, child = ROOT, considered_child(edges_N, nodes_N, root_score_A, halving_K, header, k)
    while child != NONE:
        index = child
        edge, node = edges_N[index], nodes_N[index]
        if edge.first_child == NONE:
            break
        if node.is_chance:
            child = likeliest_child(edges_N, edge.first_child, node)
        else:
            child = select_below(edges_N, node, edge, weight_L, header)
    nodes_N[k].parent = index


@expression
def select_chance(tree: Tree, header, k):
    """Chooses the node whose best unvisited edge simulation `k` expands."""
    if header.num_considered:
        select_gumbel_chance(tree.edges_N, tree.nodes_N, tree.root_score_A, tree.halving_K, tree.spare_L, header, k)
    else:
        select_puct_chance(tree.edges_N, tree.nodes_N, tree.tables_N, header, k)

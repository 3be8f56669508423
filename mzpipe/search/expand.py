"""Expand kernels: turn the network's outputs into a root or a new leaf.

Second of the four search kernels (select, expand, backup, decide).

Shape legend    N nodes per tree   A actions   L places of one row
Reads           reward, value, policy_A and legal_A of one tree
Writes          node k with its row, the edge into it, and its parent's best unvisited edge; of a root also root_prior_A
Preconditions   P1  `find_fault` or `find_root_fault` found no fault in the arrays.
                P2  select chose the parent of node k, and name_edge its best unvisited edge.
Postconditions  I1  root_prior_A sums to 1 over the legal actions and is 0 elsewhere.
                I2  a root has visits 1 and the network's value; a leaf has visits 0 and value 0 until backup carries
                    its value up.
                I3  best_prior, best_action and best_place of the root, and of every node with a child or about to get
                    one, name its unvisited edge of the greatest weight, the lowest action among equals, or NONE.
Numerics        float32; see arithmetic and rows; fastmath off.
Oracle          tests/naive/search.py
"""

import numpy as np

from .arithmetic import FIXED_ONE, to_fixed
from .compiled import expression, kernel
from .rows import (
    best_place,
    copy_padded,
    divide_by_greatest,
    exponentiate,
    exponentiate_legal,
    greatest,
    mass,
    shorten,
    take_from,
)
from .tree import MASKED_LOGITS, NONE, ROOT, TAKEN, Tree

_ONE, _ZERO, _NOTHING = np.float32(1.0), np.float32(0.0), np.float32(-np.inf)


@expression
def row_of(tree: Tree, node):
    """The weights of a node's unvisited edges."""
    return tree.weights_R[tree.tables_N[node].row : tree.tables_N[node + 1].row]


@expression
def name_best(tree: Tree, node, place):
    """Records the edge at `place` of a node's row as its best unvisited one."""
    record = tree.nodes_N[node]
    record.best_place = place
    if place == NONE:
        record.best_action = NONE
        record.best_prior = _ZERO
    else:
        there = tree.tables_N[node].row + place
        record.best_action = tree.labels_R[there] if tree.labels_R.shape[0] else place
        record.best_prior = tree.weights_R[there] * record.row_scale


@expression
def take_best(tree: Tree, node):
    """Takes the best unvisited edge of a node out of its row, and finds the next best."""
    record = tree.nodes_N[node]
    row_L = row_of(tree, node)
    record.unvisited_mass -= to_fixed(row_L[record.best_place])
    row_L[record.best_place] = TAKEN
    name_best(tree, node, best_place(row_L))


@expression
def close_row(tree: Tree, node, full_L):
    """Completes a row: writes its padding, the short row if rows are short, and the best edge."""
    row_L = row_of(tree, node)
    take_from(full_L, tree.root_prior_A.shape[0])
    if tree.labels_R.shape[0]:
        labels_L = tree.labels_R[tree.tables_N[node].row : tree.tables_N[node + 1].row]
        shorten(full_L, row_L, labels_L, tree.nodes_N.shape[0] - 1 - node)
    name_best(tree, node, best_place(row_L))


@expression
def weigh_row(tree: Tree, node, full_L, from_logits):
    """Turns a policy in a row into weights, and closes it."""
    record = tree.nodes_N[node]
    if from_logits == MASKED_LOGITS:
        record.unvisited_mass = exponentiate_legal(full_L, greatest(full_L))
    else:
        if from_logits:
            exponentiate(full_L, greatest(full_L))
        record.unvisited_mass = mass(full_L)
    record.row_scale = FIXED_ONE / np.float32(record.unvisited_mass) if from_logits else _ONE
    close_row(tree, node, full_L)


@expression
def write_row(tree: Tree, node, policy_A, from_logits):
    """Keeps the policy of a new node. A full row gets its weights only when an edge of it is needed (`open_row`): most
    nodes never get a child."""
    padding = _NOTHING if from_logits else _ZERO
    if tree.labels_R.shape[0]:
        copy_padded(policy_A, tree.spare_L, padding)
        weigh_row(tree, node, tree.spare_L, from_logits)
    else:
        copy_padded(policy_A, row_of(tree, node), padding)


@expression
def open_row(tree: Tree, node, from_logits):
    """Weighs the row of a node that is about to get its first child."""
    if node != ROOT and tree.labels_R.shape[0] == 0:
        weigh_row(tree, node, row_of(tree, node), from_logits)


@kernel
def hang_leaf(edges_N, nodes_N, k, reward, raw_value):
    """Makes node `k` the newest child of the parent that select chose for it."""
    edge, leaf = edges_N[k], nodes_N[k]
    parent = edges_N[leaf.parent]
    edge.prior = nodes_N[leaf.parent].best_prior
    edge.next_sibling = parent.first_child
    parent.first_child = k
    edge.first_child = NONE
    edge.visits = 0
    leaf.value = _ZERO
    leaf.raw_value = raw_value
    leaf.reward = reward


@kernel
def write_root_prior(tree: Tree, policy_A, legal_A, from_logits):
    """root_prior_A: the policy over the legal actions, summing to 1."""
    full_L = tree.spare_L
    if from_logits:
        copy_padded(policy_A, full_L, _NOTHING)
        mask(full_L, legal_A, _NOTHING)
        exponentiate(full_L, greatest(full_L))
        mask(full_L, legal_A, _ZERO)
    else:
        copy_padded(policy_A, full_L, _ZERO)
        mask(full_L, legal_A, _ZERO)
        divide_by_greatest(full_L)
    scale = FIXED_ONE / np.float32(mass(full_L))
    for action in range(policy_A.shape[0]):
        tree.root_prior_A[action] = full_L[action] * scale


@kernel
def mask(row_L, legal_A, value):
    """Puts `value` in the places of illegal actions."""
    for action in range(legal_A.shape[0]):
        if not legal_A[action]:
            row_L[action] = value


@kernel
def expand_root(tree: Tree, raw_value, policy_A, legal_A, from_logits):
    """Starts a tree with its root evaluated once."""
    root = tree.nodes_N[ROOT]
    tree.edges_N[ROOT].visits = 1
    tree.edges_N[ROOT].first_child = NONE
    root.value = raw_value
    root.raw_value = raw_value
    root.q_min = np.float32(np.inf)
    root.q_max = np.float32(-np.inf)
    write_root_prior(tree, policy_A, legal_A, from_logits)


@kernel
def write_root_row(tree: Tree, legal_A):
    """The root's row of weights from its prior, noise included; illegal actions are TAKEN."""
    full_L = tree.spare_L if tree.labels_R.shape[0] else row_of(tree, ROOT)
    tree.nodes_N[ROOT].row_scale = _ONE
    tree.nodes_N[ROOT].unvisited_mass = 0
    copy_padded(tree.root_prior_A, full_L, TAKEN)
    mask(full_L, legal_A, TAKEN)
    close_row(tree, ROOT, full_L)


@expression
def expand_leaf(tree: Tree, k, policy_A, from_logits):
    """Gives node `k` its row, and takes the edge into it out of its parent's row."""
    take_best(tree, tree.nodes_N[k].parent)
    write_row(tree, k, policy_A, from_logits)

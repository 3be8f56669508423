"""Several leaves of one tree at a time: as many walks as a batch has rows, then one network call for all of them.

    begin_leaves      the root's row
    each round        select_leaves    walks to nodes k, k + 1, ..., and hangs each on its parent
                      answer_leaves    gives each its outputs, and carries its value up

A node that waits for its answer is in flight. Its walk has counted one visit at every node from it to the root: these
visits are pending. A score sees them in its N and sees q without them (Liu et al. 2020, "Watch the unobserved"), so the
next walk finds the path less worth a visit, but no worse. The node in flight itself has no q yet: pUCT gives it the
lowest of the scale that its parent's edges have, Gumbel the mixed value, which unvisited edges have too.

A walk that ends at a node in flight has collided: it can go no deeper. Its visits stay pending until the round's walks
are done, so that the next walk goes elsewhere, and are then taken back. Gumbel's root counts the visits of its actions
exactly, so there only the nodes below the root's child keep them.

Shape legend    N nodes of the tree   P rows of the batch   W walks of a round   A actions
Reads           what puct, gumbel, expand and backup read, in tree 0 of the arena
Writes          what they write; visits and pending of every node on a walk; parent_P and action_P
Preconditions   P1  begin_leaves, then select_leaves and answer_leaves in turns; node `first` is the next that is free.
                P2  most <= walks and first + walks <= num_simulations + 1, so that every N has its exploration factor;
                    rows are full; shapes and types are as DeepSearch checks them.
Postconditions  I1  select_leaves returns (leaves, collisions): 1 <= leaves <= most, and leaves + collisions <= walks.
                I2  after answer_leaves no visit is pending, and visits, value and q of every node are those of as many
                    calls of backup_path in the order of the nodes.
                I3  with one row a round is one simulation of simulate, bit for bit.
                I4  if answer_leaves returns a fault, it has written nothing.
Numerics        as in puct, gumbel, expand and backup.
Oracle          tests/naive/deep.py        Benchmark  mzpipe bench deep
"""

import numpy as np

from .compiled import entry, expression, kernel
from .expand import hang_leaf, take_best, write_root_row, write_row
from .faults import NO_FAULT, first_fault
from .gumbel import completion, root_completion, select_gumbel, sums_below
from .halving import name_considered, start_root
from .puct import SIBLINGS, select_puct, sibling_normalization, tree_normalization
from .simulate import name_edge
from .tree import NONE, ROOT, header_of, tree_of

_ONE, _ZERO, _VISIT = np.float32(1.0), np.float32(0.0), np.uint16(1)
# Minus one visit, in numbers that wrap around.
_NO_VISIT = np.uint16(0xFFFF)


@kernel
def lowest_q(edges_N, nodes_N, parent, header):
    """The q that pUCT's scale maps to 0 at this node."""
    if header.normalization == SIBLINGS:
        return sibling_normalization(edges_N, edges_N[parent].first_child, nodes_N[parent].value, header.min_q_spread)[
            0
        ]
    return tree_normalization(nodes_N[ROOT], header)[0]


@kernel
def mixed_q(edges_N, nodes_N, parent, header):
    """Gumbel's completed q of this node's unvisited edges."""
    node, first_child = nodes_N[parent], edges_N[parent].first_child
    if first_child == NONE:
        return node.raw_value
    if parent == ROOT:
        return root_completion(edges_N, node, header)[0]
    per_visit = _ONE / np.float32(edges_N[parent].visits)
    return completion(sums_below(edges_N, first_child), node, per_visit, header)[0]


@kernel
def count_pending(edges_N, nodes_N, leaf):
    """Counts a pending visit of every node from `leaf` to the root."""
    index = np.uint16(leaf)
    while index != ROOT:
        edges_N[index].visits += _VISIT
        nodes_N[index].pending += _VISIT
        index = nodes_N[index].parent
    edges_N[ROOT].visits += _VISIT
    nodes_N[ROOT].pending += _VISIT


@kernel
def add_collided(edges_N, nodes_N, leaf, change, with_root):
    """Adds `change`, 1 or -1 as uint16, to the pending visits of the nodes from `leaf` up: to the root, or to the node
    below the root's child."""
    index = np.uint16(leaf)
    while index != ROOT and (with_root or nodes_N[index].parent != ROOT):
        edges_N[index].visits += change
        nodes_N[index].pending += change
        index = nodes_N[index].parent
    if with_root:
        edges_N[ROOT].visits += change
        nodes_N[ROOT].pending += change


@expression
def hang_in_flight(tree, k, header):
    """Hangs node `k` on the parent that select chose, and takes the edge into it out of the parent's row."""
    parent = tree.nodes_N[k].parent
    if header.num_considered:
        q = mixed_q(tree.edges_N, tree.nodes_N, parent, header)
    else:
        q = lowest_q(tree.edges_N, tree.nodes_N, parent, header)
    hang_leaf(tree.edges_N, tree.nodes_N, k, _ZERO, _ZERO)
    tree.edges_N[k].q = q
    tree.nodes_N[k].pending = 0
    if header.num_considered and parent == ROOT:
        name_considered(tree, tree.nodes_N[ROOT].best_place + 1)
    else:
        take_best(tree, parent)


@entry
def begin_leaves(arena, legal_A, noise_A):
    """Makes the root of tree 0 ready for its first walk; start_roots has written it."""
    header = header_of(arena)
    tree = tree_of(arena, header, 0)
    tree.nodes_N[ROOT].pending = 0
    if header.num_considered:
        start_root(tree, noise_A, header.num_considered)
    else:
        write_root_row(tree, legal_A)


@entry
def select_leaves(arena, first, most, walks, collided_W, parent_P, action_P):
    """Walks up to `walks` times for up to `most` leaves, and writes the edges into node `first` and those after it;
    returns (leaves, collisions)."""
    header = header_of(arena)
    tree = tree_of(arena, header, 0)
    count, collisions = 0, 0
    while count < most and count + collisions < walks:
        k = first + count
        if header.num_considered:
            select_gumbel(tree.edges_N, tree.nodes_N, tree.root_score_A, tree.halving_K, tree.spare_L, header, k)
        else:
            select_puct(tree.edges_N, tree.nodes_N, tree.tables_N, header, k)
        parent = tree.nodes_N[k].parent
        if tree.edges_N[parent].visits == tree.nodes_N[parent].pending:
            collided_W[collisions] = parent
            add_collided(tree.edges_N, tree.nodes_N, parent, _VISIT, header.num_considered == 0)
            collisions += 1
            continue
        name_edge(tree, k, count, header.from_logits, parent_P, action_P)
        hang_in_flight(tree, k, header)
        count_pending(tree.edges_N, tree.nodes_N, k)
        count += 1
    for place in range(collisions):
        add_collided(tree.edges_N, tree.nodes_N, collided_W[place], _NO_VISIT, header.num_considered == 0)
    return count, collisions


@kernel
def answer_visit(edge, node, path_return):
    """Turns one pending visit of a node into a visit with this return."""
    node.pending -= _VISIT
    node.value += (path_return - node.value) / np.float32(edge.visits - node.pending)


@kernel
def backup_in_flight(edges_N, nodes_N, leaf, discount):
    """Adds the leaf's value to every node from `leaf` to the root; their visits have been counted."""
    root = nodes_N[ROOT]
    low, high = root.q_min, root.q_max
    index = np.uint16(leaf)
    path_return = nodes_N[leaf].raw_value
    while index != ROOT:
        edge, node = edges_N[index], nodes_N[index]
        answer_visit(edge, node, path_return)
        q = node.reward + discount * node.value
        edge.q = q
        low, high = min(low, q), max(high, q)
        path_return = node.reward + discount * path_return
        index = node.parent
    root.q_min, root.q_max = low, high
    answer_visit(edges_N[ROOT], root, path_return)


@entry
def answer_leaves(arena, first, reward_P, value_P, policy_PA):
    """Ends the round whose first node is `first`; returns the first fault of the arrays and its row."""
    header = header_of(arena)
    fault = first_fault(reward_P, value_P, policy_PA, header.from_logits)
    if fault[0] != NO_FAULT:
        return fault
    tree = tree_of(arena, header, 0)
    for place in range(value_P.shape[0]):
        k = first + place
        tree.nodes_N[k].reward = reward_P[place]
        tree.nodes_N[k].raw_value = value_P[place]
        if k < header.num_nodes - 1:
            write_row(tree, k, policy_PA[place], header.from_logits)
        backup_in_flight(tree.edges_N, tree.nodes_N, k, header.discount)
    return fault

"""Keeping a subtree: after a move, the node that it led to becomes the root, and what is below it is searched on.

The nodes kept are numbered anew in their old order, so a parent still comes before its children and lists of children
are still newest first. The new root's network outputs replace those of the node: its prior, its value and what is legal
come from the real observation. What the search has found below it stays, in units of the model's predictions: rewards,
values, visits and q of every node that is kept.

Shape legend    N nodes of the tree   A actions   K nodes that are kept
Reads           tree 0 of the arena, policy_A, value, legal_A
Writes          the kept nodes in places 0 .. K - 1 of the tree, with their rows; kept_N
Preconditions   P1  no visit is pending; rows are full and every node has one; the search is pUCT.
                P2  `find_root_fault` found no fault in the arrays, which are those of the new root.
Postconditions  I1  kept_N[:K] are the old indexes of the kept nodes, ascending; the first one is the new root's.
                I2  a node below the new root is kept if and only if the root's edge to it is legal; its visits, value,
                    reward, q and row are as they were.
                I3  the root has 1 + K - 1 visits; its value is the mean of its own evaluation and of the returns of
                    its children, q each, weighed by their visits; [q_min, q_max] holds the q of the kept nodes.
                I4  the children's priors, and the root's row, are those of the new policy.
Numerics        float32, the root's mean over its children newest first; fastmath off.
Oracle          tests/naive/deep.py
"""

import numpy as np

from .compiled import entry, expression, kernel
from .expand import expand_root, name_best, row_of, write_root_row
from .faults import NO_FAULT, find_root_fault
from .rows import best_place
from .tree import NONE, ROOT, TAKEN, header_of, tree_of


@kernel
def find_node(edges_N, path):
    """The node that these actions lead to from the root; NONE if the search has not been there."""
    index = ROOT
    for action in path:
        index = edges_N[index].first_child
        while index != NONE and edges_N[index].action != action:
            index = edges_N[index].next_sibling
        if index == NONE:
            break
    return index


@kernel
def number_anew(edges_N, nodes_N, root, num_nodes, legal_A, new_N, kept_N):
    """Numbers the nodes to keep: new_N by old index, NONE elsewhere; kept_N by new index. Returns their count."""
    for index in range(root):
        new_N[index] = NONE
    new_N[root], kept_N[0] = ROOT, root
    count = 1
    for index in range(root + 1, num_nodes):
        parent = nodes_N[index].parent
        new_N[index] = NONE
        if new_N[parent] != NONE and (parent != root or legal_A[edges_N[index].action]):
            new_N[index], kept_N[count] = count, index
            count += 1
    return count


@kernel
def copy_row(from_L, to_L):
    """Copies one row to another of the same length."""
    for place in range(from_L.shape[0]):
        to_L[place] = from_L[place]


@expression
def move_node(tree, old, new, new_N):
    """Moves a node, with its row, to its new place, and hangs it on its parent."""
    parent = new_N[tree.nodes_N[old].parent]
    if old != new:
        tree.edges_N[new] = tree.edges_N[old]
        tree.nodes_N[new] = tree.nodes_N[old]
        copy_row(row_of(tree, old), row_of(tree, new))
    tree.nodes_N[new].parent = parent
    tree.edges_N[new].first_child = NONE
    tree.edges_N[new].next_sibling = tree.edges_N[parent].first_child
    tree.edges_N[parent].first_child = new


@expression
def take_in_children(tree):
    """Makes the root's children, already hung on it, edges of its new policy, and counts their visits and returns."""
    root, row_L = tree.nodes_N[ROOT], row_of(tree, ROOT)
    visits = np.uint16(1)
    child = tree.edges_N[ROOT].first_child
    while child != NONE:
        edge = tree.edges_N[child]
        edge.prior = tree.root_prior_A[edge.action]
        row_L[edge.action] = TAKEN
        visits += edge.visits
        root.value += (edge.q - root.value) * (np.float32(edge.visits) / np.float32(visits))
        child = edge.next_sibling
    tree.edges_N[ROOT].visits = visits
    name_best(tree, ROOT, best_place(row_L))


@kernel
def range_of_q(edges_N, root, num_nodes):
    """Sets the least and greatest q of the tree to those of its nodes."""
    for index in range(1, num_nodes):
        root.q_min, root.q_max = min(root.q_min, edges_N[index].q), max(root.q_max, edges_N[index].q)


@entry
def keep_subtree(arena, path, num_nodes, value_B, policy_BA, legal_BA, new_N, kept_N):
    """Makes the node after these actions the root of tree 0, with these outputs: (fault, tree, nodes kept); 0 nodes and
    no change if the tree has no such node."""
    header = header_of(arena)
    fault, row = find_root_fault(value_B, policy_BA, legal_BA, header)
    tree = tree_of(arena, header, 0)
    root = find_node(tree.edges_N, path)
    if fault != NO_FAULT or root == NONE:
        return fault, row, 0
    count = number_anew(tree.edges_N, tree.nodes_N, root, num_nodes, legal_BA[0], new_N, kept_N)
    expand_root(tree, value_B[0], policy_BA[0], legal_BA[0], header.from_logits)
    write_root_row(tree, legal_BA[0])
    for new in range(1, count):
        move_node(tree, kept_N[new], new, new_N)
    take_in_children(tree)
    range_of_q(tree.edges_N, tree.nodes_N[ROOT], count)
    return fault, row, count

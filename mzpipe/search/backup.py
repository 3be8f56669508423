"""Backup kernel: carries each new leaf value up its path to the root.

Third of the four search kernels (select, expand, backup, decide). From the leaf
up, G = value of the leaf, then G = reward + discount * G over each edge; a
negative discount turns the return around for the other player at every ply.

Shape legend    B trees   N nodes per tree
Reads           raw_value, parent and reward of the nodes on the path
Writes          visits, value and q of every node on the path; q_min and q_max of the tree
Preconditions   P1  expand_leaf has just hung node k.
Postconditions  I1  every node on the path of node k, root and leaf included, gains
                    exactly one visit; no other node changes.
                I2  value is the mean of the returns backed up through the node,
                    with the root's own evaluation as its first.
                I3  q = reward + discount * value for every edge on the path, and
                    [q_min, q_max] holds every q ever written, stale ones too. The root
                    has no edge into it, so its value is not in the range.
Numerics        float32 running means, leaf to root; fastmath off.
Oracle          tests/naive/search.py
"""

import numpy as np

from .compiled import kernel
from .tree import ROOT


@kernel
def add_return(edge, node, path_return):
    """Counts one visit of a node and adds the return to its mean."""
    visits = edge.visits + 1
    edge.visits = visits
    node.value += (path_return - node.value) / np.float32(visits)


@kernel
def backup_path(edges_N, nodes_N, leaf, discount):
    """Adds the leaf's value to every node from `leaf` to the root."""
    root = nodes_N[ROOT]
    low, high = root.q_min, root.q_max
    index = np.uint16(leaf)
    path_return = nodes_N[leaf].raw_value
    while index != ROOT:
        edge, node = edges_N[index], nodes_N[index]
        add_return(edge, node, path_return)
        q = node.reward + discount * node.value
        edge.q = q
        low, high = min(low, q), max(high, q)
        path_return = node.reward + discount * path_return
        index = node.parent
    root.q_min, root.q_max = low, high
    add_return(edges_N[ROOT], root, path_return)

"""The search trees: one struct of arrays for a whole batch, allocated once.

Shape legend    B trees   N nodes per tree (num_simulations + 1)   A actions

Node 0 is the root; node k is the one expanded at simulation k, counted from 1.
An edge is named by the node it leads to: visits, value, reward and q of node n
also describe the edge (parent of n, action of n). Rows of nodes that this
search has not expanded yet hold leftovers of the last one and are never read.
"""

from typing import NamedTuple

import numpy as np

ROOT = 0
# Marks in children_BNA where no node hangs.
UNVISITED = -1
ILLEGAL = -2


class Tree(NamedTuple):
    """Everything the search kernels share."""

    # Node at the end of each edge, or UNVISITED; ILLEGAL only in a root's row.
    children_BNA: np.ndarray
    # Probability of each action; at the root after masking and noise.
    prior_BNA: np.ndarray
    # Node above, written by select when the node is chosen for expansion.
    parent_BN: np.ndarray
    # Action that leads here from the node above, written with parent_BN.
    action_BN: np.ndarray
    # The node's own evaluation plus every visit below it.
    visits_BN: np.ndarray
    # Mean return seen from the node, for the player to move there.
    value_BN: np.ndarray
    # Reward of the edge into the node.
    reward_BN: np.ndarray
    # reward + discount * value of the edge into the node, after its last backup.
    q_BN: np.ndarray
    # Least and greatest q any backup of this search has written; min > max until the first.
    q_min_B: np.ndarray
    q_max_B: np.ndarray


def allocate_tree(batch_size: int, num_nodes: int, num_actions: int) -> Tree:
    """Arrays for `batch_size` trees; their contents mean nothing before `expand_root`."""
    nodes = (batch_size, num_nodes)
    edges = (batch_size, num_nodes, num_actions)
    return Tree(
        children_BNA=np.full(edges, UNVISITED, np.int32),
        prior_BNA=np.zeros(edges, np.float32),
        parent_BN=np.zeros(nodes, np.int32),
        action_BN=np.zeros(nodes, np.int32),
        visits_BN=np.zeros(nodes, np.int32),
        value_BN=np.zeros(nodes, np.float32),
        reward_BN=np.zeros(nodes, np.float32),
        q_BN=np.zeros(nodes, np.float32),
        q_min_B=np.zeros(batch_size, np.float32),
        q_max_B=np.zeros(batch_size, np.float32),
    )

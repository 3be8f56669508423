"""The rows of one batch: where its requests lie in the hidden-state pool, and its answers in the lanes.

Node n of tree t of lane l lives in row (l * T + t) * N + n of the pool.

Shape legend    L lanes   T trees of a lane   N nodes of a tree   R rows of a batch   C columns: 2 + places of a policy
"""

import numpy as np
from numba import njit

from ..config import Profile


def nodes_of_a_tree(profile: Profile) -> int:
    """N: the root, and a node for every simulation of the longest search on any lane.

    A search by the game's rules has its positions, and the pool one state a tree, which nothing reads.
    """
    if profile.search.model == "rules":
        return 1
    return 1 + max(profile.search.num_simulations, profile.evaluator.num_simulations)


@njit(cache=True, nogil=True)
def gather_kernel(
    lanes_L, num_rows_L, node_index_L, parent_index_LT, action_LT, num_nodes, num_places, source_R, target_R, action_R
):
    """Fills the rows of a recurrent batch; returns their number, or -1 - lane for a lane with a row out of range."""
    row, num_trees = 0, parent_index_LT.shape[1]
    for lane in lanes_L:
        node = node_index_L[lane]
        if node < 1 or node >= num_nodes or num_rows_L[lane] < 1 or num_rows_L[lane] > num_trees:
            return -1 - lane
        for tree in range(num_rows_L[lane]):
            parent, action = parent_index_LT[lane, tree], action_LT[lane, tree]
            if parent < 0 or parent >= node or action < 0 or action >= num_places:
                return -1 - lane
            base = (lane * num_trees + tree) * num_nodes
            source_R[row], target_R[row], action_R[row] = base + parent, base + node, action
            row += 1
    return row


@njit(cache=True, nogil=True)
def scatter_kernel(
    lanes_L,
    num_rows_L,
    node_index_L,
    last_node_L,
    answer_RC,
    version,
    reward_LT,
    value_LT,
    policy_logits_LTA,
    weights_version_L,
    finished_L,
):
    """Writes each lane its rows of the answers; returns the number of lanes whose search ends, listed in finished_L."""
    row, num_finished = 0, 0
    for lane in lanes_L:
        for tree in range(num_rows_L[lane]):
            reward_LT[lane, tree], value_LT[lane, tree] = answer_RC[row, 0], answer_RC[row, 1]
            for action in range(policy_logits_LTA.shape[2]):
                policy_logits_LTA[lane, tree, action] = answer_RC[row, 2 + action]
            row += 1
        weights_version_L[lane] = version
        if node_index_L[lane] == last_node_L[lane]:
            finished_L[num_finished] = lane
            num_finished += 1
    return num_finished


@njit(cache=True, nogil=True)
def common_version(lanes_L, kind_L, held_L, recurrent):
    """The weights version with which all these lanes continue; 0 if one begins a search, or the versions differ."""
    version = held_L[lanes_L[0]]
    for lane in lanes_L:
        if kind_L[lane] != recurrent or held_L[lane] != version:
            return 0
    return version


def root_rows(lanes: np.ndarray, num_rows_L: np.ndarray, num_trees: int, num_nodes: int, target_R: np.ndarray) -> int:
    """Fills in the pool rows of the roots of `lanes`, in lane order; returns their number."""
    trees = np.concatenate([lane * num_trees + np.arange(num_rows_L[lane]) for lane in lanes])
    target_R[: len(trees)] = trees * num_nodes
    return len(trees)

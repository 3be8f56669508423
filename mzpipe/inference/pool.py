"""The hidden-state pool and the rows of one batch.

Node n of tree t of lane l lives in row (l * T + t) * N + n of the pool.

Shape legend    L lanes   T trees of a lane   N nodes of a tree   R rows of a batch   A actions
"""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def gather_kernel(
    lanes_L, num_rows_L, node_index_L, parent_index_LT, action_LT, num_nodes, num_actions, source_R, target_R, action_R
):
    """Fills the rows of a recurrent batch; returns how many, or -1 - lane for a lane with a row out of range."""
    row, num_trees = 0, parent_index_LT.shape[1]
    for lane in lanes_L:
        node = node_index_L[lane]
        if node < 1 or node >= num_nodes or num_rows_L[lane] < 1 or num_rows_L[lane] > num_trees:
            return -1 - lane
        for tree in range(num_rows_L[lane]):
            parent, action = parent_index_LT[lane, tree], action_LT[lane, tree]
            if parent < 0 or parent >= node or action < 0 or action >= num_actions:
                return -1 - lane
            base = (lane * num_trees + tree) * num_nodes
            source_R[row], target_R[row], action_R[row] = base + parent, base + node, action
            row += 1
    return row


def root_rows(lanes: np.ndarray, num_rows_L: np.ndarray, num_trees: int, num_nodes: int) -> np.ndarray:
    """Pool rows of the roots of `lanes`, in lane order."""
    trees = [lane * num_trees + np.arange(num_rows_L[lane]) for lane in lanes]
    return np.concatenate(trees) * num_nodes

"""Reading: copies one tree of a search, node by node, for inspection; it has no kernel, and no search uses it.

Shape legend    K nodes: the root and one per finished simulation   A actions
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .tree import ROOT, Tree, header_of, tree_of

# Stands for the root's parent and action.
NO_EDGE = -1


class SearchedTree(NamedTuple):
    """The current state of a tree, in arrays of the caller's own; entry k is node k, and describes the edge into it.

    A node's visits count its own evaluation; those of the root are one more than the simulations.
    """

    # Node above; NO_EDGE for the root.
    parent_K: NDArray[np.int32]
    # The action that leads here from there, or num_actions + the code of chance; NO_EDGE for the root.
    action_K: NDArray[np.int32]
    # Visits, the node's own evaluation included.
    visits_K: NDArray[np.int32]
    # reward + discount * value, not normalised; for the root, its value.
    q_K: NDArray[np.float32]
    # Probability of the action at its parent, noise included at the root; 1 for the root.
    prior_K: NDArray[np.float32]
    # The model's reward of the edge; 0 for the root.
    reward_K: NDArray[np.float32]
    # Mean return seen from the node.
    value_K: NDArray[np.float32]
    # The model's own value of the node.
    raw_value_K: NDArray[np.float32]
    # Probability of each root action, visited or not: masked, noise included.
    root_prior_A: NDArray[np.float32]


def open_tree(arena: np.ndarray, b: int) -> Tree:
    """Views of tree `b`, made outside a kernel."""
    return _plain(tree_of)(arena, _plain(header_of)(arena), b)


def read_tree(arena: np.ndarray, b: int, num_nodes: int) -> SearchedTree:
    """Copies of the first `num_nodes` nodes of tree `b`."""
    tree, header = open_tree(arena, b), _plain(header_of)(arena)
    edges_K, nodes_K = tree.edges_N[:num_nodes], tree.nodes_N[:num_nodes]
    return SearchedTree(
        parent_K=_with_root(nodes_K["parent"], np.int32, NO_EDGE),
        action_K=_with_root(edges_K["action"], np.int32, NO_EDGE),
        visits_K=edges_K["visits"].astype(np.int32),
        q_K=_with_root(edges_K["q"], np.float32, nodes_K["value"][ROOT]),
        prior_K=_with_root(edges_K["prior"], np.float32, 1.0),
        reward_K=_with_root(nodes_K["reward"], np.float32, 0.0),
        value_K=nodes_K["value"].copy(),
        raw_value_K=nodes_K["raw_value"].copy(),
        root_prior_A=tree.root_prior_A[: header.num_actions - header.num_codes].copy(),
    )


def _with_root(field_K: np.ndarray, dtype: type, value: float) -> np.ndarray:
    """A copy of the field, with `value` for the root: no edge leads there, and its record holds old data."""
    copied_K: np.ndarray = field_K.astype(dtype)
    copied_K[ROOT] = value
    return copied_K


def _plain(kernel: Any) -> Callable:
    """The kernel as a Python function, which may return views."""
    return getattr(kernel, "py_func", kernel)

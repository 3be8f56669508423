"""The records of the search trees, field by field; tree describes their layout."""

import numpy as np


def _record(fields: list[tuple[str, str]], itemsize: int) -> np.dtype:
    """A record type with adjacent fields, readable by attribute in Python and in kernels."""
    names, formats = zip(*fields, strict=True)
    sizes = [np.dtype(form).itemsize for form in formats]
    offsets = [sum(sizes[:place]) for place in range(len(sizes))]
    layout = {"names": names, "formats": formats, "offsets": offsets, "itemsize": itemsize}
    return np.dtype((np.record, layout))


# The data that a scan of a node's children reads, four nodes a cache line.
EDGE = _record(
    [
        # reward + discount * value of the edge into the node, after its last backup.
        ("q", "f4"),
        # Probability of the edge into the node.
        ("prior", "f4"),
        # The node's own evaluation plus every visit below it.
        ("visits", "u2"),
        # The action that leads here, written when the edge is selected.
        ("action", "u2"),
        # Next older child of the same parent, and the node's own newest child; NONE at the end.
        ("next_sibling", "u2"),
        ("first_child", "u2"),
    ],
    16,
)
# The data that is read only for nodes on a path.
NODE = _record(
    [
        # Weight of all unvisited edges together, in 2^-46 of the row's unit (for Gumbel's completed q).
        ("unvisited_mass", "i8"),
        # Mean return seen from the node, for the player to move there.
        ("value", "f4"),
        # Reward of the edge into the node.
        ("reward", "f4"),
        # The network's value of the node itself.
        ("raw_value", "f4"),
        # Probability of the best unvisited edge out of the node.
        ("best_prior", "f4"),
        # Turns a weight of the node's row into a probability.
        ("row_scale", "f4"),
        # In a root: least and greatest q any backup of this search has written; least > greatest until the first.
        ("q_min", "f4"),
        ("q_max", "f4"),
        # Node above, written when the edge is selected.
        ("parent", "u2"),
        # Best unvisited edge out of the node and its place in the row; NONE where every edge is visited. In a Gumbel
        # root the place is one in considered_M, and so the number of its children.
        ("best_action", "u2"),
        ("best_place", "u2"),
        # In a root: how many of its actions sequential halving considers.
        ("num_considered", "u2"),
        # Trees with chance: 1 if chance moves here, 0 if the player does.
        ("is_chance", "u2"),
        # Several leaves of one tree: visits of the node that are counted and wait for their answer.
        ("pending", "u2"),
    ],
    48,
)
# Per node index: start of its row, and the exploration factor of a node with that many visits.
TABLE = _record([("row", "i8"), ("exploration", "f4")], 16)
# The kernels' parameters of the batch: sizes, where the parts begin, and the rules of the search.
HEADER = _record(
    [
        ("batch_size", "i8"),
        ("num_nodes", "i8"),
        ("num_actions", "i8"),
        ("num_considered", "i8"),
        # Codes of chance, which come after the actions in every row; 0: no tree has chance.
        ("num_codes", "i8"),
        ("short_rows", "i8"),
        ("tables_at", "i8"),
        ("halving_at", "i8"),
        ("trees_at", "i8"),
        ("tree_bytes", "i8"),
        ("nodes_at", "i8"),
        ("root_at", "i8"),
        ("considered_at", "i8"),
        ("weights_at", "i8"),
        ("labels_at", "i8"),
        ("spare_at", "i8"),
        ("end", "i8"),
        # The kind of policies (see tree): 0 only for probabilities.
        ("from_logits", "i4"),
        ("normalization", "i4"),
        ("rescale_values", "i4"),
        ("unvisited_mean", "i4"),
        ("discount", "f4"),
        ("q_low", "f4"),
        ("q_scale", "f4"),
        ("min_q_spread", "f4"),
        ("value_scale", "f4"),
        ("maxvisit_init", "f4"),
    ],
    216,
)

"""The search trees of one batch: their records and rows, all in one arena, allocated once.

Shape legend    B trees   N nodes per tree (num_simulations + 1)   A actions   M considered root actions
                R places in a tree's rows of weights   L places of one row

Node 0 is the root; node k is the one expanded at simulation k, counted from 1. An edge *is* the node it leads to:
visits, prior, reward and q of node n describe the edge (parent of n, action of n). The children of a node form a list,
newest first, through first_child and next_sibling. A node keeps its best unvisited edge, and a row of weights in which
the next best one is found when that edge is taken.

    arena       | header | tables | halving | B x (edges, nodes, root rows, rows of weights, labels) | spare row |
    edges_N     | node 0, 16 bytes | node 1 | ... | node S |                what a scan of children reads
    nodes_N     | node 0, 48 bytes | node 1 | ... | node S |                what is read on a path alone
    weights_R   | row of node 0 | row of node 1 | ... | row of node S-1 |   row n: tables_N[n].row .. tables_N[n+1].row

A row is *full* if it has a place per action, in their order. Until the node gets its first child, a full row holds the
network's policy unchanged; most nodes never get a child. If full rows would take more than FULL_ROWS_BYTES a tree and
the actions outnumber the simulations, rows are *short*: node n, made at simulation n, can get at most S - n children,
so it only needs the S - n greatest weights; labels_R then names the action of each place. Rows are padded to whole
blocks of eight places. Places that this search has not written yet hold old data of the last one and are never read.
"""

from typing import NamedTuple

import numpy as np

from .compiled import expression
from .records import EDGE, HEADER, NODE, TABLE

ROOT = np.uint16(0)
# Where a list of children ends, and where no unvisited edge is left.
NONE = np.uint16(0xFFFF)
# A place in a row holds this once its edge is visited, if its edge is illegal, and if it is padding.
TAKEN = np.float32(-1.0)
# What a policy is made of: probabilities, logits, or logits of which ILLEGAL ones mark edges that a node does not have.
PROBABILITIES, LOGITS, MASKED_LOGITS = 0, 1, 2
ILLEGAL = np.float32(np.finfo(np.float32).min)
# Rows are short if full rows take more bytes per tree than this; see docs/decisions/0006.
FULL_ROWS_BYTES = 1 << 20
BLOCK = 8
# A short row has one spare place per this many, so that the exact least weight in it need not be found.
SLACK = 8
_CACHE_LINE = 64
_HEADER_BYTES, _TABLE_BYTES = HEADER.itemsize, TABLE.itemsize
_EDGE_BYTES, _NODE_BYTES = EDGE.itemsize, NODE.itemsize


class Tree(NamedTuple):
    """One tree for the kernels: views of the arena."""

    # EDGE and NODE records.
    edges_N: np.ndarray
    nodes_N: np.ndarray
    # Probability of each root action after masking and noise.
    root_prior_A: np.ndarray
    # Gumbel: the logarithm of each root action's probability, shifted so that the likeliest legal one has 0; then the
    # same with the noise added. Minus infinity where illegal.
    root_logit_A: np.ndarray
    root_score_A: np.ndarray
    # The root actions that sequential halving considers and the next one, best first; then NONE.
    considered_M: np.ndarray
    # Weights of the unvisited edges, in [0, 1] of the row's unit; TAKEN elsewhere.
    weights_R: np.ndarray
    # Action of each place of short rows, uint16; empty where rows are full.
    labels_R: np.ndarray
    # Room for one full row, or for a number per child.
    spare_L: np.ndarray
    # TABLE records, one more than nodes.
    tables_N: np.ndarray
    # halving_K[m * S + i]: visits an action must have to be considered after i of S simulations, if m are considered.
    halving_K: np.ndarray


def has_short_rows(num_simulations: int, num_actions: int) -> bool:
    """Whether a node keeps only as many edges as it can still visit."""
    return num_actions > num_simulations and 4 * num_simulations * num_actions > FULL_ROWS_BYTES


def row_starts(num_simulations: int, num_actions: int, *, short: bool) -> np.ndarray:
    """int64 [num_simulations + 2]: where each node's row begins, and the end; the last node needs none."""
    born_N = np.arange(num_simulations + 1)
    needed_N = num_simulations - born_N
    length_N = np.where(needed_N > 0, needed_N + needed_N // SLACK + 1 if short else num_actions, 0)
    return np.concatenate([[0], np.cumsum(_up_to(length_N, BLOCK))]).astype(np.int64)


def arena_header(
    num_simulations: int,
    num_actions: int,
    batch_size: int,
    num_considered: int,
    num_codes: int = 0,
    *,
    may_shorten: bool = True,
) -> np.record:
    """A header with the sizes and places of every part; the rules are left zero.

    The edges of a node have num_actions + num_codes places. Without may_shorten every row is full.
    """
    num_actions += num_codes
    header = np.zeros(1, HEADER)[0]
    header.batch_size, header.num_nodes = batch_size, num_simulations + 1
    header.num_actions, header.num_considered, header.num_codes = num_actions, num_considered, num_codes
    header.short_rows = may_shorten and has_short_rows(num_simulations, num_actions)
    places = int(row_starts(num_simulations, num_actions, short=header.short_rows)[-1])
    tree_parts = {
        "nodes_at": (num_simulations + 1) * _EDGE_BYTES,
        "root_at": (num_simulations + 1) * _NODE_BYTES,
        "considered_at": 12 * num_actions,
        "weights_at": 2 * (num_considered + 2),
        "labels_at": 4 * places,
        "tree_bytes": 2 * places * header.short_rows,
    }
    _lay_out(header, tree_parts, 0)
    parts = {
        "tables_at": _HEADER_BYTES,
        "halving_at": (num_simulations + 2) * _TABLE_BYTES,
        "trees_at": 2 * (num_considered + 1) * num_simulations if num_considered else 0,
        "spare_at": batch_size * int(header.tree_bytes),
        "end": 4 * int(_up_to(num_actions, BLOCK)),
    }
    _lay_out(header, parts, 0)
    return header


def allocate_arena(header: np.record, exploration_N: np.ndarray, halving_K: np.ndarray) -> np.ndarray:
    """A uint8 array with header and tables written; trees are undefined until their roots are expanded."""
    buffer = np.zeros(int(header.end) + _CACHE_LINE, np.uint8)
    start = -buffer.ctypes.data % _CACHE_LINE
    arena = buffer[start : start + int(header.end)]
    arena[:_HEADER_BYTES].view(HEADER)[0] = header
    tables_N = arena[header.tables_at :][: (int(header.num_nodes) + 1) * _TABLE_BYTES].view(TABLE)
    tables_N["row"] = row_starts(int(header.num_nodes) - 1, int(header.num_actions), short=bool(header.short_rows))
    tables_N["exploration"][: len(exploration_N)] = exploration_N
    arena[header.halving_at :][: halving_K.nbytes] = halving_K.view(np.uint8)
    return arena


def _up_to(size, unit: int):
    """The next multiple of `unit`."""
    return (size + unit - 1) // unit * unit


def _lay_out(header: np.record, parts: dict[str, int], start: int) -> None:
    """Puts every part where the parts before it end; parts[name] is the size of the part before `name`."""
    for name, size_before in parts.items():
        start = int(_up_to(start + size_before, _CACHE_LINE))
        header[name] = start


@expression
def header_of(arena):
    """The arena's header."""
    return arena[:_HEADER_BYTES].view(HEADER)[0]


@expression
def tree_of(arena, header, b):
    """Tree `b` of the arena."""
    num_nodes, num_actions = header.num_nodes, header.num_actions
    tree = arena[header.trees_at + b * header.tree_bytes : header.trees_at + (b + 1) * header.tree_bytes]
    root = tree[header.root_at :]
    return Tree(
        tree[: num_nodes * _EDGE_BYTES].view(EDGE),
        tree[header.nodes_at : header.nodes_at + num_nodes * _NODE_BYTES].view(NODE),
        root[: 4 * num_actions].view(np.float32),
        root[4 * num_actions : 8 * num_actions].view(np.float32),
        root[8 * num_actions : 12 * num_actions].view(np.float32),
        tree[header.considered_at : header.considered_at + 2 * (header.num_considered + 2)].view(np.uint16),
        tree[header.weights_at : header.labels_at].view(np.float32),
        tree[header.labels_at : header.tree_bytes].view(np.uint16),
        arena[header.spare_at : header.end].view(np.float32),
        arena[header.tables_at : header.tables_at + (num_nodes + 1) * _TABLE_BYTES].view(TABLE),
        arena[header.halving_at : header.trees_at].view(np.uint16),
    )

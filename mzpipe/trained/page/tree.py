"""Draws the most visited nodes of a search from left to right; the most visited child is on its parent's row.

A node has more visits than all its children together, so the most visited nodes of a tree are connected.
"""

from typing import NamedTuple

import numpy as np

from ...search import SearchedTree

# The most nodes and plies to draw, and sizes in user units.
_MOST_NODES, _MOST_DEPTH = 36, 6
BOX_WIDTH, BOX_HEIGHT = 136.0, 56.0
_COLUMN, _ROW, _EDGE = 169.0, 64.0, 7.0


class Box(NamedTuple):
    """A node with the edge into it; the root has no edge."""

    node: int
    x: float
    y: float
    # The edge's path from the parent's box, "" for the root, and its width.
    edge: str
    edge_width: float
    is_principal: bool


class TreeDrawing(NamedTuple):
    """A tree laid out for drawing."""

    width: float
    height: float
    boxes: list[Box]


def draw_tree(tree: SearchedTree) -> TreeDrawing:
    """Lays out the most visited nodes, down to the depth that fits on a page."""
    drawn = _drawn_nodes(tree)
    row_of = _rows(tree, drawn)
    principal = {0, *principal_variation(tree)}
    places = {node: (_COLUMN * depth, _ROW * row_of[node]) for node, depth in drawn.items()}
    boxes = [
        Box(node, *places[node], *_edge(tree, node, places), is_principal=node in principal) for node in sorted(drawn)
    ]
    width = max(x for x, _ in places.values()) + BOX_WIDTH
    height = max(y for _, y in places.values()) + BOX_HEIGHT
    return TreeDrawing(width, height, boxes)


def principal_variation(tree: SearchedTree) -> list[int]:
    """The path of most visited children, starting at the root's child; among equals the earliest."""
    line, node = [], 0
    while children := children_of(tree, node):
        node = children[0]
        line.append(node)
    return line


def children_of(tree: SearchedTree, node: int) -> list[int]:
    """A node's children, the most visited first; among equals the earliest first."""
    children = np.flatnonzero(tree.parent_K == node)
    return [int(child) for child in children[np.argsort(-tree.visits_K[children], kind="stable")]]


def _drawn_nodes(tree: SearchedTree) -> dict[int, int]:
    """The depth of each node to draw."""
    depths = {0: 0}
    for node in np.argsort(-tree.visits_K[1:], kind="stable")[: _MOST_NODES - 1] + 1:
        depth = depths.get(int(tree.parent_K[node]), _MOST_DEPTH) + 1
        if depth <= _MOST_DEPTH:
            depths[int(node)] = depth
    return depths


def _rows(tree: SearchedTree, drawn: dict[int, int]) -> dict[int, int]:
    """The row of each node: a first child is on its parent's row, every other node below all rows placed so far."""
    rows: dict[int, int] = {}
    waiting, next_row = [(0, 0)], 1
    while waiting:
        node, row = waiting.pop()
        if row < 0:
            row, next_row = next_row, next_row + 1
        rows[node] = row
        children = [child for child in children_of(tree, node) if child in drawn]
        waiting += [(child, -1) for child in reversed(children[1:])]
        waiting += [(child, row) for child in children[:1]]
    return rows


def _edge(tree: SearchedTree, node: int, places: dict[int, tuple[float, float]]) -> tuple[str, float]:
    """Path and width of the edge into a node."""
    if node == 0:
        return "", 0.0
    (left, top), (x, y) = places[int(tree.parent_K[node])], places[node]
    start, middle, end = (
        (left + BOX_WIDTH, top + BOX_HEIGHT / 2),
        left + BOX_WIDTH + (_COLUMN - BOX_WIDTH) / 2,
        y + BOX_HEIGHT / 2,
    )
    path = f"M{start[0]:g} {start[1]:g}H{middle:g}V{end:g}H{x:g}"
    return path, 1.0 + _EDGE * float(tree.visits_K[node]) / float(tree.visits_K[0])

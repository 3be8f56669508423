"""Symmetries of games: those of boards, by name, and checks of those that a user's own game declares."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from ..errors import GameError
from ..format import shown
from .game import Symmetry

# What a turned board shows in each cell, from a grid that numbers the board's cells.
_TURNS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "half turn": lambda cell_RC: cell_RC[::-1, ::-1],
    "diagonal": lambda cell_RC: cell_RC.T,
    "other diagonal": lambda cell_RC: cell_RC[::-1, ::-1].T,
    "left and right": lambda cell_RC: cell_RC[:, ::-1],
    "top and bottom": lambda cell_RC: cell_RC[::-1],
    "quarter turn": lambda cell_RC: np.rot90(cell_RC),
    "quarter turn back": lambda cell_RC: np.rot90(cell_RC, -1),
}
SQUARE = tuple(_TURNS)
# Without those that exchange the colours of four stones in the middle, which each share a diagonal with their own.
DIAGONALS = ("half turn", "diagonal", "other diagonal")


def board_symmetries(turns: Iterable[str], rows: int, columns: int, num_actions: int) -> tuple[Symmetry, ...]:
    """These symmetries of a board whose actions are its cells, row by row, and passes; or its columns."""
    cell_RC = np.arange(rows * columns).reshape(rows, columns)
    return tuple(_symmetry(_TURNS[turn](cell_RC), columns, num_actions) for turn in turns)


def sliding_symmetries(
    turns: Iterable[str], rows: int, columns: int, directions: Sequence[tuple[int, int]]
) -> tuple[Symmetry, ...]:
    """These symmetries of a board on which each action moves everything by (rows, columns) of `directions`."""
    cell_RC = np.arange(rows * columns).reshape(rows, columns)
    return tuple(_sliding(_TURNS[turn](cell_RC), columns, directions) for turn in turns)


def _sliding(turned_RC: np.ndarray, columns: int, directions: Sequence[tuple[int, int]]) -> Symmetry:
    place_RC2 = np.stack(np.divmod(turned_RC, columns), axis=-1)
    down, right = place_RC2[1, 0] - place_RC2[0, 0], place_RC2[0, 1] - place_RC2[0, 0]
    moved = [tuple((rows * down + columns * right).tolist()) for rows, columns in directions]
    return Symmetry(tuple(turned_RC.ravel().tolist()), tuple(map(list(directions).index, moved)))


def _symmetry(turned_RC: np.ndarray, columns: int, num_actions: int) -> Symmetry:
    points = turned_RC.ravel().tolist()
    moves = points if num_actions >= len(points) else (turned_RC[0] % columns).tolist()
    return Symmetry(tuple(points), (*moves, *range(len(moves), num_actions)))


def checked_symmetries(
    name: str, declared: Any, frame_shape: tuple[int, ...], num_actions: int
) -> tuple[Symmetry, ...]:
    """The pairs (points, actions) that a game declares; raises GameError for what are no permutations."""
    sizes = {"places of a frame": prod(frame_shape[1:] or frame_shape), "actions": num_actions}
    found = []
    for index, pair in enumerate(_items(name, "symmetries", declared, "pairs of points and actions")):
        place = f"symmetries[{index}]"
        parts = _items(name, place, pair, "a pair of points and actions", len(sizes))
        for part, (what, size) in zip(parts, sizes.items(), strict=True):
            numbers = _items(name, place, part, f"an order of the {size} {what}", size)
            if sorted(numbers) != list(range(size)):
                raise GameError(
                    f"{name}: {place} orders the {size} {what} as {shown(numbers)}: each of 0 to {size - 1} must be "
                    "there once"
                )
        found.append(Symmetry(*(tuple(map(int, part)) for part in parts)))
    return tuple(found)


def _items(name: str, place: str, value: Any, wanted: str, length: int | None = None) -> list[Any]:
    items = list(value) if isinstance(value, Iterable) else None
    if items is None or length not in (None, len(items)):
        raise GameError(f"{name}: {place} must be {wanted}, not {shown(value)}")
    return items

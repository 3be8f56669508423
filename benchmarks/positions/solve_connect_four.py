"""Writes fixed positions of Connect Four with their exact values to connect_four.csv, next to this file.

    python benchmarks/positions/solve_connect_four.py

Positions come from random play; those in which the player to move can win at once are dropped. For every length there
are 50 in which at least one action gives the position's value away, and 25 that are lost whatever is played.
Values are found by alpha-beta search over bitboards. The board is a bit per cell, seven per column, the seventh
always empty: `mine` has the stones of the player to move, `all_stones` those of both.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

import numba
import numpy as np

_COLUMNS, _ROWS = 7, 6
_HEIGHT = _ROWS + 1
_PLIES = (16, 20, 24, 28)
_WITH_A_CHOICE, _LOST = 50, 25
_SEED = 0
_TABLE_SIZE = 1 << 23
_CENTRE_FIRST = np.array([3, 2, 4, 1, 5, 0, 6])
_BOTTOM = sum(1 << (_HEIGHT * column) for column in range(_COLUMNS))
_BOARD = _BOTTOM * ((1 << _ROWS) - 1)
_LOWER, _EXACT, _UPPER = 0, 1, 2


@numba.njit
def _has_four(stones: int) -> bool:
    for shift in (1, _HEIGHT - 1, _HEIGHT, _HEIGHT + 1):
        pairs = stones & (stones >> shift)
        if pairs & (pairs >> (2 * shift)):
            return True
    return False


@numba.njit
def _cell(all_stones: int, column: int) -> int:
    """The bit that a stone in the column would get; 0 if the column is full."""
    return (all_stones + (1 << (_HEIGHT * column))) & (((1 << _ROWS) - 1) << (_HEIGHT * column))


@numba.njit
def _wins_at_once(stones: int, all_stones: int) -> bool:
    """Whether one more of these stones makes four."""
    for column in range(_COLUMNS):
        cell = _cell(all_stones, column)
        if cell and _has_four(stones | cell):
            return True
    return False


@numba.njit
def _value(mine: int, all_stones: int, low: int, high: int, key_T: np.ndarray, entry_T: np.ndarray) -> int:
    """1, 0 or -1 for the player to move if that is between low and high, else a bound; neither player has four yet."""
    if all_stones == _BOARD:
        return 0
    if _wins_at_once(mine, all_stones):
        return 1
    theirs = all_stones ^ mine
    forced, num_forced = 0, 0
    for column in range(_COLUMNS):
        cell = _cell(all_stones, column)
        if cell and _has_four(theirs | cell):
            forced, num_forced = cell, num_forced + 1
    if num_forced > 1:
        return -1
    key = mine + all_stones + _BOTTOM  # unique (Pons, "Solving Connect 4")
    slot = key % len(key_T)
    if key_T[slot] == key:
        bound, value = divmod(entry_T[slot], 4)
        value -= 1
        if bound == _EXACT or (bound == _LOWER and value >= high) or (bound == _UPPER and value <= low):
            return value
    best, floor = -2, low
    for column in _CENTRE_FIRST:
        cell = _cell(all_stones, column)
        if not cell or (num_forced and cell != forced):
            continue
        value = -_value(theirs, all_stones | cell, -high, -floor, key_T, entry_T)
        best, floor = max(best, value), max(floor, value)
        if floor >= high:
            break
    key_T[slot] = key
    entry_T[slot] = 4 * (_LOWER if best >= high else _UPPER if best <= low else _EXACT) + best + 1
    return best


class Solver:
    """Computes exact values; keeps its table of positions between calls."""

    def __init__(self) -> None:
        self._key_T, self._entry_T = np.zeros(_TABLE_SIZE, np.int64), np.zeros(_TABLE_SIZE, np.int64)

    def values(self, moves: list[int]) -> dict[int, int]:
        """The value of each action after the moves, for the player who takes it: 1 wins, 0 draws, -1 loses."""
        mine = all_stones = 0
        for column in moves:
            mine, all_stones = _play(mine, all_stones, column)
        return {column: self._after(mine, all_stones, column) for column in _open_columns(all_stones)}

    def _after(self, mine: int, all_stones: int, column: int) -> int:
        theirs, all_stones = _play(mine, all_stones, column)
        if _has_four(all_stones ^ theirs):
            return 1
        return -_value(theirs, all_stones, -1, 1, self._key_T, self._entry_T)


def _open_columns(all_stones: int) -> list[int]:
    return [column for column in range(_COLUMNS) if _cell(all_stones, column)]


def _play(mine: int, all_stones: int, column: int) -> tuple[int, int]:
    """The stones of the player to move next, and those of both players."""
    return all_stones ^ mine, all_stones | _cell(all_stones, column)


def _random_moves(num_moves: int, rng: np.random.Generator) -> list[int] | None:
    """Random legal moves; None if one of them makes four, or if the player to move then can."""
    moves: list[int] = []
    mine = all_stones = 0
    for _ in range(num_moves):
        moves.append(int(rng.choice(_open_columns(all_stones))))
        mine, all_stones = _play(mine, all_stones, moves[-1])
        if _has_four(all_stones ^ mine):
            return None
    return None if _wins_at_once(mine, all_stones) else moves


def _draw(solver: Solver, num_moves: int, rng: np.random.Generator) -> Iterator[tuple[list[int], int, list[int]]]:
    """Draws positions and yields their moves, their value, and the actions that keep it."""
    wanted = {True: _WITH_A_CHOICE, False: _LOST}
    while any(wanted.values()):
        moves = _random_moves(num_moves, rng)
        if moves is None:
            continue
        values = solver.values(moves)
        value = max(values.values())
        keeping = [column for column, of_column in values.items() if of_column == value]
        has_choice = len(keeping) < len(values)
        if wanted[has_choice] and (has_choice or value == -1):
            wanted[has_choice] -= 1
            yield moves, value, keeping


def main() -> None:
    """Draws and solves the positions, and writes the file."""
    solver, rng = Solver(), np.random.default_rng(_SEED)
    with Path(__file__).with_name("connect_four.csv").open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["moves", "value", "keeping"])
        for num_moves in _PLIES:
            for moves, value, keeping in _draw(solver, num_moves, rng):
                rows.writerow([" ".join(map(str, moves)), value, " ".join(map(str, keeping))])


if __name__ == "__main__":
    main()

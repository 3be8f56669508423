"""The look of each board game, and the names of its players and places; labels match OpenSpiel's moves."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from string import ascii_lowercase
from typing import NamedTuple

from ..board_rules import BOARDS


class Place(NamedTuple):
    """A square, a crossing or a hexagon in the picture: row 0 at the top, column 0 on the left."""

    row: int
    column: int


class Shape(Enum):
    """The kind of places that a board has."""

    SQUARES = "squares"
    # Stones stand where lines cross.
    POINTS = "points"
    # Each row is half a hexagon further to the right than the one above.
    HEXES = "hexes"


Labels = Callable[[int], list[str]]


def _from_zero(count: int) -> list[str]:
    return [str(index) for index in range(count)]


def _from_one(count: int) -> list[str]:
    return [str(index + 1) for index in range(count)]


def _letters(count: int) -> list[str]:
    return list(ascii_lowercase[:count])


def _letters_without_i(count: int) -> list[str]:
    return list(ascii_lowercase.replace("i", "")[:count])


def _down_to_one(count: int) -> list[str]:
    return _from_one(count)[::-1]


def _none(count: int) -> list[str]:
    return [""] * count


@dataclass(frozen=True)
class Style:
    """The look of one game."""

    shape: Shape
    # The names of seat 0, which begins, and of seat 1.
    seats: tuple[str, str]
    # Labels for a number of rows or columns, in the order of OpenSpiel's numbers.
    row_labels: Labels
    column_labels: Labels
    # Whether an action is a column, down which the stone falls.
    falls: bool = False
    is_chequered: bool = False
    # Whether pieces have a forward direction: then the person's own move towards the top.
    turns: bool = False
    has_hands: bool = False
    # The sides that each player is to connect.
    aims: tuple[str, str] | None = None
    # Whether OpenSpiel's row 0 is at the bottom, as in the game's rules.
    is_upward: bool = False

    def role(self, seat: int) -> str:
        """A player's name, with its aim where the two players' aims differ."""
        return f"{self.seats[seat]}, {self.aims[seat]}" if self.aims else self.seats[seat]

    def place(self, row: int, column: int, rows: int) -> Place:
        """The place of OpenSpiel's row and column on a board of this many rows."""
        return Place(rows - 1 - row if self.is_upward else row, column)


_BLACK_WHITE, _X_O = ("Black", "White"), ("x", "o")

_STYLES = {
    "tic_tac_toe": Style(Shape.SQUARES, _X_O, _from_zero, _from_zero),
    "connect_four": Style(Shape.SQUARES, _X_O, _none, _from_zero, falls=True),
    "gomoku": Style(Shape.POINTS, _BLACK_WHITE, _from_zero, _from_zero),
    "othello": Style(Shape.SQUARES, _BLACK_WHITE, _from_one, _letters),
    "hex": Style(Shape.HEXES, _X_O, _from_one, _letters, aims=("from top to bottom", "from left to right")),
    "go": Style(Shape.POINTS, _BLACK_WHITE, _from_one, _letters_without_i),
    "chess": Style(Shape.SQUARES, _BLACK_WHITE[::-1], _from_one, _letters, is_chequered=True, turns=True),
    "shogi": Style(Shape.SQUARES, _BLACK_WHITE, _letters, _down_to_one, turns=True, has_hands=True),
}
STYLES = {name: replace(style, is_upward=BOARDS[name].first_row_below) for name, style in _STYLES.items()}

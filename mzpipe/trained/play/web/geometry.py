"""Positions of a board's places, labels and lines in its picture, in user units; a square is UNIT wide."""

import math
from collections.abc import Iterable
from typing import NamedTuple

from ....games.notation.board import Board
from ....games.notation.styles import Place, Shape, Style

UNIT = 60.0
# The margin around the board; labels are on two sides of it.
MARGIN = 28.0
_RADIUS = UNIT / math.sqrt(3.0)
_HOSHI = {9: (2, 4, 6), 13: (3, 6, 9), 15: (3, 7, 11), 19: (3, 9, 15)}


class Label(NamedTuple):
    """A word at a point."""

    x: float
    y: float
    text: str


class Line(NamedTuple):
    """A line between two points."""

    x1: float
    y1: float
    x2: float
    y2: float


class Geometry:
    """The geometry of one board's picture; `is_turned` shows it from the other side."""

    def __init__(self, board: Board, style: Style, *, is_turned: bool = False) -> None:
        self.board, self._turned = board, is_turned
        self._is_hex = style.shape is Shape.HEXES
        self._is_points = style.shape is Shape.POINTS
        lean = (board.rows - 1) / 2 if self._is_hex else 0.0
        self.row_height = 1.5 * _RADIUS if self._is_hex else UNIT
        self.width = 2 * MARGIN + (board.columns + lean) * UNIT
        self.height = 2 * MARGIN + (board.rows - 1) * self.row_height + (2 * _RADIUS if self._is_hex else UNIT)

    def centre(self, place: Place) -> tuple[float, float]:
        """The middle of a place."""
        row, column = place
        if self._turned:
            row, column = self.board.rows - 1 - row, self.board.columns - 1 - column
        return self._at(row, column)

    def _at(self, row: float, column: float) -> tuple[float, float]:
        lean = row / 2 if self._is_hex else 0.0
        half = _RADIUS if self._is_hex else UNIT / 2
        return MARGIN + (column + lean + 0.5) * UNIT, MARGIN + half + row * self.row_height

    def places(self) -> list[Place]:
        """All places, row by row."""
        return [Place(row, column) for row in range(self.board.rows) for column in range(self.board.columns)]

    def labels(self) -> list[Label]:
        """The labels: rows on the left, columns below; on a board of hexagons columns are above."""
        beside = [
            Label(self._at(row, 0)[0] - UNIT / 2 - MARGIN / 2, self._at(row, 0)[1], text)
            for row, text in enumerate(self._seen(self.board.row_labels))
        ]
        edge = MARGIN / 2 if self._is_hex else self.height - MARGIN / 2
        below = [
            Label(self._at(0, column)[0], edge, text)
            for column, text in enumerate(self._seen(self.board.column_labels))
        ]
        return [label for label in beside + below if label.text]

    def lines(self) -> list[Line]:
        """The lines of a board with stones on the crossings; none on other boards."""
        if not self._is_points:
            return []
        rows, columns = self.board.rows, self.board.columns
        across = [Line(*self._at(row, 0), *self._at(row, columns - 1)) for row in range(rows)]
        return across + [Line(*self._at(0, column), *self._at(rows - 1, column)) for column in range(columns)]

    def dots(self) -> list[tuple[float, float]]:
        """The marked crossings of a square board of a usual size."""
        rows, columns = self.board.rows, self.board.columns
        marked = _HOSHI.get(rows, ()) if self._is_points and rows == columns else ()
        return [self._at(row, column) for row in marked for column in marked]

    def hexagon(self, place: Place) -> str:
        """The corners of a hexagon, as SVG's points."""
        x, y = self.centre(place)
        return _corners(x, y, range(30, 390, 60))

    def sides(self) -> list[tuple[int, str]]:
        """The edges of a board of hexagons, each with its seat, as SVG's points; seat 0 has top and bottom."""
        if not self._is_hex:
            return []
        rows, columns = range(self.board.rows), range(self.board.columns)
        top, bottom = ([self._at(row, column) for column in columns] for row in (0, rows[-1]))
        left, right = ([self._at(row, column) for row in rows] for column in (0, columns[-1]))
        along = [(0, top, (210, 270, 330)), (0, bottom, (150, 90, 30))]
        along += [(1, left, (210, 150, 90)), (1, right, (270, 330, 30))]
        return [(seat, " ".join(_corners(*centre, turns) for centre in centres)) for seat, centres, turns in along]

    def _seen(self, labels: list[str]) -> list[str]:
        return labels[::-1] if self._turned else labels


def _corners(x: float, y: float, degrees: Iterable[int]) -> str:
    """The corners, in these directions, of the hexagon around a point."""
    turns = map(math.radians, degrees)
    return " ".join(f"{x + _RADIUS * math.cos(turn):.1f},{y + _RADIUS * math.sin(turn):.1f}" for turn in turns)

"""Maps each legal action to the places on the board where it begins and ends."""

from collections.abc import Callable
from typing import NamedTuple

import pyspiel

from .board import Board
from .styles import STYLES, Place

_DROP = "*"


class Move(NamedTuple):
    """One legal action."""

    action: int
    # OpenSpiel's name of the move.
    name: str
    # None: a pass, which goes nowhere.
    target: Place | None
    # The place a piece comes from; the letter of a piece in hand; None: a new stone.
    source: Place | str | None = None
    # The move in long algebraic notation, as UCI has it; "": the same as `name`.
    long_name: str = ""

    @property
    def notation(self) -> str:
        """The move's name in UCI and USI."""
        return self.long_name or self.name


def legal_moves(name: str, state: pyspiel.State, board: Board) -> list[Move]:
    """The legal moves in a state of the game `name`; none after the end."""
    read = _READERS.get(name, _stone)
    return [read(name, state, board, action) for action in state.legal_actions()]


def _stone(name: str, state: pyspiel.State, board: Board, action: int) -> Move:
    """A move of a game of stones: actions number the places row by row, then the pass; or they number columns."""
    style, text = STYLES[name], state.action_to_string(action)
    if style.falls:
        free = max(row for row in range(board.rows) if Place(row, action) not in board.pieces)
        return Move(action, text, Place(free, action))
    row, column = divmod(action, board.columns)
    return Move(action, text, style.place(row, column, board.rows) if row < board.rows else None)


def _chess(name: str, state: pyspiel.State, board: Board, action: int) -> Move:
    text = state.action_to_string(action)
    move = pyspiel.chess.action_to_move(action, state.board())
    if move.is_castling():
        row = 0 if state.move_number() % 2 else board.rows - 1
        target = Place(row, 2 if text.startswith("O-O-O") else 6)
        return Move(action, text, target, Place(row, 4), move.to_lan())
    target, source = (
        STYLES[name].place(square.y, square.x, board.rows) for square in (move.to_square, move.from_square)
    )
    return Move(action, text, target, source, move.to_lan())


def _shogi(name: str, state: pyspiel.State, board: Board, action: int) -> Move:
    """A move of shogi: 7g7f, 7g7f+ with promotion, P*5e from the hand."""
    text = state.action_to_string(action)
    begin, target = text[:2], _named(text[2:4], board)
    return Move(action, text, target, begin[0] if begin[1] == _DROP else _named(begin, board))


def _named(text: str, board: Board) -> Place:
    return Place(board.row_labels.index(text[1]), board.column_labels.index(text[0]))


_READERS: dict[str, Callable[[str, pyspiel.State, Board, int], Move]] = {"chess": _chess, "shogi": _shogi}

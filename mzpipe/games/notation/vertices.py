"""The names of places in the Go Text Protocol: a letter and a number, as in D4, or PASS.

Letters count columns from the left, without I in go and gomoku. Numbers count rows from the bottom in go and gomoku,
and from the top in othello and hex.
"""

from string import ascii_uppercase

from ..board_rules import games_of
from .moves import Move
from .position import Position

GTP_GAMES = games_of("gtp")
PASS = "PASS"
_FROM_THE_BOTTOM = ("go", "gomoku")


def vertex_of(move: Move, position: Position) -> str:
    """The vertex of a move in upper case."""
    if move.target is None:
        return PASS
    rows = position.board().rows
    is_upward = position.name in _FROM_THE_BOTTOM
    letters = ascii_uppercase.replace("I", "") if is_upward else ascii_uppercase
    return f"{letters[move.target.column]}{rows - move.target.row if is_upward else move.target.row + 1}"

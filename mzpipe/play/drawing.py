"""Drawing: a board in characters; places of the last move stand in brackets, so that it reads without colours too."""

from collections.abc import Collection

from rich.text import Text

from .board import Board, Piece
from .styles import Place, Shape, Style

_CELL = 3
_COLOURS = ("bold cyan", "bold yellow")
_STONES, _PLAIN_STONES = ("●", "○"), ("x", "o")
_EMPTY = "."
_SHADE = "on grey23"


def draw_board(board: Board, style: Style, marked: Collection[Place], *, glyphs: bool) -> Text:
    """The board with its labels, and what the players hold; `glyphs` where the terminal has more than ASCII."""
    margin = max(map(len, board.row_labels)) + 1
    step = _CELL + 1 if style.shape is Shape.HEXES else _CELL
    head = " " * margin + "".join(label.center(step) for label in board.column_labels)
    lines = [_line(board, style, row, marked, margin, glyphs) for row in range(board.rows)]
    labelled = [*lines, Text(head, "dim")] if style.is_upward else [Text(head, "dim"), *lines]
    return Text("\n").join([*labelled, *_hands(board, style)])


def _line(board: Board, style: Style, row: int, marked: Collection[Place], margin: int, glyphs: bool) -> Text:
    is_hex = style.shape is Shape.HEXES
    line = Text(" " * (2 * row if is_hex else 0)).append(board.row_labels[row].rjust(margin - 1) + " ", "dim")
    for column in range(board.columns):
        place = Place(row, column)
        line.append_text(_cell(board.pieces.get(place), style, place in marked, glyphs))
        if style.is_chequered and (row + column) % 2:
            line.stylize(_SHADE, len(line) - _CELL)
        line.append(" " if is_hex else "")
    return line


def _cell(piece: Piece | None, style: Style, is_marked: bool, glyphs: bool) -> Text:
    """Three characters wide; a promoted piece takes two of them, and its mark's first half the third."""
    text = Text(_EMPTY, "dim") if piece is None else Text(mark(piece, style, glyphs=glyphs), _COLOURS[piece.seat])
    if len(text) == 1:
        before, after = "[]" if is_marked else "  "
        return Text(before).append_text(text).append(after)
    return text.append("]" if is_marked else " ")


def mark(piece: Piece, style: Style, *, glyphs: bool) -> str:
    """A stone, or a piece's letter: upper case for who began, as OpenSpiel has it."""
    if piece.letter:
        return piece.letter if piece.seat == 0 else piece.letter.lower()
    if style.seats == _PLAIN_STONES or not glyphs:
        return _PLAIN_STONES[piece.seat]
    return _STONES[piece.seat]


def _hands(board: Board, style: Style) -> list[Text]:
    """A line per player of games in which pieces are held."""
    if not style.has_hands:
        return []
    held = [
        " ".join(f"{piece.letter} x{number}" for piece, number in board.hands.items() if piece.seat == seat)
        for seat in range(len(style.seats))
    ]
    return [Text(f"{name} holds {text or 'nothing'}") for name, text in zip(style.seats, held, strict=True)]

"""A match in a terminal: answers one line of input after another, until the game or the input ends."""

from collections.abc import Collection, Iterable

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from ...errors import SearchInputError, UsageError
from ...format import percent
from ...games.notation.board import Board, Piece
from ...games.notation.moves import Move
from ...games.notation.styles import Place, Shape, Style
from .match import Match, Thought

_CELL = 3
_COLOURS = ("bold cyan", "bold yellow")
_STONES, _PLAIN_STONES = ("●", "○"), ("x", "o")
_EMPTY = "."
_SHADE = "on grey23"
_HELP, _TAKE_BACK, _LEAVE = "?", "u", "q"
_MOST_CANDIDATES = 5
_BAR = 20


def draw_board(board: Board, style: Style, marked: Collection[Place], *, glyphs: bool) -> Text:
    """The board with its labels, and the players' hands; `glyphs` if the terminal shows more than ASCII."""
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
    """A place, three characters wide; a promoted piece takes two, which leaves room for the closing bracket only."""
    text = Text(_EMPTY, "dim") if piece is None else Text(mark(piece, style, glyphs=glyphs), _COLOURS[piece.seat])
    if len(text) == 1:
        before, after = "[]" if is_marked else "  "
        return Text(before).append_text(text).append(after)
    return text.append("]" if is_marked else " ")


def mark(piece: Piece, style: Style, *, glyphs: bool) -> str:
    """The mark of a stone, or a piece's letter, upper case for seat 0 as in OpenSpiel."""
    if piece.letter:
        return piece.letter if piece.seat == 0 else piece.letter.lower()
    if style.seats == _PLAIN_STONES or not glyphs:
        return _PLAIN_STONES[piece.seat]
    return _STONES[piece.seat]


def _hands(board: Board, style: Style) -> list[Text]:
    """One line per player in games where players hold pieces."""
    if not style.has_hands:
        return []
    held = [
        " ".join(f"{piece.letter} x{number}" for piece, number in board.hands.items() if piece.seat == seat)
        for seat in range(len(style.seats))
    ]
    return [Text(f"{name} holds {text or 'nothing'}") for name, text in zip(style.seats, held, strict=True)]


def play_in_terminal(match: Match, lines: Iterable[str], console: Console) -> None:
    """Plays until the game is over, the person leaves, or there are no more lines."""
    console.print(f"? lists the legal moves, {_TAKE_BACK} takes back, {_LEAVE} leaves", style="dim")
    _show(match, console)
    _ask(match, console)
    for line in lines:
        word = line.strip()
        if word == _LEAVE:
            return
        if word:
            _answer(match, word, console)
        if match.is_over:
            return
        _ask(match, console)
    console.print()  # ends the line of the last question, which got no answer


def _ask(match: Match, console: Console) -> None:
    console.print(f"your move as {match.style.role(match.person)}: ", end="")


def _answer(match: Match, word: str, console: Console) -> None:
    """Carries out one line of input, or prints in one line why it cannot."""
    if word == _HELP:
        console.print(" ".join(move.name for move in match.legal()), markup=False, soft_wrap=True)
        return
    try:
        if word == _TAKE_BACK:
            match.take_back()
        else:
            match.play(find_move(match.legal(), word).action)
    except (UsageError, SearchInputError) as error:
        console.print(str(error), markup=False, soft_wrap=True)
        return
    _show(match, console)


def find_move(moves: list[Move], word: str) -> Move:
    """The move of that name; case does not matter if only one move fits. Raises UsageError."""
    exact = [move for move in moves if move.name == word]
    alike = exact or [move for move in moves if move.name.lower() == word.lower()]
    if len(alike) != 1:
        raise UsageError(f"{word[:40]!r} is not a legal move: ? lists the {len(moves)} there are")
    return alike[0]


def _show(match: Match, console: Console) -> None:
    """Prints the board, the agent's thought, and the result."""
    last = match.played[-1] if match.played else None
    glyphs = console.encoding.startswith("utf")
    marked = [place for place in (last.source, last.target) if isinstance(place, tuple)] if last else []
    console.print(Text())
    console.print(draw_board(match.board(), match.style, marked, glyphs=glyphs))
    if match.thought is not None:
        console.print(_thought(match.thought, match))
    if match.is_over:
        console.print(f"the game is over: {match.verdict()}", style="bold")


def _thought(thought: Thought, match: Match) -> Group:
    """The agent's value and its most visited moves."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("move", "visits", "", "share", "q"):
        table.add_column(heading, justify="left" if heading in ("move", "") else "right")
    for candidate in thought.candidates[:_MOST_CANDIDATES]:
        table.add_row(
            Text(candidate.move.name),
            str(candidate.visits),
            "#" * round(_BAR * candidate.share),
            percent(candidate.share),
            f"{candidate.q:+.2f}",
        )
    seat = match.style.seats[1 - match.person]
    return Group(Text(f"the agent ({seat}) played {thought.chosen.name}; it expects {thought.value:+.2f}"), table)

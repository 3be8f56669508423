"""Terminal: a match line by line; whatever a line asks for is answered, until the game or the input ends."""

from collections.abc import Iterable

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from ..errors import UsageError
from ..format import percent
from .drawing import draw_board
from .match import Match
from .moves import Move
from .thought import Thought

_HELP, _TAKE_BACK, _LEAVE = "?", "u", "q"
_MOST_CANDIDATES = 5
_BAR = 20


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
    console.print()  # behind the question that nobody answered


def _ask(match: Match, console: Console) -> None:
    console.print(f"your move as {match.style.role(match.person)}: ", end="")


def _answer(match: Match, word: str, console: Console) -> None:
    """Does what one line says, or says in one line why not."""
    if word == _HELP:
        console.print(" ".join(move.name for move in match.legal()), markup=False, soft_wrap=True)
        return
    try:
        if word == _TAKE_BACK:
            match.take_back()
        else:
            match.play(find_move(match.legal(), word).action)
    except UsageError as error:
        console.print(str(error), markup=False, soft_wrap=True)
        return
    _show(match, console)


def find_move(moves: list[Move], word: str) -> Move:
    """The move of that name; where only one fits, upper and lower case may be exchanged. Raises UsageError."""
    exact = [move for move in moves if move.name == word]
    alike = exact or [move for move in moves if move.name.lower() == word.lower()]
    if len(alike) != 1:
        raise UsageError(f"{word[:40]!r} is no legal move: ? lists the {len(moves)} there are")
    return alike[0]


def _show(match: Match, console: Console) -> None:
    """The board, what the agent thought, and who won."""
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

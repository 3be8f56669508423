"""The data that the templates show of a match: cells, targets to click, the agent's thought, the moves so far."""

from collections import defaultdict
from typing import NamedTuple
from urllib.parse import urlencode

from ....errors import UsageError
from ....games.notation.moves import Move
from ....games.notation.position import FIRST
from ....games.notation.styles import Place
from ..match import Match
from .geometry import MARGIN, UNIT, Geometry

_GLYPHS = {"K": "♚", "Q": "♛", "R": "♜", "B": "♝", "N": "♞", "P": "♟"}
# The figures of pieces that are not drawn as stones.
_FIGURES = {"tic_tac_toe": "cross", "connect_four": "disc", "hex": "hexagon", "chess": "glyph", "shogi": "wedge"}
_STONE = "stone"


class Cell(NamedTuple):
    """One place in the picture."""

    x: float
    y: float
    # The corners of a hexagon, else "".
    points: str
    is_dark: bool
    # The seat of the piece there, None for an empty place, and the text on the piece.
    seat: int | None
    text: str
    is_last: bool
    is_chosen: bool
    # The share of the agent's simulations through its moves to this place.
    share: float


class Target(NamedTuple):
    """A target to click: plays a move, or opens the address that chooses a piece; in percent of the picture."""

    left: float
    top: float
    width: float
    height: float
    label: str
    action: int | None
    href: str


class Held(NamedTuple):
    """A piece in hand; if it has no address it cannot be chosen."""

    seat: int
    letter: str
    number: int
    href: str
    is_chosen: bool


class View:
    """One match as the page shows it; `source` and `target` are the clicked places of the next move."""

    def __init__(self, match: Match, source: str = "", target: str = "") -> None:
        self.match, self.board, self.legal = match, match.board(), match.legal()
        self.source, self.target = source, target
        is_turned = match.style.turns and match.person != FIRST
        self.geometry, self.is_turned = Geometry(self.board, match.style, is_turned=is_turned), is_turned
        self.figure = _FIGURES.get(match.name, _STONE)
        self.unit, self.margin = UNIT, MARGIN
        self._from = [move for move in self.legal if _key(move.source) == source]
        # There can be several moves between the same places: a piece may be promoted.
        self.choices = [move for move in self._from if target and _key(move.target) == target]
        if (source and not self._from) or (target and not self.choices):
            raise UsageError(f"no move from {source[:8]!r}{f' to {target[:8]!r}' if target else ''}")

    def passes(self) -> list[Move]:
        """Passes: moves without a target."""
        return [move for move in self.legal if move.target is None]

    def cells(self) -> list[Cell]:
        """All places, row by row."""
        shares: dict[Place | None, float] = defaultdict(float)
        for candidate in self.match.thought.candidates if self.match.thought else ():
            shares[candidate.move.target] += candidate.share
        last = self.match.played[-1] if self.match.played else None
        ends = (last.target, last.source) if last else ()
        return [self._cell(place, place in ends, shares[place]) for place in self.geometry.places()]

    def targets(self) -> list[Target]:
        """All targets on the board."""
        by_place: dict[Place, list[Move]] = {}
        for move in self._from if self.source else self.legal:
            place = move.target if self.source or move.source is None else move.source
            if isinstance(place, Place):
                by_place.setdefault(place, []).append(move)
        chosen = [self._target(place, moves) for place, moves in by_place.items()]
        return chosen + (self._columns() if self.match.style.falls else [])

    def held(self) -> list[Held]:
        """The pieces in the players' hands."""
        sources = {move.source for move in self.legal}
        return [
            Held(
                piece.seat,
                piece.letter,
                number,
                _address(piece.letter) if piece.seat == self.match.person and piece.letter in sources else "",
                piece.seat == self.match.person and piece.letter == self.source,
            )
            for piece, number in self.board.hands.items()
        ]

    def move_list(self) -> list[tuple[int, str, str]]:
        """The moves in pairs, newest first: number, move of seat 0, and the answer or an empty text."""
        names = [move.name for move in self.match.played] + [""]
        return [(ply // 2 + 1, names[ply], names[ply + 1]) for ply in reversed(range(0, len(names) - 1, 2))]

    def _cell(self, place: Place, is_last: bool, share: float) -> Cell:
        piece, (x, y) = self.board.pieces.get(place), self.geometry.centre(place)
        text = "" if piece is None else piece.letter
        return Cell(
            x,
            y,
            points=self.geometry.hexagon(place) if self.figure == "hexagon" else "",
            is_dark=self.match.style.is_chequered and sum(place) % 2 == 1,
            seat=None if piece is None else piece.seat,
            text=_GLYPHS[text] if self.figure == "glyph" and text else text,
            is_last=is_last,
            is_chosen=_key(place) == self.source,
            share=share,
        )

    def _target(self, place: Place, moves: list[Move]) -> Target:
        """The target that plays the only move, or chooses where it begins, or one of several to the same place."""
        move = moves[0]
        is_source = not self.source and move.source is not None
        if is_source:
            return self._clickable(place, f"choose {_key(place)}", None, _address(_key(place)))
        if len(moves) > 1:
            return self._clickable(place, f"choose {_key(place)}", None, _address(self.source, _key(place)))
        return self._clickable(place, move.name, move.action, "")

    def _columns(self) -> list[Target]:
        """The targets above the landing places, where pieces fall: they play the same moves."""
        return [
            self._clickable(Place(row, move.target.column), move.name, move.action, "")
            for move in self.legal
            if move.target is not None
            for row in range(move.target.row)
        ]

    def _clickable(self, place: Place, label: str, action: int | None, href: str) -> Target:
        x, y = self.geometry.centre(place)
        width, height = self.geometry.width / 100.0, self.geometry.height / 100.0
        across, down = UNIT, self.geometry.row_height
        return Target(
            (x - across / 2) / width, (y - down / 2) / height, across / width, down / height, label, action, href
        )


def _key(place: Place | str | None) -> str:
    """A place in an address: row-column from the top left; the letter of a piece in hand is unchanged."""
    return f"{place.row}-{place.column}" if isinstance(place, Place) else place or ""


def _address(source: str, target: str = "") -> str:
    """The address of this page with a piece chosen, and its target."""
    return "?" + urlencode({"from": source} | ({"to": target} if target else {}))

"""The Go Text Protocol, version 2 (Farnebäck 2002), for go, gomoku, othello and hex."""

import inspect
import math
import re
import time
from collections.abc import Callable
from typing import NoReturn

from ....config import GameConfig
from ....errors import MzpipeError, UsageError
from ....games.notation.board import Board
from ....games.notation.moves import Move
from ....games.notation.position import FIRST, SECOND, Position
from ....games.notation.styles import Place
from ....games.notation.vertices import GTP_GAMES, PASS, vertex_of
from ....version import __version__
from ..match import Agent
from ..records import sgf
from ..terminal import draw_board
from .clocks import GameClock

_SEATS = {"b": FIRST, "black": FIRST, "w": SECOND, "white": SECOND}
_WORDS = ("black", "white")
_COMMAND = re.compile(r"(?:(\d+)\s+)?(.+)")


class GtpEngine:
    """An agent that a GTP controller plays with; `name` says which one."""

    def __init__(self, config: GameConfig, agent: Agent, name: str) -> None:
        """Raises UsageError for a game that GTP has no names of vertices for."""
        if config.name not in GTP_GAMES:
            raise UsageError(f"{config.name}: GTP is for {', '.join(GTP_GAMES)}")
        self.has_quit = False
        self._config, self._agent, self._name = config, agent, name
        self._position, self._clock = Position(config), GameClock()
        self._commands: dict[str, Callable[..., str]] = {
            "protocol_version": lambda: "2",
            "name": lambda: "mzpipe",
            "version": lambda: f"{__version__} {name}",
            "known_command": lambda word: str(word in self._commands).lower(),
            "list_commands": lambda: "\n".join(self._commands),
            "quit": self._quit,
            "boardsize": self._boardsize,
            "clear_board": self._clear_board,
            "komi": self._komi,
            "play": self._play,
            "genmove": self._genmove,
            "reg_genmove": self._reg_genmove,
            "undo": self._undo,
            "final_score": self._final_score,
            "showboard": self._showboard,
            "printsgf": lambda: sgf(self._position, self._config),
            "time_settings": self._time_settings,
            "time_left": self._time_left,
        }

    def answer(self, line: str) -> list[str]:
        """`= text` or `? text`, and an empty line; nothing for a line without a command."""
        words = "".join(sign for sign in line.replace("\t", " ") if sign.isprintable()).partition("#")[0].strip()
        parsed = _COMMAND.fullmatch(words)
        if parsed is None:
            return []
        number, (name, *arguments) = parsed[1] or "", parsed[2].split()
        try:
            return [f"={number} {self._run(name, arguments)}".rstrip(), ""]
        except MzpipeError as error:
            return [f"?{number} {error}", ""]

    def refuse_long(self) -> list[str]:
        """The answer to a line that was too long to read."""
        return ["? the line is too long", ""]

    def _run(self, name: str, arguments: list[str]) -> str:
        command = self._commands.get(name)
        if command is None:
            raise UsageError("unknown command")
        try:
            inspect.signature(command).bind(*arguments)
        except TypeError:
            raise UsageError(f"syntax error: {name} with {len(arguments)} arguments") from None
        return command(*arguments)

    def _quit(self) -> str:
        self.has_quit = True
        return ""

    def _boardsize(self, size: str) -> str:
        board = self._position.board()
        if size != str(board.rows) or board.rows != board.columns:
            raise UsageError(f"unacceptable size: this agent plays on {board.rows}x{board.columns}")
        return self._clear_board()

    def _clear_board(self) -> str:
        self._position.restart()
        self._clock.restart()
        return ""

    def _komi(self, komi: str) -> str:
        own = self._config.board.komi if self._config.name == "go" else 0.0
        if _number(komi) != own:
            raise UsageError(f"unacceptable komi {komi}: this agent was trained with {own:g}")
        return ""

    def _play(self, colour: str, vertex: str) -> str:
        seat, kept = _seat(colour), len(self._position.played)
        self._pass_until(seat)
        moves = {vertex_of(move, self._position): move for move in self._position.legal()}
        move = moves.get(vertex.upper())
        if move is None:
            self._position.rewind(len(self._position.played) - kept)
            raise UsageError("illegal move")
        self._position.advance(move)
        return ""

    def _genmove(self, colour: str) -> str:
        kept = len(self._position.played)
        try:
            move = self._decide(_seat(colour))
        except MzpipeError:
            self._position.rewind(len(self._position.played) - kept)
            raise
        if move is None:
            return PASS.lower()
        vertex = vertex_of(move, self._position)
        self._position.advance(move)
        return vertex.lower() if vertex == PASS else vertex

    def _reg_genmove(self, colour: str) -> str:
        kept = len(self._position.played)
        try:
            move = self._decide(_seat(colour))
            return PASS.lower() if move is None else vertex_of(move, self._position)
        finally:
            self._position.rewind(len(self._position.played) - kept)

    def _decide(self, seat: int) -> Move | None:
        """The agent's move; None after the end of a game in which passes end it."""
        if self._position.is_over:
            if self._config.name == "go":
                return None
            raise UsageError("the game is over")
        self._pass_until(seat)
        began_s = time.monotonic()
        decision = self._agent.consider(self._position.history, seconds=self._clock.limit(seat))
        self._clock.spend(seat, time.monotonic() - began_s)
        return next(move for move in self._position.legal() if move.action == decision.action_index)

    def _pass_until(self, seat: int) -> None:
        """Lets the other player pass if it is that player's turn; raises UsageError where the rules do not."""
        if self._position.is_over or self._position.to_play == seat:
            return
        passing = next((move for move in self._position.legal() if move.target is None), None)
        if passing is None:
            raise UsageError(f"illegal move: it is {_WORDS[1 - seat]}'s turn, who cannot pass")
        self._position.advance(passing)

    def _time_settings(self, main: str, overtime: str, stones: str) -> str:
        self._clock.set(_time(main), _time(overtime), int(_time(stones)))
        return ""

    def _time_left(self, colour: str, left: str, stones: str) -> str:
        self._clock.tell(_seat(colour), _time(left), int(_time(stones)))
        return ""

    def _undo(self) -> str:
        if not self._position.played:
            raise UsageError("cannot undo")
        self._position.rewind(1)
        return ""

    def _final_score(self) -> str:
        if self._config.name == "go":
            lead = area_lead(self._position.board()) - self._config.board.komi
            return f"{'B' if lead > 0 else 'W'}+{abs(lead):g}" if lead else "0"
        if not self._position.is_over:
            raise UsageError("cannot score: the game is not over")
        winner = self._position.winner
        return "0" if winner is None else f"{'BW'[winner]}+"

    def _showboard(self) -> str:
        board = draw_board(self._position.board(), self._position.style, (), glyphs=False)
        return f"\n{board.plain.rstrip()}"


def area_lead(board: Board) -> int:
    """How many more points of go's area black has than white: its stones, and the empty places that only they reach."""
    lead = sum(1 - 2 * piece.seat for piece in board.pieces.values())
    empty = {Place(row, column) for row in range(board.rows) for column in range(board.columns)} - set(board.pieces)
    while empty:
        region, reached, rest = 0, set(), [empty.pop()]
        while rest:
            region, place = region + 1, rest.pop()
            for row, column in ((-1, 0), (1, 0), (0, -1), (0, 1)):
                beside = Place(place.row + row, place.column + column)
                if beside in empty:
                    empty.remove(beside)
                    rest.append(beside)
                elif beside in board.pieces:
                    reached.add(board.pieces[beside].seat)
        if len(reached) == 1:
            lead += region * (1 - 2 * reached.pop())
    return lead


def _seat(colour: str) -> int:
    seat = _SEATS.get(colour.lower())
    if seat is None:
        _syntax_error(f"{colour[:20]!r} is neither black nor white")
    return seat


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        _syntax_error(f"{text[:20]!r} is no number")


def _time(text: str) -> float:
    """Seconds, or a number of moves: not negative, and not without end."""
    number = _number(text)
    if not 0.0 <= number < math.inf:
        _syntax_error(f"{text[:20]!r} is no time")
    return number


def _syntax_error(why: str) -> NoReturn:
    raise UsageError(f"syntax error: {why}")

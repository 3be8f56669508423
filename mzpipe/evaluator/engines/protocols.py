"""The engine's side of a game, in the protocol of the game: GTP, or UCI and USI.

Each is told the whole game before it moves, so one engine plays all games of an evaluation in turn.
"""

from collections.abc import Sequence
from typing import Protocol

from ...config import GameConfig
from ...games.board_rules import BOARDS
from ...games.notation.moves import Move
from ...games.notation.position import Position
from ...games.notation.vertices import GTP_GAMES, vertex_of
from .own_program import EngineProgram

_COLOURS = "bw"


class EngineProtocol(Protocol):
    """A way to ask an engine for moves."""

    def introduce(self, config: GameConfig, setup: Sequence[str], rows: int) -> None:
        """Readies a started engine for the game; `setup` are lines of the user's, said before it."""
        ...

    def choose(self, played: Sequence[str], legal: dict[str, Move]) -> Move:
        """The engine's move after the moves played so far, by their names, among the legal ones."""
        ...


def name_of(move: Move, position: Position) -> str:
    """The move's name in the game's protocol; `position` is the one before the move, or any other of the game."""
    return vertex_of(move, position) if position.name in GTP_GAMES else move.notation


def make_protocol(game: str, program: EngineProgram, nodes: int) -> EngineProtocol:
    """The protocol of a game; UCI and USI engines search `nodes` nodes a move."""
    name = BOARDS[game].protocol
    return Gtp(program) if name == "gtp" else Uci(program, name, nodes)


class Gtp:
    """The Go Text Protocol, version 2 (Farnebäck 2002)."""

    def __init__(self, program: EngineProgram) -> None:
        self._program = program
        self._told: list[str] | None = None  # what the engine's board holds

    def introduce(self, config: GameConfig, setup: Sequence[str], rows: int) -> None:
        """Says the size of the board, and go's komi."""
        for line in setup:
            self._ask(line)
        self._ask(f"boardsize {rows}")
        if config.name == "go":
            self._ask(f"komi {config.board.komi:g}")

    def choose(self, played: Sequence[str], legal: dict[str, Move]) -> Move:
        """Plays on from the board that the engine has, or from an empty one."""
        told = self._told
        if told is None or list(played[: len(told)]) != told:
            self._ask("clear_board")
            told = []
        for ply in range(len(told), len(played)):
            self._ask(f"play {_COLOURS[ply % 2]} {played[ply]}")
        asked = f"genmove {_COLOURS[len(played) % 2]}"
        said = self._ask(asked)
        move = legal.get(said.upper())
        if move is None:
            advice = ": start it so that it plays games to their end" if said.lower() == "resign" else ""
            raise self._program.fault(f"it answered {asked!r} with {said[:40]!r}, which is illegal{advice}")
        self._told = [*played, said.upper()]
        return move

    def _ask(self, command: str) -> str:
        self._program.tell(command)
        answers = self._program.answers(command)
        first = answers.next()
        while not first:
            first = answers.next()
        while answers.next():
            pass  # until the empty line that ends an answer
        if not first.startswith("="):
            raise self._program.fault(f"it answered {command!r} with {first[:80]!r}")
        return first[1:].strip()


class Uci:
    """The Universal Chess Interface, and its sister for shogi."""

    def __init__(self, program: EngineProgram, name: str, nodes: int) -> None:
        self._program, self._name, self._nodes = program, name, nodes

    def introduce(self, config: GameConfig, setup: Sequence[str], rows: int) -> None:
        """Waits until the engine is ready."""
        self._program.tell(self._name)
        self._await(self._name, f"{self._name}ok")
        for line in setup:
            self._program.tell(line)
        self._program.tell(f"{self._name}newgame")
        self._program.tell("isready")
        self._await("isready", "readyok")

    def choose(self, played: Sequence[str], legal: dict[str, Move]) -> Move:
        """Sends the whole game."""
        self._program.tell(" ".join(["position startpos", *(["moves", *played] if played else [])]))
        asked = f"go nodes {self._nodes}"
        self._program.tell(asked)
        words = self._await(asked, "bestmove")
        said = words[1] if len(words) > 1 else ""
        move = legal.get(said)
        if move is None:
            raise self._program.fault(f"it answered {asked!r} with {said[:40]!r}, which is illegal")
        return move

    def _await(self, asked: str, word: str) -> list[str]:
        """The words of the next line that begins with `word`."""
        answers = self._program.answers(asked)
        while True:
            words = answers.next().split()
            if words[:1] == [word]:
                return words

"""The Universal Chess Interface for chess, and the Universal Shogi Interface for shogi, which differ in a few words.

Games begin at the initial position, because the agent's observation is made of the moves since then.
"""

from collections.abc import Callable, Iterator
from math import tan

from ....config import GameConfig
from ....errors import MzpipeError, UsageError
from ....games.board_rules import BOARDS, games_of
from ....games.notation.position import Position
from ..match import Agent
from .clocks import go_limit

GAMES = games_of("uci", "usi")
_NO_MOVE = {"uci": "0000", "usi": "resign"}
# Leela Chess Zero's centipawns from an expected outcome in [-1, 1].
_PAWN, _STEEPNESS = 111.714640912, 1.5620688421
_LARGEST = 0.9999


class UciEngine:
    """An agent that a UCI or USI controller plays with; `load` makes it when the controller first needs it.

    An agent takes seconds to load, and some controllers give up on an engine that does not say its name at once.
    """

    def __init__(self, config: GameConfig, load: Callable[[], Agent], name: str) -> None:
        """Raises UsageError for games other than chess and shogi."""
        if config.name not in GAMES:
            raise UsageError(f"{config.name}: UCI is for chess, USI for shogi")
        self.protocol = BOARDS[config.name].protocol
        self.has_quit = False
        self._name, self._load = name, load
        self._agent: Agent | None = None
        self._position = Position(config)
        self._held = ""
        self._commands: dict[str, Callable[[list[str]], Iterator[str]]] = {
            self.protocol: self._introduce,
            "isready": self._ready,
            f"{self.protocol}newgame": self._new_game,
            "position": self._set_position,
            "go": self._go,
            "stop": self._stop,
            "ponderhit": self._stop,
            "quit": self._quit,
            "setoption": self._ignore,
            "debug": self._ignore,
            "gameover": self._ignore,
        }

    def answer(self, line: str) -> Iterator[str]:
        """The answers to one line; as the protocol asks, what comes before a known command is left out."""
        words = line.split()
        known = next((place for place, word in enumerate(words) if word in self._commands), None)
        if known is None:
            if words:
                yield f"info string unknown command {words[0][:40]}"
            return
        try:
            yield from self._commands[words[known]](words[known + 1 :])
        except MzpipeError as error:
            yield f"info string {error}"

    def refuse_long(self) -> Iterator[str]:
        """The answer to a line that was too long to read."""
        yield "info string the line is too long"

    def _introduce(self, words: list[str]) -> Iterator[str]:
        yield f"id name mzpipe {self._name}"
        yield "id author the mzpipe team"
        yield f"{self.protocol}ok"

    def _ready(self, words: list[str]) -> Iterator[str]:
        self._loaded()
        yield "readyok"

    def _new_game(self, words: list[str]) -> Iterator[str]:
        self._position.restart()
        yield from ()

    def _ignore(self, words: list[str]) -> Iterator[str]:
        yield from ()

    def _set_position(self, words: list[str]) -> Iterator[str]:
        if words[:1] != ["startpos"] or words[1:2] not in ([], ["moves"]):
            raise UsageError("position: games begin at startpos, with moves after it: this agent reads no FEN")
        wanted = words[2:]
        played = [move.notation for move in self._position.played]
        same = next((n for n, pair in enumerate(zip(played, wanted, strict=False)) if pair[0] != pair[1]), None)
        self._position.rewind(len(played) - min(len(wanted), len(played) if same is None else same))
        for name in wanted[len(self._position.played) :]:
            move = next((move for move in self._position.legal() if move.notation == name), None)
            if move is None:
                raise UsageError(f"position: {name[:20]} is illegal after {len(self._position.played)} moves")
            self._position.advance(move)
        yield from ()

    def _go(self, words: list[str]) -> Iterator[str]:
        if self._position.is_over:
            best = _NO_MOVE[self.protocol]
        else:
            limit = go_limit(words, self._position.to_play, self.protocol)
            decision = self._loaded().consider(self._position.history, seconds=limit)
            moves = {move.action: move.notation for move in self._position.legal()}
            best = moves[decision.action_index]
            nodes = int(decision.visits.sum())
            yield f"info depth 1 nodes {nodes} score cp {centipawns(decision.value)} pv {best}"
        # After these words an engine keeps its move until it is told to stop.
        if "infinite" in words or "ponder" in words:
            self._held = best
        else:
            yield f"bestmove {best}"

    def _stop(self, words: list[str]) -> Iterator[str]:
        held, self._held = self._held, ""
        if held:
            yield f"bestmove {held}"

    def _quit(self, words: list[str]) -> Iterator[str]:
        self.has_quit = True
        yield from ()

    def _loaded(self) -> Agent:
        if self._agent is None:
            self._agent = self._load()
        return self._agent


def centipawns(value: float) -> int:
    """The score for a value in [-1, 1], as Leela Chess Zero converts it."""
    return round(_PAWN * tan(_STEEPNESS * max(-_LARGEST, min(_LARGEST, value))))

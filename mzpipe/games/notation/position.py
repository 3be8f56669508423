"""One board game by the rules: its moves so far, and how it ended; without an agent or a display."""

import numpy as np

from ...config import GameConfig
from ...errors import UsageError
from ..board import BoardGame
from .board import Board, read_board
from .moves import Move, legal_moves
from .styles import STYLES, Style

# Seat 0 begins.
FIRST, SECOND = 0, 1


class Position:
    """The position after the moves played; actions are checked against the rules before anything changes."""

    def __init__(self, config: GameConfig) -> None:
        self.name = config.name
        self._game = BoardGame(config, 1)
        self.restart()

    @property
    def style(self) -> Style:
        """How the game is drawn."""
        return STYLES[self.name]

    @property
    def to_play(self) -> int:
        """The seat that moves next."""
        return len(self.played) % 2

    @property
    def history(self) -> list[int]:
        """The actions so far."""
        return [move.action for move in self.played]

    @property
    def winner(self) -> int | None:
        """The seat that has won; None for a draw, for a game that was cut short, and before the end."""
        if not self.is_over or self.is_cut or self._reward == 0.0:
            return None
        return 1 - self.to_play if self._reward > 0.0 else self.to_play

    def board(self) -> Board:
        """The position."""
        return read_board(self.name, self._game.states[0])

    def legal(self) -> list[Move]:
        """The moves of the player to move; none once the game is over."""
        return [] if self.is_over else legal_moves(self.name, self._game.states[0], self.board())

    def advance(self, move: Move) -> None:
        """Plays a legal move."""
        step = self._game.step(np.array([move.action], np.int64))
        self.played.append(move)
        self._reward, self.is_cut = float(step.reward_B[0]), bool(step.truncated_B[0])
        self.is_over = self.is_cut or bool(step.terminated_B[0])

    def rewind(self, plies: int) -> None:
        """Undoes the last moves; raises UsageError if there are fewer."""
        if plies > len(self.played):
            raise UsageError(f"there are only {len(self.played)} moves to undo")
        kept = self.played[: len(self.played) - plies]
        self.restart()
        for move in kept:
            self.advance(move)

    def restart(self) -> None:
        """Goes back to the initial position."""
        self._game.reset()
        self.played: list[Move] = []
        self.is_over, self.is_cut, self._reward = False, False, 0.0

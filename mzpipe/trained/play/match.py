"""One board game between a person and an agent, by the rules, without a display."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from ...config import GameConfig
from ...errors import MzpipeError, UsageError
from ...games.board import BoardGame
from ..player import Decision
from .board import Board, read_board
from .moves import Move, legal_moves
from .styles import STYLES, Style

# Seat 0 begins.
FIRST, SECOND = 0, 1


class Candidate(NamedTuple):
    """A move that the agent looked at."""

    move: Move
    # Simulations through it, and their share of all simulations.
    visits: int
    share: float
    q: float


class Thought(NamedTuple):
    """The search before the agent's last move; values are the agent's: 1 won, -1 lost."""

    value: float
    chosen: Move
    # Most visited first; moves without visits are left out.
    candidates: tuple[Candidate, ...]


def read_thought(decision: Decision, moves: Mapping[int, Move]) -> Thought:
    """The thought from a decision; `moves` holds the legal moves by action."""
    total = max(int(decision.visits.sum()), 1)
    visited = [int(action) for action in np.argsort(-decision.visits, kind="stable") if decision.visits[action]]
    return Thought(
        decision.value,
        moves[decision.action_index],
        tuple(
            Candidate(
                moves[action], int(decision.visits[action]), decision.visits[action] / total, float(decision.q[action])
            )
            for action in visited
        ),
    )


class Agent(Protocol):
    """The person's opponent; mzpipe.trained.Player is one."""

    def consider(self, history: Sequence[int]) -> Decision:
        """The decision after these actions of both players from the initial position."""
        ...


class Match:
    """A game between the person, in the seat `person`, and the agent, which answers every move at once.

    Actions are checked against the rules before anything changes.
    """

    def __init__(self, config: GameConfig, agent: Agent, person: int) -> None:
        self.name, self.person = config.name, person
        self._agent, self._game = agent, BoardGame(config, 1)
        self._start()
        self._reply()

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

    def board(self) -> Board:
        """The position."""
        return read_board(self.name, self._game.states[0])

    def legal(self) -> list[Move]:
        """The person's moves; none once the game is over."""
        return [] if self.is_over else legal_moves(self.name, self._game.states[0], self.board())

    def play(self, action: int) -> None:
        """Plays the person's move and the agent's answer.

        Raises UsageError for an action that is not legal, or once the game is over. An agent that fails raises its own
        error. After any error the move is not played.
        """
        move = next((move for move in self.legal() if move.action == action), None)
        if move is None:
            raise UsageError("the game is over" if self.is_over else f"action {action} is not legal here")
        self._advance(move)
        try:
            self._reply()
        except MzpipeError:
            self.take_back()
            raise

    def take_back(self) -> None:
        """Undoes the person's last move and the agent's answer; raises UsageError if there is no such move."""
        plies = len(self.played) - (1 if self.to_play != self.person else 2)
        if plies < 0:
            raise UsageError("there is no move of yours to take back")
        kept = self.played[:plies]
        self._start()
        for move in kept:
            self._advance(move)

    def verdict(self) -> str:
        """The result in words; empty until the game is over."""
        if not self.is_over:
            return ""
        if self._is_cut:
            return f"cut short after {len(self.played)} moves: no winner"
        if self._reward == 0.0:
            return "a draw"
        last = 1 - self.to_play
        winner = last if self._reward > 0.0 else self.to_play
        return f"{'you win' if winner == self.person else 'the agent wins'} as {self.style.seats[winner]}"

    def _start(self) -> None:
        self._game.reset()
        self.played: list[Move] = []
        self.thought: Thought | None = None
        self.is_over, self._is_cut, self._reward = False, False, 0.0

    def _reply(self) -> None:
        """Plays the agent's move if it is the agent's turn."""
        if self.is_over or self.to_play == self.person:
            return
        decision = self._agent.consider(self.history)
        moves = {move.action: move for move in self.legal()}
        self._advance(moves[decision.action_index])
        self.thought = read_thought(decision, moves)

    def _advance(self, move: Move) -> None:
        step = self._game.step(np.array([move.action], np.int64))
        self.played.append(move)
        self._reward, self._is_cut = float(step.reward_B[0]), bool(step.truncated_B[0])
        self.is_over = self._is_cut or bool(step.terminated_B[0])

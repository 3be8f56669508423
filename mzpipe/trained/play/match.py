"""One board game between a person and an agent, by the rules, without a display."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from ...config import GameConfig
from ...errors import MzpipeError, UsageError
from ...games.notation.moves import Move
from ...games.notation.position import Position
from ..player import Decision


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

    def consider(self, history: Sequence[int], *, seconds: float | None = None) -> Decision:
        """The decision after these actions of both players from the initial position, within so many seconds."""
        ...


class Match(Position):
    """A game between the person, in the seat `person`, and the agent, which answers every move at once."""

    def __init__(self, config: GameConfig, agent: Agent, person: int) -> None:
        super().__init__(config)
        self.person, self._agent = person, agent
        self._reply()

    def play(self, action: int) -> None:
        """Plays the person's move and the agent's answer.

        Raises UsageError for an action that is not legal, or once the game is over. An agent that fails raises its own
        error. After any error the move is not played.
        """
        move = next((move for move in self.legal() if move.action == action), None)
        if move is None:
            raise UsageError("the game is over" if self.is_over else f"action {action} is not legal here")
        self.advance(move)
        try:
            self._reply()
        except MzpipeError:
            self.take_back()
            raise

    def take_back(self) -> None:
        """Undoes the person's last move and the agent's answer; raises UsageError if there is no such move."""
        plies = 1 if self.to_play != self.person else 2
        if plies > len(self.played):
            raise UsageError("there is no move of yours to take back")
        self.rewind(plies)

    def verdict(self) -> str:
        """The result in words; empty until the game is over."""
        if not self.is_over:
            return ""
        if self.is_cut:
            return f"cut short after {len(self.played)} moves: no winner"
        if self.winner is None:
            return "a draw"
        return f"{'you win' if self.winner == self.person else 'the agent wins'} as {self.style.seats[self.winner]}"

    def restart(self) -> None:
        """Goes back to the initial position, and forgets the agent's thought."""
        super().restart()
        self.thought: Thought | None = None

    def _reply(self) -> None:
        """Plays the agent's move if it is the agent's turn."""
        if self.is_over or self.to_play == self.person:
            return
        decision = self._agent.consider(self.history)
        moves = {move.action: move for move in self.legal()}
        self.advance(moves[decision.action_index])
        self.thought = read_thought(decision, moves)

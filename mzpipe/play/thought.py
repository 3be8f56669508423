"""Thought: what an agent found before its move, in terms of moves."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from ..trained.player import Decision
from .moves import Move


class Candidate(NamedTuple):
    """A move that the agent looked at."""

    move: Move
    # Simulations through it, and their share of all.
    visits: int
    share: float
    q: float


class Thought(NamedTuple):
    """What the agent found before its last move; values are its own: 1 won, -1 lost."""

    value: float
    chosen: Move
    # Most visited first; those without visits are left out.
    candidates: tuple[Candidate, ...]


def read_thought(decision: Decision, moves: Mapping[int, Move]) -> Thought:
    """The decision about these legal moves, by action."""
    total = max(int(decision.visits.sum()), 1)
    visited = [int(action) for action in np.argsort(-decision.visits, kind="stable") if decision.visits[action]]
    return Thought(
        decision.value,
        moves[decision.action],
        tuple(
            Candidate(
                moves[action], int(decision.visits[action]), decision.visits[action] / total, float(decision.q[action])
            )
            for action in visited
        ),
    )

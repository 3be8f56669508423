"""A fake agent: it knows the rules, and reports a search that it has not done."""

from collections.abc import Sequence

import numpy as np

from mzpipe.config import GameConfig, parse_profile
from mzpipe.games.board import BoardGame
from mzpipe.trained.play.match import Match
from mzpipe.trained.player import Decision

BOARD_SIZES = {"gomoku": 9, "hex": 5, "go": 5}


def board_config(name: str, *overrides: str) -> GameConfig:
    """A board game of the tests' size."""
    size = [f"game.board.size={BOARD_SIZES[name]}"] if name in BOARD_SIZES else []
    return parse_profile("", ["stop.learner_steps=1", f"game.name={name}", *size, *overrides]).game


class RankedAgent:
    """Visits its first three legal actions 6, 3 and 1 times, in order of their numbers; plays `answers` first."""

    def __init__(self, config: GameConfig, answers: Sequence[str] = ()) -> None:
        self._game, self._answers = BoardGame(config, 1), list(answers)
        self.histories: list[list[int]] = []
        self.limits: list[float | None] = []

    def consider(self, history: Sequence[int], *, seconds: float | None = None) -> Decision:
        """Its move after this history."""
        self.histories.append(list(history))
        self.limits.append(seconds)
        self._game.reset()
        for action in history:
            self._game.step(np.array([action]))
        (legal_A,) = self._game.legal_actions()
        legal = np.flatnonzero(legal_A)
        state = self._game.states[0]
        answer = state.string_to_action(self._answers.pop(0)) if self._answers else legal[0]
        ranked = np.array([answer, *legal[legal != answer]])
        visits, q = np.zeros(self._game.spec.num_actions, np.int32), np.zeros(self._game.spec.num_actions, np.float32)
        visits[ranked[:3]], q[ranked[:3]] = [6, 3, 1][: len(ranked)], [0.25, -0.5, 0.0][: len(ranked)]
        policy = (visits / visits.sum()).astype(np.float32)
        return Decision(int(ranked[0]), int(ranked[0]), 0.25, 0.0, policy, visits, q, policy, legal_A)


def new_match(name: str, person: int = 0, answers: Sequence[str] = ()) -> Match:
    """A match against a ranked agent."""
    config = board_config(name)
    return Match(config, RankedAgent(config, answers), person)

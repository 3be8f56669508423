"""Opponents for an agent's evaluation games."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import pyspiel

from ..config import EvaluatorConfig
from ..games import TwoPlayerGame
from ..games.board import BoardGame

# OpenSpiel's own examples explore with 2; its memory limit is per search.
_UCT_C = 2.0
_MEMORY_MB = 256


class Opponent(Protocol):
    """Chooses the moves of the agent's opponents."""

    def choose(self, games: TwoPlayerGame, game: int) -> int:
        """A legal action for the player to move in that game."""
        ...


class RandomOpponent:
    """Draws legal actions."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def choose(self, games: TwoPlayerGame, game: int) -> int:
        """A legal action, drawn uniformly."""
        return int(self._rng.choice(np.flatnonzero(games.legal_actions()[game])))


class RolloutOpponent:
    """OpenSpiel's tree search (UCT) that values a position by one random playout."""

    def __init__(self, simulations: int, seed: int) -> None:
        self._simulations, self._seed = simulations, seed
        self._bot: pyspiel.MCTSBot | None = None

    def choose(self, games: TwoPlayerGame, game: int) -> int:
        """The most visited action; ties are broken at random."""
        assert isinstance(games, BoardGame)
        if (forced := games.forced(game)) is not None:
            return forced
        if self._bot is None:
            playouts = pyspiel.RandomRolloutEvaluator(1, self._seed)
            self._bot = pyspiel.MCTSBot(
                games.rules, playouts, _UCT_C, self._simulations, _MEMORY_MB, True, self._seed, False
            )
        return self._bot.step(games.states[game])


class PerfectOpponent:
    """Draws one of the actions with the best outcome against perfect play."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._outcomes: dict[str, float] = {}

    def choose(self, games: TwoPlayerGame, game: int) -> int:
        """One of the best actions."""
        assert isinstance(games, BoardGame)
        state = games.states[game]
        actions = state.legal_actions()
        outcome_A = np.array([self._outcome_after(state, action) for action in actions])
        return int(self._rng.choice(np.array(actions)[outcome_A == outcome_A.max()]))

    def _outcome_after(self, state: pyspiel.State, action: int) -> float:
        """The outcome of an action for the player who takes it, under perfect play (negamax)."""
        child = state.child(action)
        if child.is_terminal():
            return child.returns()[state.current_player()]
        position = str(child)
        if position not in self._outcomes:
            self._outcomes[position] = max(self._outcome_after(child, reply) for reply in child.legal_actions())
        return -self._outcomes[position]


def make_opponent(config: EvaluatorConfig, seed: int) -> Opponent:
    """The profile's opponent, which must be one of the game's (GameSpec.opponents)."""
    makers: dict[str, Callable[[], Opponent]] = {
        "random": lambda: RandomOpponent(seed),
        "rollouts": lambda: RolloutOpponent(config.opponent_simulations, seed),
        "perfect": lambda: PerfectOpponent(seed),
    }
    return makers[config.opponent]()
